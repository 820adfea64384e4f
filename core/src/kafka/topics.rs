//! What an app must know of topics before it starts: partition counts, compaction, ids.

use super::changelog::EndsClient;
use nubium_kafka::raw::{Keyed, topic_id};
use nubium_kafka::token;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeMap;
use std::time::Duration;

const QUESTION: Duration = Duration::from_secs(10);

/// What the cluster says of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TopicFacts {
    /// Its partitions; 0: there is no such topic.
    pub partitions: i32,
    /// The id it was given when it was made; empty where the cluster does not say.
    pub id: String,
    /// `cleanup.policy`; `None`: we may not ask.
    pub cleanup_policy: Option<String>,
    /// `delete.retention.ms`; `None`: we may not ask.
    pub delete_retention: Option<Duration>,
}

/// Says why the cluster did not answer about a topic.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicTrouble {
    /// The request failed.
    #[error("the request to Kafka failed")]
    Request(#[from] KafkaError),
    /// The cluster refuses.
    #[error("Kafka refuses")]
    Refused(#[from] RDKafkaErrorCode),
    /// A topic that was just made does not show yet.
    #[error("it was made and is not there yet")]
    NotYet,
}

/// Asks the cluster about a topic.
///
/// # Errors
/// No answer in time.
pub(crate) fn partition_count(client: &EndsClient, topic: &str) -> Result<i32, TopicTrouble> {
    let metadata = client.consumer().fetch_metadata(Some(topic), QUESTION)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(0);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(0),
        Some(code) => Err(code.into()),
    }
}

/// Asks for everything about a topic that exists.
///
/// # Errors
/// No answer in time.
pub(crate) async fn facts(
    client: &EndsClient,
    properties: &BTreeMap<String, String>,
    topic: &str,
) -> Result<TopicFacts, TopicTrouble> {
    let partitions = partition_count(client, topic)?;
    if partitions == 0 {
        return Ok(TopicFacts::default());
    }
    let admin = admin(properties)?;
    let options = AdminOptions::new().request_timeout(Some(QUESTION));
    let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
    let mut settings = BTreeMap::new();
    match described?.pop() {
        Some(Ok(resource)) => {
            let pairs = resource.entries.into_iter().map(|entry| (entry.name, entry.value));
            settings.extend(pairs.filter_map(|(name, value)| Some((name, value?))));
        }
        Some(Err(code)) => {
            tracing::warn!(topic, %code, "The changelog's settings cannot be checked.");
        }
        None => {}
    }
    let retention = settings.get("delete.retention.ms").and_then(|text| text.parse().ok());
    Ok(TopicFacts {
        partitions,
        id: topic_id(client.consumer(), topic, QUESTION).unwrap_or_default(),
        cleanup_policy: settings.remove("cleanup.policy"),
        delete_retention: retention.map(Duration::from_millis),
    })
}

/// Makes a compacted topic.
///
/// # Errors
/// The cluster refuses.
pub(crate) async fn create_compacted(
    properties: &BTreeMap<String, String>,
    topic: &str,
    partitions: i32,
) -> Result<(), TopicTrouble> {
    let admin = admin(properties)?;
    // The brokers' default replication.
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1))
        .set("cleanup.policy", "compact");
    let options = AdminOptions::new().operation_timeout(Some(QUESTION));
    let made = admin.create_topics([&new], &options).await?;
    match made.into_iter().next() {
        // Another instance was first.
        None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(code.into()),
    }
}

fn admin(
    properties: &BTreeMap<String, String>,
) -> Result<Keyed<AdminClient<DefaultClientContext>>, KafkaError> {
    let config: ClientConfig = properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let client: AdminClient<_> = config.create()?;
    Ok(token::keyed(client, |client| client.inner(), properties))
}
