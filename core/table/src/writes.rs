//! Table writes that are not in the store yet: of the unit at hand, of the batch that is being
//! filled, and of the batch on its way. Pure.
//!
//! Of several writes to one key in a batch only the last one goes to the changelog: they would
//! become visible together anyway, and compaction would keep no more.

use indexmap::{Equivalent, IndexMap};
use nubium_topic::TopicPartition;
use std::hash::Hash;
use std::sync::Arc;

/// A partition and a key's text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct EntryKey {
    /// The partition, of input and changelog alike.
    pub partition: i32,
    /// The key as text.
    pub text: Box<str>,
}

#[derive(Hash)]
struct EntryRef<'a> {
    partition: i32,
    text: &'a str,
}

impl Equivalent<EntryKey> for EntryRef<'_> {
    fn equivalent(&self, key: &EntryKey) -> bool {
        self.partition == key.partition && *self.text == *key.text
    }
}

/// What an entry is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The JSON text; `None` deletes the entry.
    pub text: Option<String>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The changelog knows this entry under a key that is framed with this other id, which is to
    /// vanish.
    pub old_key_id: Option<u32>,
    /// The place of the message that wrote it; none where the row's time was over.
    pub source: Option<(TopicPartition, i64)>,
    /// The header `guid` of its changelog record.
    pub guid: Box<[u8]>,
}

/// The writes of one batch: the last of every key, in the order in which keys came.
#[derive(Debug, Default)]
pub struct Writes {
    entries: IndexMap<EntryKey, Write, ahash::RandomState>,
    bytes: usize,
}

impl Writes {
    /// Finds the write of an entry.
    pub fn get(&self, partition: i32, text: &str) -> Option<&Write> {
        self.entries.get(&EntryRef { partition, text })
    }

    /// Adds a write, in place of an earlier one of its entry.
    pub fn put(&mut self, key: EntryKey, write: Write) {
        let size = |write: &Write| write.text.as_ref().map_or(0, String::len);
        self.bytes += key.text.len() + size(&write);
        self.entries.insert(key, write);
    }

    /// Goes through them, in the order in which keys came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&EntryKey, &Write)> {
        self.entries.iter()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes written, those that were overwritten included: what bounds a batch.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// The three layers over the store. A read takes the newest that knows the key.
#[derive(Debug, Default)]
pub struct Overlay {
    unit: Vec<(EntryKey, Write)>,
    filling: Writes,
    in_flight: Option<Arc<Writes>>,
    spare: Writes,
}

impl Overlay {
    /// Finds what an uncommitted write makes of an entry.
    pub fn get(&self, partition: i32, text: &str) -> Option<&Write> {
        let of_unit = self
            .unit
            .iter()
            .rev()
            .find(|(key, _)| key.partition == partition && *key.text == *text);
        of_unit
            .map(|(_, write)| write)
            .or_else(|| self.filling.get(partition, text))
            .or_else(|| self.in_flight.as_ref()?.get(partition, text))
    }

    /// Notes a write of the unit at hand.
    pub fn put(&mut self, partition: i32, text: &str, write: Write) {
        self.unit.push((EntryKey { partition, text: text.into() }, write));
    }

    /// Notes a write that belongs to no unit.
    pub fn put_complete(&mut self, key: EntryKey, write: Write) {
        self.filling.put(key, write);
    }

    /// Drops the writes of the unit at hand.
    pub fn cut(&mut self) {
        self.unit.clear();
    }

    /// Keeps the writes of the unit at hand.
    pub fn keep(&mut self) {
        for (key, write) in self.unit.drain(..) {
            self.filling.put(key, write);
        }
    }

    /// Takes over the complete writes of another one.
    pub fn absorb(&mut self, other: &mut Self) {
        for (key, write) in other.filling.entries.drain(..) {
            self.filling.put(key, write);
        }
        other.filling.clear();
    }

    /// The writes of complete units.
    pub fn filling(&self) -> &Writes {
        &self.filling
    }

    /// Hands the complete writes over; reads go on to see them until [`Self::settled`]. Those of
    /// the unit at hand stay.
    pub fn take(&mut self) -> Arc<Writes> {
        let taken = Arc::new(std::mem::replace(&mut self.filling, std::mem::take(&mut self.spare)));
        self.in_flight = (!taken.is_empty()).then(|| Arc::clone(&taken));
        taken
    }

    /// The batch on its way has ended: it is in the store, or it is gone.
    pub fn settled(&mut self) {
        if let Some(mut ended) = self.in_flight.take().and_then(Arc::into_inner) {
            ended.clear();
            self.spare = ended;
        }
    }

    /// Drops everything but what is on its way.
    pub fn clear(&mut self) {
        self.unit.clear();
        self.filling.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn write(text: Option<&str>) -> Write {
        let (text, guid) = (text.map(str::to_owned), Box::default());
        Write { text, timestamp: 0, old_key_id: None, source: None, guid }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(i32, u8, Option<u8>),
        Keep,
        Cut,
        Take,
        Commit,
        Abort,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let put = (0..2_i32, 0..4_u8, any::<Option<u8>>()).prop_map(|(p, k, v)| Step::Put(p, k, v));
        let step = prop_oneof![
            4 => put, 3 => Just(Step::Keep), 1 => Just(Step::Cut),
            1 => Just(Step::Take), 1 => Just(Step::Commit), 1 => Just(Step::Abort)
        ];
        proptest::collection::vec(step, 0..60)
    }

    type Model = HashMap<(i32, String), Option<String>>;

    fn apply(model: &mut Model, writes: &Writes) {
        for (key, write) in writes.iter() {
            model.insert((key.partition, key.text.to_string()), write.text.clone());
        }
    }

    proptest! {
        /// Against a model of four maps: committed, on its way, complete, of the unit.
        #[test]
        fn reads_see_earlier_writes_and_nothing_of_what_failed(steps in steps()) {
            let (mut overlay, mut in_flight) = (Overlay::default(), None::<Arc<Writes>>);
            let (mut stored, mut flying, mut filling, mut unit) =
                (Model::new(), Model::new(), Model::new(), Model::new());
            for step in steps {
                match step {
                    Step::Put(partition, key, value) => {
                        let (key, value) = (key.to_string(), value.map(|v| v.to_string()));
                        overlay.put(partition, &key, write(value.as_deref()));
                        unit.insert((partition, key), value);
                    }
                    Step::Keep => { overlay.keep(); filling.extend(unit.drain()); }
                    Step::Cut => { overlay.cut(); unit.clear(); }
                    Step::Take if in_flight.is_none() => {
                        in_flight = Some(overlay.take());
                        flying = std::mem::take(&mut filling);
                    }
                    Step::Commit => if let Some(batch) = in_flight.take() {
                        apply(&mut stored, &batch);
                        drop(batch);
                        overlay.settled();
                        flying.clear();
                    },
                    Step::Abort => {
                        in_flight = None;
                        overlay.settled();
                        overlay.clear();
                        for model in [&mut flying, &mut filling, &mut unit] { model.clear(); }
                    }
                    Step::Take => {}
                }
                for partition in 0..2 {
                    for key in 0..4_u8 {
                        let at = (partition, key.to_string());
                        let models = [&unit, &filling, &flying, &stored];
                        let expected = models.iter().find_map(|model| model.get(&at)).cloned();
                        let found = overlay.get(partition, &at.1).map(|write| write.text.clone());
                        prop_assert_eq!(found.or(stored.get(&at).cloned()), expected);
                    }
                }
            }
        }
    }
}
