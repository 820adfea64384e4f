//! The app function: maps a message and produces what comes of it.

use std::sync::Arc;

use anyhow::Result;
use nubium_core::Transaction;
use nubium_core::metrics::{CounterFamily, Metrics};
use nubium_mapping::mapping::{Mapping, Verdict};
use nubium_service::worker;

/// Runs a mapping as an app function; shared by all loops.
pub struct Funnel {
    mapping: Arc<Mapping>,
    dropped: CounterFamily,
}

impl Funnel {
    /// Makes the app function of a mapping; what it drops is counted in `metrics`.
    ///
    /// # Errors
    /// When the metrics have another metric of that name.
    pub fn new(mapping: Arc<Mapping>, metrics: &Metrics) -> Result<Self> {
        let help = "Messages that the mapping program dropped with abort.";
        let dropped = metrics.counter("messages_dropped", help, &["topic"])?;
        Ok(Self { mapping, dropped })
    }

    /// Handles one message: its records are produced, or it is dropped, or it goes to the failure
    /// topic.
    ///
    /// # Errors
    /// When it cannot be mapped and there is no failure topic, or a record cannot be produced.
    pub fn handle(&self, transaction: &Transaction<'_>) -> Result<()> {
        let message = transaction.message();
        worker::with(&self.mapping, |worker| match worker.map(message) {
            Ok(Verdict::Drop(reason)) => {
                self.dropped.with(&[message.topic()])?.inc();
                worker::log_drop(message, reason.as_deref());
                Ok(())
            }
            Ok(Verdict::Produce) => worker.produce(transaction),
            Err(error) => worker::fail(transaction, error),
        })
    }
}
