//! Clients of one cluster: their properties, and what they report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nubium_kafka::reader::{self, Consumer};
use nubium_kafka::report::Trouble;
use nubium_kafka::settings::{tool_consumer_properties, tool_producer_properties};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use crate::session::{Session, Target};
use nubium_host::failure::Outcome;

/// What the brokers' logs know this tool by.
const NAME: &str = "dude";

/// Keeps what a producer reported: its trouble, and the records that were not delivered.
#[derive(Debug, Clone, Default)]
pub struct Context {
    trouble: Trouble,
    undelivered: Arc<Mutex<Undelivered>>,
}

/// The records that were not delivered.
#[derive(Debug, Clone, Default)]
pub struct Undelivered {
    /// How many.
    pub count: u64,
    /// The lowest number that one was sent with, and why it failed.
    pub first: Option<(usize, String)>,
}

impl Context {
    /// What was reported last, to stand at the end of an error.
    #[must_use]
    pub fn trouble(&self) -> String {
        self.trouble.last()
    }

    /// What was not delivered so far.
    #[must_use]
    pub fn undelivered(&self) -> Undelivered {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.trouble.log(level, facility, message);
    }

    fn stats(&self, _: rdkafka::Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let Err((error, _)) = result else { return };
        // Dropped by an abort, because of what is reported by itself.
        if let Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) =
            error.rdkafka_error_code()
        {
            return;
        }
        let mut undelivered = self.undelivered.lock().unwrap_or_else(PoisonError::into_inner);
        undelivered.count += 1;
        if undelivered.first.as_ref().is_none_or(|(first, _)| number < *first) {
            undelivered.first = Some((number, error.to_string()));
        }
    }
}

/// Gives the properties of a consumer that reads assigned partitions as fast as they come.
#[must_use]
pub fn consumer_properties(session: &Session, target: &Target) -> BTreeMap<String, String> {
    let given = tool_consumer_properties(&session.topology, &target.cluster, NAME);
    let mut map = given.expose().clone();
    for (name, value) in [
        ("queued.min.messages", "100000"),
        ("queued.max.messages.kbytes", "65536"),
        ("fetch.max.bytes", "52428800"),
        ("max.partition.fetch.bytes", "8388608"),
        ("receive.message.max.bytes", "104857600"),
        ("fetch.wait.max.ms", "100"),
    ] {
        map.insert(name.into(), value.into());
    }
    map
}

/// Gives the properties of a producer that fills its batches.
#[must_use]
pub fn producer_properties(session: &Session, target: &Target) -> BTreeMap<String, String> {
    let given = tool_producer_properties(&session.topology, &target.cluster, NAME);
    let mut map = given.expose().clone();
    for (name, value) in [
        ("linger.ms", "20"),
        ("batch.size", "1000000"),
        ("queue.buffering.max.messages", "500000"),
        ("queue.buffering.max.kbytes", "262144"),
        // Only what fails is reported: the others are counted by their absence.
        ("delivery.report.only.error", "true"),
    ] {
        map.insert(name.into(), value.into());
    }
    map
}

/// Makes a consumer.
///
/// # Errors
/// A property is wrong.
pub fn consumer(properties: &BTreeMap<String, String>) -> Outcome<(Consumer, Trouble)> {
    Ok(reader::consumer(properties).context("Kafka consumer")?)
}

/// Counts the partitions of a topic.
///
/// # Errors
/// There is no such topic, or no broker answers in time.
pub fn partitions(
    consumer: &BaseConsumer<Trouble>,
    trouble: &Trouble,
    topic: &str,
    limit: Duration,
) -> anyhow::Result<Vec<i32>> {
    // Of all topics: asking for one by name may create it.
    let metadata = consumer.fetch_metadata(None, limit);
    let metadata = metadata
        .with_context(|| format!("no broker answered within {limit:?}{}", trouble.last()))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        let names = metadata.topics().iter().map(|found| found.name());
        let near = nearest(topic, names).map(|near| format!("; did you mean {near}?"));
        bail!("there is no topic {topic}{}", near.unwrap_or_default());
    };
    let mut partitions: Vec<i32> = found.partitions().iter().map(|p| p.id()).collect();
    partitions.sort_unstable();
    Ok(partitions)
}

/// Finds the name that contains, or is contained in, the one asked for.
fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names.filter(|known| known.contains(name) || name.contains(known)).min_by_key(|k| k.len())
}
