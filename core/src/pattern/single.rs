//! One message a unit.

use super::{Pattern, Take};
use crate::transaction::Transaction;
use nubium_kafka::message::Message;
use std::collections::VecDeque;
use std::future::Future;
use std::time::Instant;

/// One message a unit: the pattern of the plain app.
#[derive(Debug, Clone, Copy)]
pub struct Single<F>(pub F);

impl<F> Pattern for Single<F>
where
    F: AsyncFn(&Transaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
{
    const CONCURRENT: bool = true;

    fn take(&self, _: &VecDeque<Message>, _: Instant) -> Take {
        Take::Now(1)
    }

    fn run(&self, transaction: &Transaction<'_>) -> impl Future<Output = anyhow::Result<()>> {
        (self.0)(transaction)
    }
}
