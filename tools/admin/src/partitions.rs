//! Partitions as requests group them: by topic, and by the broker that leads them.

use std::collections::BTreeMap;

use kafka_protocol::messages::TopicName;
use nubium_topic::TopicPartition;

/// Groups partitions by topic, for a request.
pub(crate) fn by_topic<T>(
    partitions: impl IntoIterator<Item = (TopicPartition, T)>,
) -> BTreeMap<&'static str, Vec<(i32, T)>> {
    let mut topics: BTreeMap<&'static str, Vec<(i32, T)>> = BTreeMap::new();
    for (at, value) in partitions {
        topics.entry(at.topic.name()).or_default().push((at.partition, value));
    }
    topics
}

/// Makes the protocol's form of a topic's name.
pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(name.to_owned().into())
}
