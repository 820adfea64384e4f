//! Inputs written in transactions, some of which are aborted.

use anyhow::{Context, Result};
use rdkafka::ClientConfig;
use rdkafka::producer::Producer;

use super::{FLUSH_DEADLINE, Ledger};
use crate::topics;

/// How a transaction of inputs ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its inputs are to be handled.
    Commit,
    /// None of its inputs is ever to be handled.
    Abort,
}

impl Ledger {
    /// Makes a ledger write in transactions from now on, with [`Ledger::write_transaction`].
    ///
    /// # Errors
    /// The broker does not give the producer its id.
    pub fn make_transactional(&mut self, bootstrap: &str) -> Result<()> {
        self.producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("transactional.id", topics::unique("ledger"))
            .create()?;
        self.producer.init_transactions(FLUSH_DEADLINE).context("the ledger's producer")
    }

    /// Writes `count` inputs in one transaction, and returns once it is over on every partition.
    ///
    /// The inputs of one that is aborted are in the log, as is the marker that ends it, but not
    /// in this ledger: an output of one of them is a phantom.
    ///
    /// # Errors
    /// The broker refuses one, or a topic holds records that are not the ledger's.
    #[expect(clippy::disallowed_methods, reason = "the test's own producer, and in no hurry")]
    pub fn write_transaction(&mut self, count: u32, ending: Ending) -> Result<()> {
        let before = self.log_ends.clone();
        let rows: Vec<_> = self.rows.iter().map(|(at, rows)| (at.clone(), rows.len())).collect();
        self.producer.begin_transaction()?;
        for _ in 0..count {
            self.write_drawn()?;
        }
        // An abort would drop what was not sent yet.
        self.producer.flush(FLUSH_DEADLINE).context("the broker does not take the inputs")?;
        match ending {
            Ending::Commit => self.producer.commit_transaction(FLUSH_DEADLINE)?,
            Ending::Abort => self.producer.abort_transaction(FLUSH_DEADLINE)?,
        }
        for (partition, end) in &mut self.log_ends {
            // The marker.
            *end += i64::from(before.get(partition) != Some(end));
        }
        if ending == Ending::Abort {
            self.rows.retain(|partition, _| rows.iter().any(|(known, _)| known == partition));
            for (partition, length) in rows {
                self.rows.entry(partition).or_default().truncate(length);
            }
        }
        self.check_ends()
    }

    /// How many records the logs hold that no reader is to see: aborted inputs and markers.
    pub fn unseen(&self) -> i64 {
        let rows: usize = self.rows.values().map(Vec::len).sum();
        self.log_ends.values().sum::<i64>() - rows as i64
    }
}
