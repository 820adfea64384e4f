//! Topics: what is there, making, growing, emptying and deleting them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    MetadataRequest,
};
use nubium_topic::TopicPartition;

use crate::acl::Operations;
use crate::admin::{Admin, Mode};
use crate::error::{AdminError, Outcomes, Refusal};
use crate::offset::partition_results;
use crate::partitions::{by_topic, topic_name};
use crate::wire::To;

/// How often leaders are looked for.
const PAUSE: Duration = Duration::from_millis(50);

/// Says what a topic to be created shall be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; none means as many as the brokers give by default.
    pub partitions: Option<u32>,
    /// How many copies of each; none means as many as the brokers give by default.
    pub replication: Option<u16>,
    /// Its own configuration.
    pub configs: BTreeMap<String, String>,
}

/// Shows a topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// The id that tells it from an earlier topic of the same name; empty before Kafka 2.8.
    pub id: String,
    /// Whether Kafka keeps it for itself.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
    /// What the user who asks may do with it.
    pub operations: Operations,
}

/// Shows a partition as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub number: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<i32>,
    /// The brokers that have a copy.
    pub replicas: Vec<i32>,
    /// Those whose copy is complete.
    pub in_sync: Vec<i32>,
}

impl TopicDescription {
    /// Counts the copies; of the partition that has least, while they are being moved.
    #[must_use]
    pub fn replication(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0)
    }

    /// Tells whether every partition has a leader.
    #[must_use]
    pub fn is_led(&self) -> bool {
        self.partitions.iter().all(|partition| partition.leader.is_some())
    }
}

impl Admin {
    /// Describes every topic that the user may see, by name, in one request.
    ///
    /// # Errors
    /// The broker is lost, or refuses.
    pub async fn topics(&self) -> Result<BTreeMap<String, TopicDescription>, AdminError> {
        self.metadata("list the topics", None).await
    }

    /// Describes these topics; one that is not there is left out. None is created by asking.
    ///
    /// # Errors
    /// The broker is lost, or refuses one of them.
    pub async fn describe_topics(
        &self,
        names: &[&str],
    ) -> Result<BTreeMap<String, TopicDescription>, AdminError> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.metadata("describe topics", Some(names)).await
    }

    async fn metadata(
        &self,
        what: &str,
        names: Option<&[&str]>,
    ) -> Result<BTreeMap<String, TopicDescription>, AdminError> {
        let named = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(names.map(|names| names.iter().map(named).collect()))
            .with_allow_auto_topic_creation(false)
            .with_include_topic_authorized_operations(true);
        let answer = self.network.ask(what, To::Any, &request).await?;
        let mut topics = BTreeMap::new();
        for topic in answer.topics {
            let name = topic.name.as_ref().map(|name| name.0.to_string()).unwrap_or_default();
            match Refusal::of(topic.error_code, None) {
                // Being elected; the partitions say which.
                Some(no) if no.is(ResponseError::LeaderNotAvailable) => {}
                Some(no) if no.is_missing() => continue,
                Some(no) => return Err(AdminError::refused(format!("describe topic {name}"), no)),
                None => {}
            }
            topics.insert(name.clone(), described(name, topic));
        }
        Ok(topics)
    }

    /// Creates topics, or lets the cluster check whether it would.
    ///
    /// A topic that is there already is refused with TOPIC_ALREADY_EXISTS; leaders are elected
    /// after this returns, see [`Admin::wait_for_leaders`].
    ///
    /// # Errors
    /// The broker is lost; what became of the topics is then not known.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        mode: Mode,
    ) -> Result<Outcomes, AdminError> {
        let request = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(creatable).collect())
            .with_timeout_ms(self.timeout_ms())
            .with_validate_only(mode == Mode::Validate);
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let what = doing("create", &names);
        let answer = self.network.ask(&what, To::Controller, &request).await?;
        let results = answer.topics.into_iter().map(|topic| {
            (topic.name.0.to_string(), Refusal::outcome(topic.error_code, topic.error_message))
        });
        Ok(results.collect())
    }

    /// Raises topics to these numbers of partitions.
    ///
    /// # Errors
    /// As [`Admin::create_topics`].
    pub async fn create_partitions(
        &self,
        topics: &[(String, u32)],
        mode: Mode,
    ) -> Result<Outcomes, AdminError> {
        let wanted = topics.iter().map(|(name, count)| {
            CreatePartitionsTopic::default()
                .with_name(topic_name(name))
                .with_count(i32::try_from(*count).unwrap_or(i32::MAX))
                .with_assignments(None)
        });
        let request = CreatePartitionsRequest::default()
            .with_topics(wanted.collect())
            .with_timeout_ms(self.timeout_ms())
            .with_validate_only(mode == Mode::Validate);
        let names: Vec<&str> = topics.iter().map(|(name, _)| name.as_str()).collect();
        let what = doing("add partitions to", &names);
        let answer = self.network.ask(&what, To::Controller, &request).await?;
        let results = answer.results.into_iter().map(|topic| {
            (topic.name.0.to_string(), Refusal::outcome(topic.error_code, topic.error_message))
        });
        Ok(results.collect())
    }

    /// Deletes topics with all that is in them. The cluster removes the data some time after.
    ///
    /// # Errors
    /// As [`Admin::create_topics`].
    pub async fn delete_topics(&self, names: &[&str]) -> Result<Outcomes, AdminError> {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(names.iter().map(|name| topic_name(name)).collect())
            .with_timeout_ms(self.timeout_ms());
        let what = doing("delete", names);
        let answer = self.network.ask(&what, To::Controller, &request).await?;
        let results = answer.responses.into_iter().map(|topic| {
            let name = topic.name.map(|name| name.0.to_string()).unwrap_or_default();
            (name, Refusal::outcome(topic.error_code, topic.error_message))
        });
        Ok(results.collect())
    }

    /// Deletes the messages before an offset, for each of these partitions; -1 means all that are
    /// there. Gives the first offset that is left.
    ///
    /// # Errors
    /// A partition has no leader, or its leader is lost or refuses.
    pub async fn delete_records(
        &self,
        before: &[(TopicPartition, i64)],
    ) -> Result<BTreeMap<TopicPartition, i64>, AdminError> {
        let timeout = self.timeout_ms();
        let request = |part: &[(TopicPartition, i64)]| {
            let topics = by_topic(part.iter().copied()).into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|(number, offset)| {
                    DeleteRecordsPartition::default()
                        .with_partition_index(number)
                        .with_offset(offset)
                });
                DeleteRecordsTopic::default()
                    .with_name(topic_name(name))
                    .with_partitions(partitions.collect())
            });
            DeleteRecordsRequest::default().with_topics(topics.collect()).with_timeout_ms(timeout)
        };
        let results = self.ask_leaders("delete records", before, request, |answer| {
            partition_results(answer.topics, |topic| {
                let partitions = topic.partitions.into_iter();
                let results = partitions
                    .map(|p| (p.partition_index, p.error_code, p.low_watermark))
                    .collect();
                (topic.name, results)
            })
        });
        results.await
    }

    /// Waits until every partition of these topics is there and has a leader.
    ///
    /// `wanted` has the least number of partitions of each.
    ///
    /// # Errors
    /// It takes longer than `limit`; the first topic that is not ready is named.
    pub async fn wait_for_leaders(
        &self,
        wanted: &[(&str, u32)],
        limit: Duration,
    ) -> Result<(), AdminError> {
        let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
        let start = Instant::now();
        loop {
            let topics = self.describe_topics(&names).await?;
            let ready = |(name, count): &&(&str, u32)| {
                let topic = topics.get(*name);
                topic.is_some_and(|t| t.partitions.len() >= *count as usize && t.is_led())
            };
            let Some((name, _)) = wanted.iter().find(|wanted| !ready(wanted)) else {
                return Ok(());
            };
            if start.elapsed() >= limit {
                let what = format!("wait for the leaders of topic {name}");
                let refusal = Refusal {
                    code: ResponseError::LeaderNotAvailable.code(),
                    message: Some(format!("not every partition has one after {limit:?}")),
                };
                return Err(AdminError::refused(what, refusal));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn timeout_ms(&self) -> i32 {
        // The broker gives up first, so that its reason arrives.
        let limit = self.network.limits().answer.mul_f32(0.8);
        i32::try_from(limit.as_millis()).unwrap_or(i32::MAX)
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let configs = topic.configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(name.clone().into())
            .with_value(Some(value.clone().into()))
    });
    let partitions = topic.partitions.map_or(-1, |count| i32::try_from(count).unwrap_or(i32::MAX));
    let replication = topic.replication.map_or(-1, |n| i16::try_from(n).unwrap_or(i16::MAX));
    CreatableTopic::default()
        .with_name(topic_name(&topic.name))
        .with_num_partitions(partitions)
        .with_replication_factor(replication)
        .with_configs(configs.collect())
}

fn described(name: String, topic: MetadataResponseTopic) -> TopicDescription {
    let mut partitions: Vec<_> = topic
        .partitions
        .into_iter()
        .map(|partition| PartitionDescription {
            number: partition.partition_index,
            leader: Some(partition.leader_id.0).filter(|id| *id >= 0),
            replicas: partition.replica_nodes.iter().map(|id| id.0).collect(),
            in_sync: partition.isr_nodes.iter().map(|id| id.0).collect(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.number);
    let id = if topic.topic_id.is_nil() { String::new() } else { topic.topic_id.to_string() };
    let operations = Operations::from_bits(topic.topic_authorized_operations);
    TopicDescription { name, id, internal: topic.is_internal, partitions, operations }
}

/// Says what is being done to several topics, naming the first.
fn doing(verb: &str, names: &[&str]) -> String {
    match names {
        [] => format!("{verb} no topic"),
        [one] => format!("{verb} topic {one}"),
        [first, rest @ ..] => format!("{verb} topic {first} and {} more", rest.len()),
    }
}
