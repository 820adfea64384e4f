//! What the app function is handed: the consumed message or messages, and ways to produce. No Kafka
//! call here.

mod consumed;
mod headers;
mod messages;
mod outbox;
mod part;
mod request;
mod table;
mod write;

pub use consumed::Consumed;
pub(crate) use messages::{Grown, Messages};
pub use outbox::{Batch, OutRecord};
pub(crate) use outbox::{HeaderSource, Outbox};
pub(crate) use part::Part;
pub(crate) use request::{Request, Slate};
pub(crate) use table::TableDesk;
use write::{append, write_key, write_value};

use crate::error::{Exception, MessageError};
use crate::record::{Key, Record};
use crate::retry::{self, RetryRoute, RetryRoutes};
use nubium_kafka::headers::RETRY_COUNT;
use nubium_kafka::message::Message;
use nubium_registry::{Codec, Encode, TopicEncoder};
use nubium_table_store::Shared;
use nubium_topic::{Notes, Topic};
use serde::Deserialize;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What a loop keeps from message to message for the transactions it hands out.
pub(crate) struct Workbench {
    pub(crate) outbox: RefCell<Outbox>,
    pub(crate) codec: Codec,
    pub(crate) outputs: RefCell<Vec<Output>>,
    pub(crate) retry: RetryRoutes,
    pub(crate) record_limit: usize,
    /// The app's name, as `last_updated_by` of what has none. `None`: headers that are missing are
    /// an error.
    pub(crate) signature: Option<String>,
    pub(crate) slate: Slate,
    /// The table, if the app has one.
    pub(crate) table: Option<TableDesk>,
    /// Other apps' tables, if it looks any up.
    pub(crate) lookups: Option<Arc<Shared>>,
    key_buffer: RefCell<Vec<u8>>,
}

impl Workbench {
    pub(crate) fn new(
        codec: Codec,
        outputs: Vec<Output>,
        retry: RetryRoutes,
        record_limit: usize,
    ) -> Self {
        let (outbox, slate) = (RefCell::default(), Slate::default());
        let outputs = RefCell::new(outputs);
        let (table, lookups, key_buffer) = (None, None, RefCell::default());
        let signature = None;
        Self {
            outbox,
            codec,
            outputs,
            retry,
            record_limit,
            signature,
            slate,
            table,
            lookups,
            key_buffer,
        }
    }
}

/// A declared output topic.
pub(crate) struct Output {
    pub(crate) topic: Topic,
    pub(crate) encoder: TopicEncoder,
}

/// One unit of work: the message (or messages) at hand and the way to produce.
///
/// Everything produced is kept only if the app function answers `Ok`; then it is committed in one
/// Kafka transaction with the offset of the message. Nothing is sent to Kafka while the function
/// runs.
pub struct Transaction<'a> {
    bench: &'a Workbench,
    outbox: &'a RefCell<Outbox>,
    slate: &'a Slate,
    /// Where several messages are in the function at once: what is this one's alone.
    part: Option<&'a Part>,
    messages: Messages<'a>,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(bench: &'a Workbench, messages: Messages<'a>) -> Self {
        Self { bench, outbox: &bench.outbox, slate: &bench.slate, part: None, messages }
    }

    /// Makes one that is among several at once: it produces into a part of its own.
    pub(crate) fn apart(bench: &'a Workbench, part: &'a Part, messages: Messages<'a>) -> Self {
        Self { bench, outbox: &part.outbox, slate: &part.slate, part: Some(part), messages }
    }

    /// The consumed message; of several, the first.
    #[must_use]
    pub fn message(&self) -> Consumed<'a> {
        Consumed::new(self.messages.first(), 0, &self.bench.codec)
    }

    /// All consumed messages of this unit, in order.
    pub fn messages(&self) -> impl Iterator<Item = Consumed<'a>> + use<'a> {
        let codec = &self.bench.codec;
        let all = self.messages.iter().enumerate();
        all.map(move |(index, message)| Consumed::new(message, index, codec))
    }

    /// How many messages this unit has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// Raises the unit to `count` messages in all, waiting for them at most this long, and answers
    /// how many it has then. Fewer come when the time is over, when the app is to stop, while a
    /// failed batch is bisected, and before a message that must be handled alone. What was handed
    /// out before stays good. If a partition of the unit is given up meanwhile, the function is
    /// dropped here and what stays is handled anew.
    ///
    /// # Errors
    /// It was committed already.
    pub async fn consume(&self, time: Duration, count: usize) -> anyhow::Result<usize> {
        self.check_open()?;
        request::Consume::new(self.slate, self.messages, count, time).await;
        Ok(self.messages.len())
    }

    /// Waits on purpose, as when a service says when to come back. The loop serves the group
    /// meanwhile, `/livez` does not count the time as spent in the function, and a stop of the app
    /// ends the wait: the function is dropped here and its messages are handled after the restart.
    pub async fn wait(&self, time: Duration) {
        request::rest(self.slate, time).await;
    }

    /// Decodes the consumed message's value; see [`Consumed::value`].
    ///
    /// # Errors
    /// As [`Consumed::value`].
    pub fn value<T: Deserialize<'a>>(&self) -> anyhow::Result<T> {
        self.message().value()
    }

    /// Reads the consumed message's key as text; see [`Consumed::key`].
    ///
    /// # Errors
    /// As [`Consumed::key`].
    pub fn key(&self) -> anyhow::Result<Option<&'a str>> {
        self.message().key()
    }

    /// Produces a record that belongs to the (first) consumed message: its headers pass through,
    /// and its key unless the record has one.
    ///
    /// # Errors
    /// The topic is not declared, the value does not fit its schema, a required header is missing,
    /// or the record is too large.
    pub fn produce<V: Encode + ?Sized>(&self, record: Record<'_, V>) -> anyhow::Result<()> {
        self.produce_from(0, record)
    }

    /// Produces a record that belongs to the message at `index` of [`Self::messages`].
    ///
    /// # Errors
    /// As [`Self::produce`].
    pub fn produce_from<V: Encode + ?Sized>(
        &self,
        index: usize,
        record: Record<'_, V>,
    ) -> anyhow::Result<()> {
        self.check_open()?;
        let mut outputs = self.bench.outputs.borrow_mut();
        let Some(output) = outputs.iter_mut().find(|o| o.topic.name() == record.topic) else {
            let declared = outputs.iter().map(|o| o.topic.name()).collect::<Vec<_>>().join(", ");
            let topic = record.topic.to_owned();
            return Err(MessageError::UndeclaredTopic { topic, declared }.into());
        };
        let message = self.at(index)?;
        let mut outbox = self.outbox.borrow_mut();
        let passed = self.foreign_key(message, &record.key, output.topic)?;
        let key = passed.as_deref().map_or(record.key, Key::Text);
        let key = write_key(&mut outbox, message, key, &output.encoder)?;
        let value = write_value(&mut outbox, message, &record.value, &mut output.encoder)?;
        let headers = self.headers_of(output.topic, index, message, &record.headers)?;
        self.check_size(output.topic, &key, &value, message)?;
        let (topic, partition) = (output.topic, record.partition.unwrap_or(-1));
        let timestamp = record.timestamp.unwrap_or(0);
        let source = Some(message.place());
        outbox.push(OutRecord { topic, partition, timestamp, key, value, headers, source });
        Ok(())
    }

    /// Commits notes now, beside the offsets of the partitions of this unit as they were before it,
    /// in a Kafka transaction with what is complete. Returns once Kafka has confirmed. Whoever is
    /// assigned a partition before the unit is committed is told its note, by `Pattern::assigned`.
    /// Brokers take up to 4,096 bytes a note (`offset.metadata.max.bytes`).
    ///
    /// # Errors
    /// It was committed already.
    pub async fn note(&self, notes: Notes) -> anyhow::Result<()> {
        self.check_open()?;
        self.check_alone("note")?;
        self.slate.note(notes).await;
        Ok(())
    }

    /// Gives the (first) message another try: on the same topic while `kafka_retry_count` is below
    /// `NU_RETRY_COUNT_MAX`, then on the next retry topic with the count at 0, else as
    /// [`Self::produce_failure`].
    ///
    /// # Errors
    /// There is nowhere to go.
    pub fn produce_retry(&self, exception: Option<&Exception>) -> anyhow::Result<()> {
        self.produce_retry_from(0, exception)
    }

    /// Does the same for the message at `index`.
    ///
    /// # Errors
    /// As [`Self::produce_retry`].
    pub fn produce_retry_from(
        &self,
        index: usize,
        exception: Option<&Exception>,
    ) -> anyhow::Result<()> {
        let message = self.at(index)?;
        let count = retry::count_of(message.last_header(RETRY_COUNT));
        match self.bench.retry.route(message.topic(), count) {
            RetryRoute::Same(raised) => {
                self.forward(index, message.topic_partition().topic, raised, exception)
            }
            RetryRoute::Next(topic) => self.forward(index, topic, 0, exception),
            RetryRoute::Failure => self.produce_failure_from(index, exception),
        }
    }

    /// Sends the (first) message byte for byte to the failure topic, with the retry count at 0 and
    /// the header
    /// `exception` saying why.
    ///
    /// # Errors
    /// There is no failure topic.
    pub fn produce_failure(&self, exception: Option<&Exception>) -> anyhow::Result<()> {
        self.produce_failure_from(0, exception)
    }

    /// Does the same for the message at `index`.
    ///
    /// # Errors
    /// As [`Self::produce_failure`].
    pub fn produce_failure_from(
        &self,
        index: usize,
        exception: Option<&Exception>,
    ) -> anyhow::Result<()> {
        let topic = self.bench.retry.failure().ok_or(MessageError::NoFailureTopic)?;
        self.forward(index, topic, 0, exception)
    }

    /// Commits now: what this and earlier messages produced, with their offsets. Returns once Kafka
    /// has confirmed. If the transaction fails instead, the function is dropped here and the
    /// message handled anew.
    ///
    /// # Errors
    /// It was committed already.
    pub async fn commit(&self) -> anyhow::Result<()> {
        self.check_open()?;
        self.check_alone("commit")?;
        self.slate.commit().await;
        Ok(())
    }

    fn check_open(&self) -> Result<(), MessageError> {
        match self.slate.get() {
            Request::Commit | Request::Committed => Err(MessageError::AlreadyCommitted),
            _ => Ok(()),
        }
    }

    /// Refuses what is about everything before the message, where earlier ones may still run.
    fn check_alone(&self, what: &'static str) -> Result<(), MessageError> {
        self.part.map_or(Ok(()), |_| Err(MessageError::NotAlone(what)))
    }

    fn at(&self, index: usize) -> Result<&'a Message, MessageError> {
        let count = self.messages.len();
        self.messages.get(index).ok_or(MessageError::NoSuchMessage { index, count })
    }

    fn forward(
        &self,
        index: usize,
        topic: Topic,
        count: u32,
        exception: Option<&Exception>,
    ) -> anyhow::Result<()> {
        self.check_open()?;
        let message = self.at(index)?;
        let headers = self.headers_forward(topic, message, count, exception)?;
        let mut outbox = self.outbox.borrow_mut();
        let key = message.key_bytes().map(|k| append(&mut outbox, k));
        let value = message.value_bytes().map(|v| append(&mut outbox, v));
        // No bound: what could be consumed can be sent on, as far as the topic allows.
        let headers = HeaderSource::Ready(headers);
        let (partition, timestamp, source) = (-1, 0, Some(message.place()));
        outbox.push(OutRecord { topic, partition, timestamp, key, value, headers, source });
        Ok(())
    }

    /// Reads as text the key that is to pass through to a topic whose keys are of another format.
    fn foreign_key(
        &self,
        message: &'a Message,
        key: &Key<'_>,
        to: Topic,
    ) -> anyhow::Result<Option<Cow<'a, str>>> {
        let codec = &self.bench.codec;
        let (from, to) = (message.topic(), to.name());
        if !matches!(key, Key::PassThrough) || codec.same_keys(from, to) {
            return Ok(None);
        }
        let bytes = message.key_bytes();
        Ok(bytes.map(|bytes| codec.key_text(from, bytes)).transpose()?)
    }

    fn check_size(
        &self,
        topic: Topic,
        key: &Option<Range<usize>>,
        value: &Option<Range<usize>>,
        message: &Message,
    ) -> Result<(), MessageError> {
        let length = |range: &Option<Range<usize>>| range.as_ref().map_or(0, |r| r.len());
        let mut size = length(key) + length(value) + RECORD_OVERHEAD;
        if size * 2 > self.bench.record_limit {
            size +=
                message.headers().map(|(n, v)| n.len() + v.map_or(0, <[u8]>::len)).sum::<usize>();
        }
        if size > self.bench.record_limit {
            let (topic, limit) = (topic.name().to_owned(), self.bench.record_limit);
            return Err(MessageError::RecordTooLarge { topic, size, limit });
        }
        Ok(())
    }
}

/// What Kafka adds around key, value and headers at most, in bytes (record batch v2: 61 a batch,
/// some a record).
const RECORD_OVERHEAD: usize = 128;
