//! Counts the messages between two offsets: offsets alone do not tell, since control records,
//! aborted messages and compaction take some.

use std::collections::{BTreeMap, HashMap, VecDeque};

use nubium_topic::{Topic, TopicPartition};

use crate::kafka::client::{self, consumer_properties};
use crate::session::{Session, Target};
use nubium_host::failure::{Or as _, Outcome};
use nubium_kafka::reader::{Range, Reader};

/// What lies between two offsets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) messages: u64,
    pub(super) exact: bool,
    /// When the first of them was written, in milliseconds since the epoch.
    pub(super) oldest: Option<i64>,
}

/// Remembers what it has read, so that a second look reads what is new alone.
pub(super) struct Counter<'s> {
    session: &'s Session,
    properties: BTreeMap<String, String>,
    exact: i64,
    known: HashMap<TopicPartition, Known>,
}

/// The messages of one partition in `from..to`.
#[derive(Debug, Default)]
struct Known {
    from: i64,
    to: i64,
    /// Offset and time of each.
    messages: VecDeque<(i64, Option<i64>)>,
}

impl Known {
    /// Forgets what lies before `start`; what cannot be told from what is known starts anew.
    fn advance(&mut self, start: i64, end: i64) {
        if start < self.from || start > self.to || end < self.to {
            *self = Self { from: start, to: start, messages: VecDeque::new() };
        }
        self.from = start;
        while self.messages.front().is_some_and(|(offset, _)| *offset < start) {
            self.messages.pop_front();
        }
    }
}

impl<'s> Counter<'s> {
    pub(super) fn new(session: &'s Session, target: &Target, exact: i64) -> Self {
        let properties = consumer_properties(session, target);
        Self { session, properties, exact, known: HashMap::new() }
    }

    /// Counts the committed messages of each partition from an offset (with) to another (without).
    ///
    /// # Errors
    /// A partition cannot be read.
    pub(super) fn count(
        &mut self,
        ranges: &[(TopicPartition, i64, i64)],
    ) -> Outcome<HashMap<TopicPartition, Counted>> {
        let mut unread: BTreeMap<Topic, Vec<Range>> = BTreeMap::new();
        let mut counts = HashMap::new();
        for (at, start, end) in ranges {
            let known = self.known.entry(*at).or_default();
            known.advance(*start, *end);
            if end - known.to > self.exact {
                self.known.remove(at);
                let messages = u64::try_from(end - start).unwrap_or_default();
                counts.insert(*at, Counted { messages, exact: false, oldest: None });
            } else if known.to < *end {
                let range = Range { partition: at.partition, start: known.to, end: *end };
                unread.entry(at.topic).or_default().push(range);
            }
        }
        for (topic, ranges) in &unread {
            self.read(*topic, ranges)?;
        }
        for (at, known) in &self.known {
            let messages = known.messages.len() as u64;
            let oldest = known.messages.front().and_then(|(_, time)| *time);
            counts.insert(*at, Counted { messages, exact: true, oldest });
        }
        Ok(counts)
    }

    fn read(&mut self, topic: Topic, ranges: &[Range]) -> Outcome {
        let (consumer, context) = client::consumer(&self.properties)?;
        let limit = self.session.timeout();
        let mut reader =
            Reader::new(consumer, context, topic.name(), ranges, false, limit).or_refused()?;
        while !reader.is_done() && !self.session.stop.requested() {
            reader
                .read(|message| {
                    let at = TopicPartition { topic, partition: message.partition() };
                    let known = self.known.entry(at).or_default();
                    known.messages.push_back((message.offset(), message.timestamp()));
                })
                .or_refused()?;
        }
        for range in ranges {
            let at = TopicPartition { topic, partition: range.partition };
            self.known.entry(at).or_default().to = range.end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_moves_with_the_group_and_starts_anew_where_it_cannot() {
        let known = |from, to, offsets: &[i64]| Known {
            from,
            to,
            messages: offsets.iter().map(|offset| (*offset, None)).collect(),
        };
        for (start, end, from, to, left) in [
            (5, 12, 5, 10, 2),
            (0, 12, 0, 10, 4),
            (10, 12, 10, 10, 0),
            // Further on than was read, back behind the beginning, and a topic made anew.
            (11, 12, 11, 11, 0),
            (-3, 12, -3, -3, 0),
            (0, 4, 0, 0, 0),
        ] {
            let mut moved = known(0, 10, &[1, 3, 6, 8]);
            moved.advance(start, end);
            assert_eq!((moved.from, moved.to, moved.messages.len()), (from, to, left), "{start}");
        }
    }
}
