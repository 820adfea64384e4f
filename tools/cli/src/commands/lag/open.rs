//! Transactions that are open on partitions: readers of committed messages wait for them.

use std::collections::BTreeMap;

use nubium_admin::Admin;
use nubium_topic::TopicPartition;
use serde_json::json;

use crate::when;

/// One transaction that is open on a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenTransaction {
    pub(crate) producer: i64,
    /// The transactional id, if a coordinator knows it.
    pub(crate) id: Option<String>,
    /// When it began, or else when its producer wrote last, in milliseconds since the epoch.
    pub(crate) since: i64,
    pub(crate) started_known: bool,
}

impl OpenTransaction {
    /// Says who and for how long.
    pub(crate) fn show(&self, now: i64) -> String {
        let who = self.id.clone().unwrap_or_else(|| format!("producer {}", self.producer));
        let age = when::show_duration(now - self.since);
        match self.started_known {
            true => format!("{who}, open for {age}"),
            false => format!("{who}, silent for {age}"),
        }
    }

    /// The same for scripts.
    pub(crate) fn as_json(&self, now: i64) -> serde_json::Value {
        json!({"producer": self.producer, "id": self.id, "age_ms": now - self.since,
            "age_is_since_last_write": !self.started_known})
    }
}

/// Finds the transactions that are open on these partitions.
///
/// # Errors
/// A broker is lost, refuses, or is too old for it.
pub(crate) async fn on(
    admin: &Admin,
    partitions: &[TopicPartition],
    now: i64,
) -> anyhow::Result<BTreeMap<TopicPartition, Vec<OpenTransaction>>> {
    let mut open: BTreeMap<TopicPartition, Vec<OpenTransaction>> = BTreeMap::new();
    if partitions.is_empty() {
        return Ok(open);
    }
    let listed = admin.transactions(&[], None).await?;
    for (at, producers) in admin.producers(partitions).await? {
        for producer in producers.iter().filter(|producer| producer.transaction_start.is_some()) {
            let id = listed.iter().find(|found| found.producer == producer.producer);
            let id = id.map(|found| found.id.clone());
            let started = match &id {
                Some(id) => admin.describe_transaction(id).await?.and_then(|found| found.started),
                None => None,
            };
            let since = started.unwrap_or(producer.last_write).min(now);
            let started_known = started.is_some();
            let transaction =
                OpenTransaction { producer: producer.producer, id, since, started_known };
            open.entry(at).or_default().push(transaction);
        }
    }
    Ok(open)
}
