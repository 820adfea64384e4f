//! Consumption patterns: how many messages make one unit of work, and how the app function is
//! called with them.

use crate::message::Message;
use crate::transaction::Transaction;
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
    /// Decides how many of `waiting` make the next unit; `since` is when the first of them began to
    /// wait. Called with at least one message; it is asked again whenever messages have come or
    /// time has passed.
    fn take(&self, waiting: &VecDeque<Message>, since: Instant) -> Take;

    /// Handles one unit, usually by calling the app function. `Err` drops what the unit has
    /// produced.
    fn run(&self, transaction: &Transaction<'_>) -> impl Future<Output = anyhow::Result<()>>;
}

/// One message a unit: the pattern of the plain app.
#[derive(Debug, Clone, Copy)]
pub struct Single<F>(pub F);

impl<F> Pattern for Single<F>
where
    F: AsyncFn(&Transaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
{
    fn take(&self, _: &VecDeque<Message>, _: Instant) -> Take {
        Take::Now(1)
    }

    fn run(&self, transaction: &Transaction<'_>) -> impl Future<Output = anyhow::Result<()>> {
        (self.0)(transaction)
    }
}
