//! The seam between the engine and Kafka: what the engine consumes from ([`Source`]) and commits to
//! ([`Sink`]).

mod changelog;
mod consumer;
mod producer;
pub(crate) use nubium_kafka::settings;
pub(crate) mod topics;

pub(crate) use changelog::{EndsClient, KafkaChangelog};
pub(crate) use consumer::{ClientObserver, KafkaSource, OffsetReset};
pub(crate) use producer::KafkaSink;

use crate::transaction::Batch;
use nubium_kafka::message::Message;
use nubium_topic::{Notes, Offsets, TopicPartition};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Something the group or the broker tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// These partitions are ours once [`Source::accept`] is called.
    Assigned(Vec<TopicPartition>),
    /// These partitions are to be given up; they stay ours until [`Source::accept`] is called.
    Revoked(Vec<TopicPartition>),
    /// These partitions are gone already: nothing of theirs may be committed.
    Lost(Vec<TopicPartition>),
    /// A partition cannot be read from where it is, or at all.
    Partition {
        /// Which one; a partition below zero stands for all of the topic.
        at: TopicPartition,
        /// What is wrong.
        trouble: PartitionTrouble,
    },
    /// A passing trouble that librdkafka mends by itself.
    Trouble(String),
    /// The consumer cannot go on.
    Fatal(String),
}

/// Why a partition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartitionTrouble {
    /// The log does not hold what is to be fetched next, and nothing more is fetched until a seek.
    /// What was fetched before is not affected.
    OutOfRange {
        /// The place that is not there; `None` where the log was cut and it is not known.
        offset: Option<i64>,
    },
    /// The principal may not read the topic. Kafka's words.
    Denied(String),
    /// There is no such topic or partition, or not any more. Told again while that is so.
    Gone(String),
    /// Something else, which librdkafka tries again. Kafka's words.
    Other(String),
}

/// Why a consumer call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {text}")]
pub(crate) struct SourceError {
    /// What was being done.
    pub step: &'static str,
    /// Kafka's words.
    pub text: String,
    /// Asking again cannot help.
    pub permanent: bool,
}

/// Ends a wait of [`Source::fetch`] from another thread.
pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

/// A consumer in a group. All calls come from one thread.
pub(crate) trait Source {
    /// Joins the group. Comes after the first producer is ready: that ends a predecessor's
    /// transaction, on whose offsets the assignment would have to wait.
    ///
    /// # Errors
    /// A topic's name is none.
    fn subscribe(&mut self) -> Result<(), SourceError>;

    /// Serves the group and answers what there is to tell, without blocking. Counts as a poll.
    fn serve(&mut self) -> Option<Event>;

    /// Waits up to `wait` for messages of the accepted partitions and appends those that are there.
    /// Counts as a poll. Messages from before a seek never come after it. Answers whether more may
    /// be there already.
    fn fetch(&mut self, inbox: &mut VecDeque<Message>, wait: Duration) -> bool;

    /// Carries an assignment out, from the given offsets on, or gives partitions up.
    ///
    /// # Errors
    /// The group moved on meanwhile; another event follows.
    fn accept(&mut self, event: &Event, starts: &Offsets) -> Result<(), SourceError>;

    /// Asks the group for committed offsets, waiting for transactions that are about to commit some
    /// (KIP-447).
    ///
    /// # Errors
    /// The broker did not answer within `limit`, or refused.
    fn committed(
        &mut self,
        partitions: &[TopicPartition],
        limit: Duration,
    ) -> Result<Offsets, SourceError>;

    /// Takes the notes that came with the last answer of [`Self::committed`], where there are some.
    fn notes(&mut self) -> Notes;

    /// Asks where a partition without committed offset starts, by `auto.offset.reset`.
    ///
    /// # Errors
    /// As [`Self::committed`].
    fn reset_offset(&mut self, at: TopicPartition, limit: Duration) -> Result<i64, SourceError>;

    /// Asks where a partition's log begins and ends: its first offset and the one after the last.
    ///
    /// # Errors
    /// As [`Self::committed`].
    fn watermarks(
        &mut self,
        at: TopicPartition,
        limit: Duration,
    ) -> Result<(i64, i64), SourceError>;

    /// What to do about a place that the log does not hold. By default nothing is guessed.
    fn reset(&self) -> OffsetReset {
        OffsetReset::Error
    }

    /// Moves on to these offsets.
    ///
    /// # Errors
    /// A partition is no longer assigned, or its fetcher is not running yet.
    fn seek(&mut self, to: &Offsets) -> Result<(), SourceError>;

    /// Stops fetching a partition, which stays ours.
    ///
    /// # Errors
    /// It is not assigned.
    fn pause(&mut self, at: TopicPartition) -> Result<(), SourceError>;

    /// Fetches a paused partition again.
    ///
    /// # Errors
    /// It is not assigned.
    fn resume(&mut self, at: TopicPartition) -> Result<(), SourceError>;

    /// Makes the handle that ends a wait.
    fn waker(&self) -> Waker;

    /// Gives everything up; the group is left when this is dropped.
    fn close(&mut self);
}

/// What a failed transactional call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Repeat the same call.
    Retriable,
    /// Abort, rewind, replay.
    Abortable,
    /// Another producer took the `transactional.id`, or the transaction outlived its time-out: the
    /// two look the same.
    Fenced,
    /// This producer is dead.
    Fatal,
}

/// A failed transactional call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct SinkError {
    /// What to do.
    pub class: Class,
    /// Kafka's words.
    pub text: String,
}

/// What became of a record that was offered.
#[derive(Debug)]
pub(crate) enum Sent {
    /// Taken.
    Queued,
    /// The queue is full; offer it again in a moment.
    Full,
}

/// A transactional producer. All calls come from one thread, and each has a bound in time.
pub(crate) trait Sink {
    /// Makes a new producer: fences older ones of the same id and ends their transaction.
    ///
    /// # Errors
    /// See the class.
    fn init(&mut self) -> Result<(), SinkError>;
    /// Begins a transaction.
    ///
    /// # Errors
    /// See the class.
    fn begin(&mut self) -> Result<(), SinkError>;
    /// Adds the consumed offsets, with the group's metadata of this moment.
    ///
    /// # Errors
    /// See the class. It cannot be repeated.
    fn send_offsets(&mut self, offsets: &Offsets, notes: &Notes) -> Result<(), SinkError>;
    /// Queues the record at `index`.
    ///
    /// # Errors
    /// See the class.
    fn send(&mut self, batch: &mut Batch, index: usize) -> Result<Sent, SinkError>;
    /// Waits until every record that was sent has its answer.
    ///
    /// # Errors
    /// See the class; [`Self::refused`] says whether one of them was refused for what it is.
    fn settle(&mut self) -> Result<(), SinkError>;
    /// The index of a record of this transaction that the broker refused for what it is, not for
    /// what the cluster is like. Batched with others, it may be a neighbour of the one to blame.
    fn refused(&self) -> Option<usize>;
    /// Waits for all records and commits.
    ///
    /// # Errors
    /// See the class; retriable: call it again and nothing else.
    fn commit(&mut self) -> Result<(), SinkError>;
    /// Aborts.
    ///
    /// # Errors
    /// See the class; retriable: call it again and nothing else.
    fn abort(&mut self) -> Result<(), SinkError>;
    /// Says whether a connection of this producer broke, or a request of it was not answered in
    /// time: the client repeats what was on its way, and the first one may still arrive.
    fn broke(&self) -> bool;
}
