//! The outbox: the records and offsets of the transaction to come. No Kafka call here.

use super::Messages;
use super::table::TableDesk;
use nubium_host::mutant;
use nubium_kafka::headers::Headers;
use nubium_kafka::message::Message;
use nubium_kafka::raw::NativeHeaders;
use nubium_table_store::{Overlay, Write, Writes};
use nubium_topic::{Notes, Offsets, Topic, TopicPartition};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Where a record's headers come from until the app function has returned.
#[derive(Debug)]
pub(crate) enum HeaderSource {
    /// The consumed message at this place of the unit, unchanged: moved at the end, never copied
    /// when one takes them.
    Message(usize),
    /// Ready.
    Ready(Headers),
}

/// One record on its way out; key and value lie in the outbox's arena.
#[derive(Debug)]
pub struct OutRecord {
    /// The topic.
    pub topic: Topic,
    /// The partition, or −1 to leave it to the partitioner.
    pub partition: i32,
    /// Milliseconds since the epoch, or 0 for now.
    pub timestamp: i64,
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Option<Range<usize>>,
    pub(crate) headers: HeaderSource,
    /// The place of the message that it was produced for; none where a row's time was over.
    pub(crate) source: Option<(TopicPartition, i64)>,
}

impl OutRecord {
    /// Takes the headers out, once.
    pub fn take_headers(&mut self) -> Headers {
        match std::mem::replace(&mut self.headers, HeaderSource::Ready(Headers::default())) {
            HeaderSource::Ready(headers) => headers,
            // Settled before hand-over.
            HeaderSource::Message(_) => Headers::default(),
        }
    }

    /// Puts headers back that were not sent.
    pub fn put_headers(&mut self, headers: Headers) {
        self.headers = HeaderSource::Ready(headers);
    }
}

/// A batch: what one Kafka transaction will hold.
#[derive(Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    /// The records in order.
    pub records: Vec<OutRecord>,
    /// Per input partition the offset after the last complete message.
    pub next: Offsets,
    /// Per input partition the offset of the first message in it: where a replay starts.
    pub first: Offsets,
    /// Texts to lie beside the offsets.
    pub notes: Notes,
    /// How many messages it completes.
    pub messages: usize,
    /// When its first message was completed.
    pub since: Option<Instant>,
    /// Its table writes, whose changelog records are among the records.
    pub(crate) table: Option<Arc<Writes>>,
    /// Its partitions may be given up after it: the stores' positions are to be exact.
    pub(crate) last: bool,
    /// One of its messages has a record that the broker refuses: records are sent one by one, to
    /// find out which.
    pub(crate) careful: bool,
}

impl Batch {
    /// Reads a record's key and value.
    #[must_use]
    pub fn bytes(&self, record: &OutRecord) -> (Option<&[u8]>, Option<&[u8]>) {
        let read = |range: &Option<Range<usize>>| range.clone().map(|r| &self.arena[r]);
        (read(&record.key), read(&record.value))
    }

    /// Says whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// How many bytes its keys and values have.
    #[must_use]
    pub fn size(&self) -> usize {
        self.arena.len()
    }

    /// Adds the records of table writes, each to the partition of its message: the key's own hash
    /// may lead elsewhere, since a key's schema id is part of its bytes. They have the headers that
    /// nubium-utils asks for when it recovers.
    fn add_changelog(&mut self, writes: &Writes, desk: &TableDesk) {
        for (key, write) in writes.iter() {
            let record = |key, value| OutRecord {
                topic: desk.changelog,
                partition: 0,
                timestamp: write.timestamp,
                key: Some(key),
                value,
                headers: HeaderSource::Ready(headers_of(write, &desk.app)),
                source: write.source,
            };
            let partition = key.partition;
            if let Some(id) = write.old_key_id {
                let start = self.arena.len();
                desk.framing.put_key_as(id, &key.text, &mut self.arena);
                let middle = self.arena.len();
                let value = desk.framing.put_value(None, &mut self.arena);
                let value = value.then_some(middle..self.arena.len());
                self.records.push(OutRecord { partition, ..record(start..middle, value) });
            }
            let start = self.arena.len();
            desk.framing.put_key(&key.text, &mut self.arena);
            let middle = self.arena.len();
            let value = desk.framing.put_value(write.text.as_deref(), &mut self.arena);
            let value = value.then_some(middle..self.arena.len());
            self.records.push(OutRecord { partition, ..record(start..middle, value) });
        }
    }

    /// Empties it, keeping the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.records.clear();
        self.next.clear();
        self.first.clear();
        self.notes.clear();
        self.messages = 0;
        self.since = None;
        self.table = None;
        self.last = false;
        self.careful = false;
    }
}

fn headers_of(write: &Write, app: &str) -> Headers {
    let mut headers = NativeHeaders::with_capacity(2);
    headers.push("guid", Some(&write.guid));
    headers.push("last_updated_by", Some(app.as_bytes()));
    Headers::Native(headers)
}

/// A place in the outbox to cut back to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Savepoint {
    arena: usize,
    records: usize,
}

/// Collects what the app function produces. Complete messages lie before the savepoint, the one at
/// hand behind it.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    batch: Batch,
    savepoint: Savepoint,
    table: Overlay,
}

impl Outbox {
    /// What is complete.
    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Says that partitions may be given up after what is complete.
    pub(crate) fn mark_last(&mut self) {
        self.batch.last = true;
    }

    /// Uncommitted table writes.
    pub(crate) fn table(&self) -> &Overlay {
        &self.table
    }

    pub(crate) fn table_mut(&mut self) -> &mut Overlay {
        &mut self.table
    }

    /// How many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        self.batch.size() + self.table.filling().bytes()
    }

    /// Lets `write` append to the arena and answers what it wrote; nothing stays there when it
    /// fails.
    pub(crate) fn write<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Range<usize>, E> {
        let start = self.batch.arena.len();
        match write(&mut self.batch.arena) {
            Ok(()) => Ok(start..self.batch.arena.len()),
            Err(error) => {
                self.batch.arena.truncate(start);
                Err(error)
            }
        }
    }

    pub(crate) fn push(&mut self, record: OutRecord) {
        self.batch.records.push(record);
    }

    /// Drops what the message at hand has produced.
    pub(crate) fn cut(&mut self) {
        if mutant!("failed-output-is-kept") {
            return;
        }
        self.batch.records.truncate(self.savepoint.records);
        self.batch.arena.truncate(self.savepoint.arena);
        self.table.cut();
    }

    /// Keeps what the messages at hand have produced, and counts them as done. A message's headers
    /// move into the last record that passes them on; earlier ones get a copy.
    pub(crate) fn keep(&mut self, unit: &mut [Message]) {
        self.settle_headers(unit.len(), |index, last| {
            if last { unit[index].take_headers() } else { unit[index].copy_headers() }
        });
        self.complete(unit.iter());
    }

    /// Does the same while the app function still reads the messages: headers are copied.
    pub(crate) fn keep_copying(&mut self, unit: Messages<'_>) {
        self.settle_headers(unit.len(), |index, _| {
            unit.get(index).map_or_else(Headers::default, Message::copy_headers)
        });
        self.complete(unit.iter());
    }

    fn complete<'m>(&mut self, unit: impl Iterator<Item = &'m Message>) {
        for message in unit {
            let at = message.topic_partition();
            self.batch.next.set(at, message.offset() + 1);
            self.batch.first.lower(at, message.offset());
            self.batch.messages += 1;
        }
        self.table.keep();
        self.batch.since.get_or_insert_with(Instant::now);
        self.savepoint =
            Savepoint { arena: self.batch.arena.len(), records: self.batch.records.len() };
    }

    /// Takes in what another one holds that is complete, and empties that.
    pub(crate) fn absorb(&mut self, part: &mut Self) {
        let shift = self.batch.arena.len();
        let Batch { arena, records, next, first, messages, .. } = &mut part.batch;
        self.batch.arena.append(arena);
        for mut record in records.drain(..) {
            for range in [&mut record.key, &mut record.value].into_iter().flatten() {
                *range = range.start + shift..range.end + shift;
            }
            self.batch.records.push(record);
        }
        next.iter().for_each(|(at, offset)| self.batch.next.set(at, offset));
        first.iter().for_each(|(at, offset)| self.batch.first.lower(at, offset));
        self.batch.messages += *messages;
        self.table.absorb(&mut part.table);
        self.batch.since.get_or_insert_with(Instant::now);
        self.savepoint =
            Savepoint { arena: self.batch.arena.len(), records: self.batch.records.len() };
        part.clear();
    }

    /// Adds an offset without a message: the start of a partition that has no committed offset yet.
    pub(crate) fn keep_start(&mut self, at: TopicPartition, offset: i64) {
        self.batch.next.set(at, offset);
        self.batch.first.lower(at, offset);
        self.batch.since.get_or_insert_with(Instant::now);
    }

    /// Does so unless messages of the partition are complete already, which lie behind its start.
    pub(crate) fn keep_first(&mut self, at: TopicPartition, offset: i64) {
        if self.batch.next.get(at) <= self.batch.first.get(at) {
            self.batch.first.set(at, offset);
            self.keep_start(at, offset);
        }
    }

    /// Forgets the offsets of partitions that are given up. Nothing of theirs is complete then.
    pub(crate) fn forget(&mut self, gone: &[TopicPartition]) {
        self.batch.next.retain(|at| !gone.contains(&at));
        self.batch.first.retain(|at| !gone.contains(&at));
        self.batch.notes.retain(|(at, _)| !gone.contains(at));
    }

    /// Adds a note beside the place where the first of the messages at hand lies: everything before
    /// it is complete.
    pub(crate) fn keep_note(&mut self, at: TopicPartition, offset: i64, note: String) {
        self.keep_start(at, offset);
        self.batch.notes.push((at, note));
    }

    /// Gives headers to the records that pass a message's on; `headers` is told which message, and
    /// whether for the last time.
    fn settle_headers(&mut self, unit: usize, mut headers: impl FnMut(usize, bool) -> Headers) {
        let records = &mut self.batch.records[self.savepoint.records..];
        let (mut one, mut many) = ([0], Vec::new());
        let uses: &mut [usize] = if unit == 1 {
            &mut one
        } else {
            many.resize(unit, 0);
            &mut many
        };
        for record in &*records {
            if let HeaderSource::Message(index) = record.headers {
                uses[index] += 1;
            }
        }
        for record in records {
            if let HeaderSource::Message(index) = record.headers {
                uses[index] -= 1;
                record.headers = HeaderSource::Ready(headers(index, uses[index] == 0));
            }
        }
    }

    /// Hands over what is complete and starts anew in the memory of `spare`. What the message at
    /// hand has produced so far stays behind, so that this may be called while its function waits.
    pub(crate) fn take(&mut self, mut spare: Batch, table: Option<&TableDesk>) -> Batch {
        spare.clear();
        let Savepoint { arena, records } = self.savepoint;
        spare.arena.extend_from_slice(&self.batch.arena[arena..]);
        spare.records.extend(self.batch.records.drain(records..));
        for record in &mut spare.records {
            for range in [&mut record.key, &mut record.value].into_iter().flatten() {
                *range = range.start - arena..range.end - arena;
            }
        }
        self.batch.arena.truncate(arena);
        self.savepoint = Savepoint::default();
        let mut taken = std::mem::replace(&mut self.batch, spare);
        if let Some(desk) = table {
            let writes = self.table.take();
            taken.add_changelog(&writes, desk);
            taken.table = Some(writes);
        }
        taken
    }

    /// Drops everything, the message at hand included.
    pub(crate) fn clear(&mut self) {
        self.batch.clear();
        self.savepoint = Savepoint::default();
        if !mutant!("overlay-survives-abort") {
            self.table.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nubium_kafka::message::MessageBody;

    fn message(partition: i32, offset: i64) -> Message {
        Message::owned(TopicPartition::new("t", partition), offset, MessageBody::default())
    }

    fn produce(outbox: &mut Outbox, of: &Message, text: &str) {
        let value = outbox.write(|arena| {
            arena.extend_from_slice(text.as_bytes());
            Ok::<(), std::convert::Infallible>(())
        });
        outbox.push(OutRecord {
            topic: Topic::named("out"),
            partition: -1,
            timestamp: 0,
            key: None,
            value: value.ok(),
            headers: HeaderSource::Message(0),
            source: Some(of.place()),
        });
    }

    #[test]
    fn a_first_position_does_not_take_back_what_is_complete() {
        let (at, mut outbox) = (TopicPartition::new("t", 0), Outbox::default());
        outbox.keep_first(at, 5);
        outbox.keep_first(at, 7);
        assert_eq!(outbox.batch().next.get(at), Some(7), "nothing is complete");
        outbox.keep(&mut [message(0, 7)]);
        outbox.keep_first(at, 7);
        assert_eq!((outbox.batch().next.get(at), outbox.batch().first.get(at)), (Some(8), Some(7)));
    }

    #[test]
    fn parts_are_taken_in_one_behind_the_other() {
        let (mut outbox, mut part) = (Outbox::default(), Outbox::default());
        for (offset, texts) in [(0, &["a", "bc"][..]), (1, &[]), (2, &["def"])] {
            let mut unit = [message(0, offset)];
            texts.iter().for_each(|text| produce(&mut part, &unit[0], text));
            part.keep(&mut unit);
            outbox.absorb(&mut part);
            assert!(part.batch().is_empty() && part.size() == 0);
        }
        let batch = outbox.batch();
        let bytes = |record| batch.bytes(record).1.unwrap();
        let values: Vec<_> = batch.records.iter().map(bytes).collect();
        assert_eq!(values, [&b"a"[..], b"bc", b"def"]);
        let at = TopicPartition::new("t", 0);
        assert_eq!(
            (batch.next.get(at), batch.first.get(at), batch.messages),
            (Some(3), Some(0), 3)
        );
        // What the message at hand produces is behind the savepoint.
        produce(&mut outbox, &message(0, 3), "dropped");
        outbox.cut();
        assert_eq!((outbox.batch().records.len(), outbox.size()), (3, 6));
    }
}
