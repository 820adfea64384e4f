//! Remembers which requests were announced, so that a replay after a crash makes the same ones.
//!
//! Before requests are sent, where each of them begins and the last one ends is committed as a note
//! beside the partition's offset. Whoever handles the partition after a crash or a rebalance reads
//! the note and cuts its first requests there, however the messages come and whatever the settings
//! say by then. With the batch the note is gone.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nubium_core::Message;
use nubium_core::topic::{Notes, TopicPartition};

use crate::chunk::Chunk;
use crate::item::Item;

/// Bytes of a note; brokers take 4,096 (`offset.metadata.max.bytes`).
const NOTE: usize = 4_000;
/// How long the messages of an announced request are waited for: they are in the log, unless
/// retention or compaction took the last one.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages that may wait meanwhile.
const CROWD: usize = 50_000;
/// Bytes of their keys and values; more than a batch may have by any sensible setting.
const CROWD_BYTES: usize = 256 << 20;

/// Announced requests by partition: the first offset of each, in order, then the end of the last.
#[derive(Debug, Default)]
pub struct Announced(Mutex<HashMap<TopicPartition, Vec<i64>>>);

/// What the messages that wait mean for the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// The batch must have so many messages at least; 0 where nothing was announced.
    AtLeast(usize),
    /// Some of an announced request are still to come.
    Missing,
}

impl Announced {
    /// Takes over what the notes of an assignment say.
    pub fn assigned(&self, partitions: &[TopicPartition], notes: &[(TopicPartition, String)]) {
        let mut known = self.lock();
        for at in partitions {
            known.remove(at);
            let note = notes.iter().find(|(noted, _)| noted == at);
            if let Some(cuts) = note.and_then(|(_, note)| read(note)) {
                tracing::info!(%at, ?cuts, "Requests were announced and not confirmed, repeating.");
                known.insert(*at, cuts);
            }
        }
    }

    /// Says whether an item begins an announced request; `None` where it is in none.
    pub fn begins(&self, item: &Item) -> Option<bool> {
        let known = self.lock();
        let cuts = known.get(&place(item))?;
        let (offset, end) = (item.identity.offset, *cuts.last()?);
        (cuts[0] <= offset && offset < end).then(|| cuts.contains(&offset))
    }

    /// Takes in what is about to be sent, and answers the notes that say so; none for what was
    /// announced before.
    pub fn announce(&self, chunks: &[Chunk]) -> Notes {
        let mut cuts: Vec<(TopicPartition, Vec<i64>)> = Vec::new();
        for chunk in chunks {
            let (Some(first), Some(last)) = (chunk.items.first(), chunk.items.last()) else {
                continue;
            };
            let (at, end) = (place(first), last.identity.offset + 1);
            match cuts.iter_mut().find(|(known, _)| *known == at) {
                Some((_, cuts)) => {
                    cuts.pop();
                    cuts.extend([first.identity.offset, end]);
                }
                None => cuts.push((at, vec![first.identity.offset, end])),
            }
        }
        let mut known = self.lock();
        cuts.retain(|(at, cuts)| known.get(at) != Some(cuts));
        for (at, cuts) in &mut cuts {
            while write(cuts).len() > NOTE {
                cuts.pop();
            }
            known.insert(*at, cuts.clone());
        }
        cuts.into_iter().map(|(at, cuts)| (at, write(&cuts))).collect()
    }

    /// Looks whether the messages that wait hold announced requests whole. After `waited` long
    /// enough it goes on without.
    pub fn cover(&self, waiting: &VecDeque<Message>, waited: Duration) -> Cover {
        let mut known = self.lock();
        if known.is_empty() {
            return Cover::AtLeast(0);
        }
        let (mut least, mut begun, mut whole) = (0, BTreeSet::new(), BTreeSet::new());
        let mut bytes = 0;
        for (index, message) in waiting.iter().enumerate() {
            let len = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
            bytes += len(message.key_bytes()) + len(message.value_bytes());
            let at = message.topic_partition();
            let Some(end) = known.get(&at).and_then(|cuts| cuts.last()) else { continue };
            if message.offset() < *end {
                begun.insert(at);
                least = index + 1;
            }
            if message.offset() + 1 >= *end {
                whole.insert(at);
            }
        }
        let missing: Vec<_> = begun.difference(&whole).copied().collect();
        if missing.is_empty() {
            return Cover::AtLeast(least);
        }
        if waited < PATIENCE && waiting.len() < CROWD && bytes < CROWD_BYTES {
            return Cover::Missing;
        }
        for at in missing {
            tracing::warn!(%at, "Announced requests cannot be repeated as they were: the last of \
                their messages is gone.");
            known.remove(&at);
        }
        Cover::AtLeast(0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TopicPartition, Vec<i64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(item: &Item) -> TopicPartition {
    TopicPartition::new(item.identity.topic, item.identity.partition)
}

/// Writes cuts as the first offset and the distances from one to the next.
fn write(cuts: &[i64]) -> String {
    let mut text = format!("requests:{}", cuts.first().copied().unwrap_or_default());
    for pair in cuts.windows(2) {
        text += &format!("+{}", pair[1] - pair[0]);
    }
    text
}

/// Reads cuts; `None` for a note of somebody else.
fn read(note: &str) -> Option<Vec<i64>> {
    let mut numbers = note.strip_prefix("requests:")?.split('+');
    let mut cuts = vec![numbers.next()?.parse::<i64>().ok()?];
    for distance in numbers {
        let distance = distance.parse::<i64>().ok().filter(|distance| *distance > 0)?;
        cuts.push(cuts.last()?.checked_add(distance)?);
    }
    (cuts.len() > 1).then_some(cuts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Identity;
    use nubium_core::message::MessageBody;

    fn chunk(partition: i32, offsets: &[i64]) -> Chunk {
        let item = |offset: &i64| Item {
            index: 0,
            identity: Identity { topic: "t", partition, offset: *offset, timestamp: 0 },
            json: String::new(),
            id: None,
            route: None,
        };
        Chunk::new(offsets.iter().map(item).collect())
    }

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn waiting(offsets: &[(i32, i64)]) -> VecDeque<Message> {
        let message = |(p, o): &(i32, i64)| Message::owned(at(*p), *o, MessageBody::default());
        offsets.iter().map(message).collect()
    }

    #[test]
    fn notes_say_where_requests_begin_and_are_read_back() {
        let announced = Announced::default();
        let chunks = [chunk(0, &[10, 11]), chunk(1, &[7]), chunk(0, &[12, 15])];
        let notes = announced.announce(&chunks);
        let expected = [(at(0), "requests:10+2+4"), (at(1), "requests:7+1")];
        assert!(notes.iter().map(|(at, note)| (*at, note.as_str())).eq(expected));
        assert!(announced.announce(&chunks).is_empty(), "said once");
        let next = Announced::default();
        next.assigned(&[at(0), at(1)], &notes);
        let begins: Vec<_> = [9, 10, 11, 12, 15, 16]
            .map(|offset| next.begins(&chunk(0, &[offset]).items[0]))
            .to_vec();
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(begins, [None, yes, no, yes, no, None]);
        next.assigned(&[at(0)], &[]);
        assert_eq!(next.begins(&chunk(0, &[10]).items[0]), None);
    }

    #[test]
    fn notes_of_others_are_left_alone_and_long_ones_cut() {
        for note in [
            "",
            "x",
            "requests:",
            "requests:5",
            "requests:5+0",
            "requests:5+x",
            "requests:9223372036854775807+1",
        ] {
            assert_eq!(read(note), None, "{note}");
        }
        let many: Vec<_> = (0..5_000).map(|n| chunk(0, &[n])).collect();
        let notes = Announced::default().announce(&many);
        assert!(notes[0].1.len() <= NOTE && read(&notes[0].1).is_some_and(|c| c.len() > 1_500));
    }

    #[test]
    fn a_batch_waits_until_it_has_announced_requests_whole() {
        let announced = Announced::default();
        let second = Duration::from_secs(1);
        assert_eq!(announced.cover(&waiting(&[(0, 1)]), second), Cover::AtLeast(0));
        announced.assigned(&[at(0)], &[(at(0), "requests:10+3".into())]);
        for (messages, expected) in [
            (&[(1, 5)][..], Cover::AtLeast(0)),
            (&[(0, 10), (1, 5)], Cover::Missing),
            (&[(0, 10), (1, 5), (0, 11), (0, 12), (0, 13)], Cover::AtLeast(4)),
            (&[(0, 10), (0, 13)], Cover::AtLeast(1)),
            (&[(0, 13)], Cover::AtLeast(0)),
        ] {
            assert_eq!(announced.cover(&waiting(messages), second), expected, "{messages:?}");
        }
        assert_eq!(announced.cover(&waiting(&[(0, 10)]), PATIENCE), Cover::AtLeast(0));
        assert_eq!(announced.cover(&waiting(&[(0, 10)]), second), Cover::AtLeast(0), "given up");
    }
}
