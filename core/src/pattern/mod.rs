//! Consumption patterns: how many messages make one unit of work, and how the app function is
//! called with them.

mod batch;
mod batch_transaction;
mod single;

pub use batch::Batch;
pub use batch_transaction::BatchTransaction;
pub use single::Single;

use crate::transaction::Transaction;
use nubium_config::Config;
use nubium_kafka::message::Message;
use nubium_topic::TopicPartition;
use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

/// What to do with the messages that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The first so many of them are the next unit of work.
    Now(usize),
    /// Wait for more, at most this long.
    Wait(Duration),
}

/// Decides what a unit of work is. The original's `transaction_type`; implement it for a pattern of
/// your own.
///
/// A unit is all or nothing: its messages' offsets and everything produced from it are committed
/// together.
pub trait Pattern: Send + Sync + 'static {
    /// Whether a unit is a batch, whose size is then counted in `nubium_batch_messages`.
    const BATCH: bool = false;

    /// Whether several units may be in the function at once (`NU_APP_CONCURRENCY`); each is one
    /// message then, and [`Self::take`] is not asked.
    const CONCURRENT: bool = false;

    /// Takes what was not said in code from the settings, once, before the app starts.
    fn configure(&mut self, _: &Config) {}

    /// Is told which partitions a loop has got, before any of their messages comes, and the notes
    /// that lie beside their committed offsets: see [`Transaction::note`].
    fn assigned(&self, _: &[TopicPartition], _: &[(TopicPartition, String)]) {}

    /// Whether a unit that failed, after the retries, is handled again in halves to find the
    /// messages to blame. What cannot be decoded is looked for in any case.
    fn bisects(&self) -> bool {
        false
    }

    /// Decides how many of `waiting` make the next unit; `since` is when the first of them began to
    /// wait. Called with at least one message; it is asked again whenever messages have come or
    /// time has passed.
    fn take(&self, waiting: &VecDeque<Message>, since: Instant) -> Take;

    /// Handles one unit, usually by calling the app function. `Err` drops what the unit has
    /// produced.
    fn run(&self, transaction: &Transaction<'_>) -> impl Future<Output = anyhow::Result<()>>;
}
