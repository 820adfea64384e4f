//! The app function: maps a message by its key's entry, produces what comes of it, and changes the
//! entry.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use nubium_core::Transaction;
use nubium_core::metrics::{CounterFamily, Metrics};
use nubium_mapping::mapping::{Mapping, Previous, Stored, Verdict};
use nubium_service::worker;

use crate::entry;

/// Runs a mapping as an app function; shared by all loops.
pub struct Table {
    mapping: Arc<Mapping>,
    dropped: CounterFamily,
}

impl Table {
    /// Makes the app function of a mapping; what it drops is counted in `metrics`.
    ///
    /// # Errors
    /// When the metrics have another metric of that name.
    pub fn new(mapping: Arc<Mapping>, metrics: &Metrics) -> Result<Self> {
        let help = "Messages that the mapping program dropped with abort.";
        let dropped = metrics.counter("messages_dropped", help, &["topic"])?;
        Ok(Self { mapping, dropped })
    }

    /// Handles one message: its records are produced and its key's entry is changed, or it is
    /// dropped, or it goes to the failure topic. One without a value deletes the entry.
    ///
    /// # Errors
    /// When it cannot be mapped and there is no failure topic, a record cannot be produced, or the
    /// store fails.
    pub fn handle(&self, transaction: &Transaction<'_>) -> Result<()> {
        let message = transaction.message();
        if message.key_bytes().is_none() {
            return worker::fail(transaction, anyhow!("a table's message needs a key"));
        }
        if message.is_tombstone() {
            return transaction.delete_table_entry();
        }
        let previous = self.previous(transaction)?;
        worker::with(&self.mapping, |worker| match worker.map_entry(message, previous) {
            Ok(Verdict::Drop(reason)) => {
                self.dropped.with(&[message.topic()])?.inc();
                worker::log_drop(message, reason.as_deref());
                Ok(())
            }
            Ok(Verdict::Produce) => {
                worker.produce(transaction)?;
                match worker.stored() {
                    Stored::Keep => Ok(()),
                    Stored::Put(value) => transaction.update_table_entry(value),
                    Stored::Delete => transaction.delete_table_entry(),
                }
            }
            Err(error) => worker::fail(transaction, error),
        })
    }

    /// Reads the key's entry, where the program looks at it.
    fn previous(&self, transaction: &Transaction<'_>) -> Result<Option<Previous>> {
        if !self.mapping.reads_previous(0) {
            return Ok(None);
        }
        let entry = transaction.table_entry()?;
        Ok(entry.map(|entry| Previous {
            value: entry::json(entry.value),
            timestamp_ms: Some(entry.timestamp),
        }))
    }
}
