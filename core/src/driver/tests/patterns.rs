//! What the model's apps do.

use crate::pattern::{Batch, BatchTransaction, Pattern, Single};
use crate::record::Record;
use crate::transaction::Transaction;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Copies one message a unit; the function of every third waits.
pub(super) fn waiting() -> impl Pattern {
    Single(async |tx: &Transaction<'_>| {
        let n: i64 = tx.value()?;
        tx.produce(Record::to("out").value(&n).partition(tx.message().partition()))?;
        for _ in 0..n % 3 {
            tokio::task::yield_now().await;
        }
        Ok(())
    })
}

/// Copies batches that wait, and ask for more.
pub(super) fn growing() -> impl Pattern {
    Batch::new(async |batch: &BatchTransaction<'_>| {
        tokio::task::yield_now().await;
        batch.consume_within(Duration::ZERO, 9).await?;
        for message in batch.messages() {
            let n: i64 = message.value()?;
            batch.produce(message, Record::to("out").value(&n).partition(message.partition()))?;
        }
        tokio::task::yield_now().await;
        Ok(())
    })
    .max_count(6)
    .max_time(Duration::ZERO)
}

#[derive(Debug, Serialize, Deserialize)]
struct Count {
    count: i64,
}

/// Counts messages by key and says the count.
pub(super) fn counting() -> impl Pattern {
    Single(async |tx: &Transaction<'_>| {
        let count = tx.read_table_entry::<Count>()?.map_or(0, |entry| entry.count) + 1;
        tokio::task::yield_now().await;
        tx.update_table_entry(&Count { count })?;
        tx.produce(Record::to("out").value(&count).partition(tx.message().partition()))
    })
}
