//! Asks a cluster for its topics, creates and deletes some: the little of administration that
//! `check` and the funnel's demo need.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nubium_kafka::raw::Keyed;
use nubium_kafka::token;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

/// Shows a cluster as it answered.
#[derive(Debug)]
pub struct Topics {
    /// How many brokers it has.
    pub brokers: usize,
    /// Names and partition counts of all topics.
    pub topics: Vec<(String, usize)>,
}

impl Topics {
    /// Gives the number of a topic's partitions; `None` when there is no such topic.
    pub fn partitions(&self, topic: &str) -> Option<usize> {
        self.topics.iter().find(|(known, _)| known == topic).map(|(_, count)| *count)
    }
}

/// Asks for all topics: asking for one by name may create it.
///
/// # Errors
/// When a property is wrong, or no broker answers within `limit`.
pub fn topics(properties: &BTreeMap<String, String>, limit: Duration) -> Result<Topics> {
    let metadata = client(properties)?.inner().fetch_metadata(None, limit);
    let metadata = metadata.with_context(|| format!("no broker answered within {limit:?}"))?;
    let topics = metadata.topics().iter();
    let topics = topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
    Ok(Topics { brokers: metadata.brokers().len(), topics })
}

/// Creates topics with the brokers' default replication.
///
/// # Errors
/// When one exists already, or the cluster refuses.
pub async fn create(
    properties: &BTreeMap<String, String>,
    topics: &[&str],
    partitions: i32,
    limit: Duration,
) -> Result<()> {
    let topics = topics.iter();
    let new: Vec<_> =
        topics.map(|topic| NewTopic::new(topic, partitions, TopicReplication::Fixed(-1))).collect();
    let options = AdminOptions::new().operation_timeout(Some(limit));
    let created = client(properties)?.create_topics(&new, &options).await;
    for answer in created.context("creating topics")? {
        answer.map_err(|(topic, code)| anyhow!("creating topic {topic}: {code}"))?;
    }
    Ok(())
}

/// Deletes topics.
///
/// # Errors
/// When the cluster refuses.
pub async fn delete(
    properties: &BTreeMap<String, String>,
    topics: &[&str],
    limit: Duration,
) -> Result<()> {
    let options = AdminOptions::new().operation_timeout(Some(limit));
    let deleted = client(properties)?.delete_topics(topics, &options).await;
    for answer in deleted.context("deleting topics")? {
        answer.map_err(|(topic, code)| anyhow!("deleting topic {topic}: {code}"))?;
    }
    Ok(())
}

fn client(
    properties: &BTreeMap<String, String>,
) -> Result<Keyed<AdminClient<DefaultClientContext>>> {
    let config: ClientConfig = properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let client: AdminClient<_> = config.create().context("Kafka client")?;
    Ok(token::keyed(client, |client| client.inner(), properties))
}
