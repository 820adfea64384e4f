//! [`ChangelogSource`] on librdkafka.

use super::consumer::list_of;
use nubium_kafka::raw::MessageQueue;
use nubium_kafka::reader::{Came, Consumer as Reading, consumer};
use nubium_kafka::report::Trouble;
use nubium_table_store::{Bounds, ChangelogSource, Found, Member, SourceTrouble};
use nubium_topic::{Offsets, Topic, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Records taken from librdkafka's queue at a time.
const AT_ONCE: usize = 1024;

/// Asks where logs end, open transactions included. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EndsClient(Arc<Reading>);

impl EndsClient {
    /// Makes a client with the properties of `changelog_properties(…, "read_uncommitted")`.
    ///
    /// # Errors
    /// A property is wrong.
    pub(crate) fn new(properties: &BTreeMap<String, String>) -> KafkaResult<Self> {
        Ok(Self(Arc::new(consumer(properties)?.0)))
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<Trouble> {
        &self.0
    }

    /// Asks where logs begin and end: one request a broker for all their beginnings, one for their
    /// ends.
    ///
    /// # Errors
    /// No answer in time.
    pub(crate) fn bounds(
        &self,
        of: &[TopicPartition],
        limit: Duration,
    ) -> Result<Vec<Bounds>, SourceTrouble> {
        let first = self.offsets(of, Offset::Beginning, limit)?;
        let end = self.offsets(of, Offset::End, limit)?;
        let bounds = |at: &TopicPartition| {
            Some(Bounds { at: *at, first: first.get(*at)?, end: end.get(*at)? })
        };
        Ok(of.iter().filter_map(bounds).collect())
    }

    /// Asks where logs end alone.
    ///
    /// # Errors
    /// No answer in time.
    pub(crate) fn ends(
        &self,
        of: &[TopicPartition],
        limit: Duration,
    ) -> Result<Vec<Bounds>, SourceTrouble> {
        let ends = self.offsets(of, Offset::End, limit)?;
        Ok(ends.iter().map(|(at, end)| Bounds { at, first: 0, end }).collect())
    }

    fn offsets(
        &self,
        of: &[TopicPartition],
        which: Offset,
        limit: Duration,
    ) -> Result<Offsets, SourceTrouble> {
        let mut list = TopicPartitionList::new();
        for at in of {
            list.add_partition_offset(at.topic.name(), at.partition, which)
                .map_err(trouble("offset look-up"))?;
        }
        let answer = self.0.offsets_for_times(list, limit).map_err(trouble("offset look-up"))?;
        let mut offsets = Offsets::default();
        for element in answer.elements() {
            element.error().map_err(trouble("offset look-up"))?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.set(TopicPartition::new(element.topic(), element.partition()), offset);
            }
        }
        Ok(offsets)
    }
}

/// Reads changelogs with a consumer of its own, which joins no group.
pub(crate) struct KafkaChangelog {
    // Before the consumer, which must outlive it.
    queue: MessageQueue,
    consumer: Reading,
    ends: EndsClient,
    group: String,
    /// The app's input, whose owners are asked for.
    input: String,
    topics: Vec<(usize, Topic)>,
}

impl KafkaChangelog {
    /// Makes a reader with the properties of `changelog_properties(…, "read_committed")`; `group`
    /// and `input` are the app's, to ask who owns what.
    ///
    /// # Errors
    /// A property is wrong.
    pub(crate) fn new(
        properties: &BTreeMap<String, String>,
        ends: EndsClient,
        group: &str,
        input: &str,
    ) -> KafkaResult<Self> {
        let (consumer, _) = consumer(properties)?;
        let queue = MessageQueue::of_unsubscribed(&consumer, AT_ONCE)
            .ok_or_else(|| KafkaError::ClientCreation("it has no queue".into()))?;
        let (group, input) = (group.to_owned(), input.to_owned());
        Ok(Self { queue, consumer, ends, group, input, topics: Vec::new() })
    }
}

fn trouble(step: &'static str) -> impl Fn(KafkaError) -> SourceTrouble {
    move |error| SourceTrouble { step, text: error.to_string() }
}

impl ChangelogSource for KafkaChangelog {
    fn bounds(
        &mut self,
        of: &[TopicPartition],
        limit: Duration,
    ) -> Result<Vec<Bounds>, SourceTrouble> {
        self.ends.bounds(of, limit)
    }

    fn assign(&mut self, from: &Offsets) -> Result<(), SourceTrouble> {
        let list = list_of(from.iter().map(|(at, offset)| (at, Some(offset))));
        self.topics.clear();
        let assigned =
            if from.is_empty() { self.consumer.unassign() } else { self.consumer.assign(&list) };
        assigned.map_err(trouble("assignment"))
    }

    fn read(&mut self, wait: Duration, each: &mut dyn FnMut(Found<'_>)) -> usize {
        let topics = &mut self.topics;
        let mut wait = wait;
        let mut count = 0;
        loop {
            let taken = self.queue.receive(wait, |message| {
                let partition = message.partition();
                let at = TopicPartition {
                    topic: super::consumer::topic_of(topics, &message),
                    partition,
                };
                match Came::by(message.error()) {
                    Came::Message => each(Found::Record {
                        at,
                        offset: message.offset(),
                        timestamp: message.timestamp().unwrap_or(0),
                        key: message.key(),
                        value: message.value(),
                    }),
                    Came::End => {
                        each(Found::End { at, position: message.offset() });
                    }
                    Came::OutOfRange => each(Found::OutOfRange { at }),
                    Came::Trouble(code) => {
                        tracing::warn!(%at, %code, "A changelog cannot be read for now.")
                    }
                }
            });
            count += taken;
            // What is there already is taken at once, but orders are to be seen now and then.
            if taken < AT_ONCE || count >= 64 * AT_ONCE {
                return count;
            }
            wait = Duration::ZERO;
        }
    }

    fn members(&mut self, limit: Duration) -> Result<Vec<Member>, SourceTrouble> {
        let list = self.consumer.fetch_group_list(Some(&self.group), limit);
        let list = list.map_err(trouble("group description"))?;
        let mut members = Vec::new();
        for group in list.groups().iter().filter(|group| group.name() == self.group) {
            if group.protocol_type() != "consumer" {
                let text = "the group is not of the classic protocol: \
                    NU_TABLE_STANDBY_REPLICAS needs NU_CONSUMER_GROUP_PROTOCOL=classic";
                return Err(SourceTrouble { step: "group description", text: text.into() });
            }
            for member in group.members() {
                let assigned = member.assignment().unwrap_or_default();
                let partitions = partitions_in(assigned, &self.input).unwrap_or_default();
                let client_id = member.client_id().to_owned();
                members.push(Member { client_id, partitions });
            }
        }
        Ok(members)
    }
}

/// Reads the partitions of a topic in a `ConsumerProtocolAssignment` (Kafka's protocol guide):
/// version, then topics with their partitions. `None`: it ends early.
fn partitions_in(bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    let mut rest = bytes.get(2..)?;
    let mut found = Vec::new();
    for _ in 0..take_number(&mut rest)? {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, after) = after.split_at_checked(length)?;
        rest = after;
        for _ in 0..take_number(&mut rest)? {
            let partition = take_number(&mut rest)?;
            if name == topic.as_bytes() {
                found.push(partition);
            }
        }
    }
    Some(found)
}

fn take_number(rest: &mut &[u8]) -> Option<i32> {
    let (number, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_members_partitions() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (topic, partitions) in [("a", vec![7]), ("in", vec![0, 3])] {
            bytes.extend((topic.len() as i16).to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            partitions.iter().for_each(|p: &i32| bytes.extend(p.to_be_bytes()));
        }
        bytes.extend([0, 0, 0, 0]);
        assert_eq!(partitions_in(&bytes, "in"), Some(vec![0, 3]));
        assert_eq!(partitions_in(&bytes, "other"), Some(vec![]));
        assert_eq!(partitions_in(&bytes[..12], "in"), None);
        assert_eq!(partitions_in(&[], "in"), None);
    }
}
