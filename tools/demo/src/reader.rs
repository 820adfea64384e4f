//! Reads what the app produced, as any other app would: with a read_committed consumer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nubium_core::codec::wire;
use nubium_core::config::{Cluster, Config};
use nubium_host::Stop;
use nubium_kafka::settings::plain_consumer_properties;
use nubium_kafka::token;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Holds what has been read from one topic.
#[derive(Debug, Default, Clone)]
pub(crate) struct Shelf {
    /// Number of records.
    pub(crate) records: u64,
    /// The first one's Avro datum, to show what they look like.
    pub(crate) sample: Option<Vec<u8>>,
}

/// What has been read, by topic; shared with who shows it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Shelves(Arc<Mutex<BTreeMap<String, Shelf>>>);

impl Shelves {
    /// Gives a copy of what there is now.
    pub(crate) fn now(&self) -> BTreeMap<String, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives how many records have been read in all.
    pub(crate) fn records(&self) -> u64 {
        self.now().values().map(|shelf| shelf.records).sum()
    }

    fn put(&self, topic: &str, value: Option<&[u8]>) {
        let mut shelves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = shelves.entry(topic.to_owned()).or_default();
        shelf.records += 1;
        if shelf.sample.is_none() {
            let datum = value.and_then(|bytes| wire::split(bytes).ok());
            shelf.sample = datum.map(|(_, datum)| datum.to_vec());
        }
    }
}

/// Reads all records of the topics from the first on, until it is told to stop.
///
/// # Errors
/// When the cluster does not answer, or a topic is not there.
pub(crate) fn read(
    config: &Config,
    cluster: &Cluster,
    topics: &[&str],
    shelves: &Shelves,
    stop: &Stop,
) -> Result<()> {
    let properties = plain_consumer_properties(config, cluster, 0);
    let mut client = properties.to_client_config();
    // It is given its partitions, so it needs no group and commits nothing.
    client.set("enable.auto.commit", "false").set("group.id", "funnel-demo-reader");
    let consumer: BaseConsumer = client.create().context("Kafka consumer")?;
    let consumer = token::keyed(consumer, |consumer| consumer.client(), properties.expose());
    let mut partitions = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE);
        let metadata = metadata.with_context(|| format!("partitions of {topic}"))?;
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            partitions.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        }
    }
    consumer.assign(&partitions).context("assignment")?;
    while !stop.requested() {
        match consumer.poll(Duration::from_millis(50)) {
            None => {}
            Some(Ok(message)) => shelves.put(message.topic(), message.payload()),
            Some(Err(error)) => return Err(error).context("reading the outputs"),
        }
    }
    Ok(())
}
