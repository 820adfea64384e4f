//! Asks a cluster for its topics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// Shows a cluster as it answered.
#[derive(Debug)]
pub struct Topics {
    /// How many brokers it has.
    pub brokers: usize,
    /// Names and partition counts of all topics.
    pub topics: Vec<(String, usize)>,
}

/// Asks for all topics: asking for one by name may create it.
///
/// # Errors
/// When a property is wrong, or no broker answers within `limit`.
pub fn topics(properties: &BTreeMap<String, String>, limit: Duration) -> Result<Topics> {
    let config: ClientConfig = properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let client: BaseConsumer = config.create().context("Kafka client")?;
    let metadata = client.fetch_metadata(None, limit);
    let metadata = metadata.with_context(|| format!("no broker answered within {limit:?}"))?;
    let topics = metadata.topics().iter();
    let topics = topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
    Ok(Topics { brokers: metadata.brokers().len(), topics })
}
