//! Brings committed writes into the stores, on the commit thread right after the commit.
//!
//! The position beside the data says up to which changelog offset everything is in the store. It
//! may lag, for a replay changes nothing; it may never run ahead. Delivery reports would tell the
//! offsets, at a third of a microsecond a record. Instead the log's end is asked for now and then,
//! before a transaction begins: nothing of ours is on its way at that moment. It counts once that
//! transaction has committed: its offsets were accepted, so until then the partitions were ours and
//! nobody else wrote to the changelog.

use super::error::StoreError;
use super::now_millis;
use super::row;
use super::shared::Shared;
use super::source::Bounds;
use super::writes::{EntryKey, Write, Writes};
use nubium_host::mutant;
use nubium_topic::{Topic, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the log's end is asked for while there are writes; a kill costs a replay of so much.
const EVERY: Duration = Duration::from_secs(1);

/// Asks where logs end; `None`: no answer, which does no harm.
pub(crate) type LogEnds = Box<dyn FnMut(&[TopicPartition]) -> Option<Vec<Bounds>> + Send>;

/// Writes what one loop commits into its stores.
pub struct Applier {
    shared: Arc<Shared>,
    changelog: Topic,
    key_id: u32,
    ends: LogEnds,
    asked: Instant,
    /// Partitions with writes behind their position.
    written: BTreeSet<i32>,
    /// Ends that count once the transaction at hand has committed.
    pending: Vec<Bounds>,
}

impl Applier {
    /// Makes one for a changelog; `ends` asks where its partitions end.
    pub fn new(shared: Arc<Shared>, changelog: Topic, key_id: u32, ends: LogEnds) -> Self {
        let (written, pending) = (BTreeSet::new(), Vec::new());
        Self { shared, changelog, key_id, ends, asked: Instant::now(), written, pending }
    }

    /// Comes before a transaction; `last`: the partitions are given up after it.
    pub fn before(&mut self, last: bool) {
        self.pending.clear();
        if self.written.is_empty() || !(last || self.asked.elapsed() >= EVERY) {
            return;
        }
        self.asked = Instant::now();
        let at = |partition: &i32| TopicPartition { topic: self.changelog, partition: *partition };
        let partitions: Vec<_> = self.written.iter().map(at).collect();
        self.pending = (self.ends)(&partitions).unwrap_or_default();
    }

    /// Comes after a transaction that has committed.
    ///
    /// # Errors
    /// A store fails. The changelog has everything; the store is behind.
    pub fn after(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let mut sorted: Vec<(&EntryKey, &Write)> = writes.iter().collect();
        sorted
            .sort_unstable_by(|(a, _), (b, _)| (a.partition, &a.text).cmp(&(b.partition, &b.text)));
        let mut pending = std::mem::take(&mut self.pending);
        let saved: Vec<i32> = pending.iter().map(|bounds| bounds.at.partition).collect();
        self.written.retain(|partition| !saved.contains(partition));
        let mut advanced = Vec::new();
        for part in sorted.chunk_by(|(a, _), (b, _)| a.partition == b.partition) {
            let partition = part[0].0.partition;
            let known = pending.iter().position(|bounds| bounds.at.partition == partition);
            let position = known.map(|index| pending.swap_remove(index).end);
            self.write(partition, part, position)?;
            self.written.insert(partition);
            advanced.push((partition, position, part.len()));
        }
        for bounds in pending {
            self.write(bounds.at.partition, &[], Some(bounds.end))?;
            advanced.push((bounds.at.partition, Some(bounds.end), 0));
        }
        if !advanced.is_empty() {
            self.shared.advance(self.changelog, advanced);
        }
        Ok(())
    }

    fn write(
        &self,
        partition: i32,
        part: &[(&EntryKey, &Write)],
        position: Option<i64>,
    ) -> Result<(), StoreError> {
        let at = TopicPartition { topic: self.changelog, partition };
        // Given up or recovering meanwhile: the changelog brings it.
        let Some(store) = self.shared.ready(at) else { return Ok(()) };
        let (mut store_key, mut bytes, now) = (Vec::new(), Vec::new(), now_millis());
        store.update(|edit| {
            for (key, write) in part {
                store_key.clear();
                row::put_key(&key.text, &mut store_key);
                match &write.text {
                    Some(text) => {
                        bytes.clear();
                        row::put_row(&key.text, text, write.timestamp, self.key_id, &mut bytes);
                        edit.put(&store_key, &bytes)?;
                    }
                    None if mutant!("deletes-are-not-stored") => {}
                    None => edit.delete(&store_key)?,
                }
            }
            match position {
                // As far as the writes are meant to lead, once more.
                Some(position) if mutant!("position-runs-ahead") => {
                    edit.position(position + 40, now)
                }
                Some(position) => edit.position(position, now),
                None => Ok(()),
            }
        })
    }
}
