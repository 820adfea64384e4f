//! Offsets of partitions, asked of the brokers that lead them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, TopicName};
use nubium_topic::TopicPartition;

use crate::admin::Admin;
use crate::error::{AdminError, Refusal};
use crate::partitions::{by_topic, topic_name};
use crate::wire::{Ask, To};

/// How long to wait before asking for leaders again.
const PAUSE: Duration = Duration::from_millis(100);

/// Chooses which offset of a partition is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The first that is there.
    Earliest,
    /// The one that the next message gets.
    Latest,
    /// The last stable one: the first of an open transaction, or [`At::Latest`] if none is open.
    /// Up to here a read_committed consumer reads.
    LastStable,
    /// The first of a message that is not older than this, in milliseconds since 1970.
    Time(i64),
}

/// What one partition's part of an answer says: its number, the error code and the value.
pub(crate) type PartitionResult<T> = (i32, i16, T);

/// Flattens an answer that has its results by topic.
pub(crate) fn partition_results<A, T>(
    topics: Vec<A>,
    split: impl Fn(A) -> (TopicName, Vec<PartitionResult<T>>),
) -> Vec<(TopicPartition, i16, T)> {
    let topics = topics.into_iter().map(split);
    let flat = topics.flat_map(|(name, results)| {
        results.into_iter().map(move |(number, code, value)| {
            (TopicPartition::new(name.0.as_str(), number), code, value)
        })
    });
    flat.collect()
}

impl Admin {
    /// Asks for one offset of each of these partitions.
    ///
    /// [`At::Time`] behind the last message gives none for that partition.
    ///
    /// # Errors
    /// A partition is not there or has no leader, or its leader is lost or refuses.
    pub async fn offsets(
        &self,
        partitions: &[TopicPartition],
        at: At,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, AdminError> {
        let wanted: Vec<_> = partitions.iter().map(|partition| (*partition, at)).collect();
        self.offsets_at(&wanted).await
    }

    /// Asks for an offset of each of these partitions, every one at a place of its own. All must be
    /// [`At::LastStable`], or none.
    ///
    /// # Errors
    /// As [`Admin::offsets`].
    pub async fn offsets_at(
        &self,
        wanted: &[(TopicPartition, At)],
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, AdminError> {
        let stable = wanted.iter().any(|(_, at)| *at == At::LastStable);
        let request = |part: &[(TopicPartition, At)]| {
            let topics = by_topic(part.iter().copied()).into_iter().map(|(name, partitions)| {
                let partitions = partitions.into_iter().map(|(number, at)| {
                    ListOffsetsPartition::default()
                        .with_partition_index(number)
                        .with_timestamp(timestamp(at))
                });
                ListOffsetsTopic::default()
                    .with_name(topic_name(name))
                    .with_partitions(partitions.collect())
            });
            ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_isolation_level(i8::from(stable))
                .with_topics(topics.collect())
        };
        let read = |answer: <ListOffsetsRequest as Ask>::Answer| {
            partition_results(answer.topics, |topic| {
                let partitions = topic.partitions.into_iter();
                let results =
                    partitions.map(|p| (p.partition_index, p.error_code, p.offset)).collect();
                (topic.name, results)
            })
        };
        let found = self.ask_leaders("read offsets", wanted, request, read).await?;
        Ok(found.into_iter().map(|(at, offset)| (at, (offset >= 0).then_some(offset))).collect())
    }

    /// Asks the leader of each partition, all leaders at the same time, and again where the leader
    /// has moved.
    pub(crate) async fn ask_leaders<R: Ask, V: Copy, T>(
        &self,
        what: &str,
        wanted: &[(TopicPartition, V)],
        request: impl Fn(&[(TopicPartition, V)]) -> R,
        read: impl Fn(R::Answer) -> Vec<(TopicPartition, i16, T)>,
    ) -> Result<BTreeMap<TopicPartition, T>, AdminError> {
        let start = Instant::now();
        let mut left = wanted.to_vec();
        let mut found = BTreeMap::new();
        loop {
            let (by_leader, mut moved) = self.by_leader(what, &left).await?;
            let asked = by_leader.iter().map(|(leader, part)| {
                let request = request(part);
                async move { self.network.ask(what, To::Broker(*leader), &request).await }
            });
            for answer in try_join_all(asked).await? {
                for (at, code, value) in read(answer) {
                    match Refusal::of(code, None) {
                        None => drop(found.insert(at, value)),
                        Some(no) if has_moved(&no) => drop(moved.insert(at)),
                        Some(no) => {
                            return Err(AdminError::refused(format!("{what} of {at}"), no));
                        }
                    }
                }
            }
            let Some(first) = moved.first() else { return Ok(found) };
            if start.elapsed() >= self.network.limits().election {
                let code = ResponseError::LeaderNotAvailable.code();
                let refusal = Refusal { code, message: None };
                return Err(AdminError::refused(format!("{what} of {first}"), refusal));
            }
            left.retain(|(at, _)| moved.contains(at));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Groups partitions by leader; those without one come second.
    async fn by_leader<V: Copy>(
        &self,
        what: &str,
        wanted: &[(TopicPartition, V)],
    ) -> Result<(BTreeMap<i32, Vec<(TopicPartition, V)>>, BTreeSet<TopicPartition>), AdminError>
    {
        let names: BTreeSet<&str> = wanted.iter().map(|(at, _)| at.topic.name()).collect();
        let topics = self.describe_topics(&names.into_iter().collect::<Vec<_>>()).await?;
        let (mut led, mut leaderless) = (BTreeMap::<i32, Vec<_>>::new(), BTreeSet::new());
        for (at, value) in wanted {
            let topic = topics.get(at.topic.name());
            let partition =
                topic.and_then(|t| t.partitions.iter().find(|p| p.number == at.partition));
            match partition.map(|partition| partition.leader) {
                None => {
                    let code = ResponseError::UnknownTopicOrPartition.code();
                    let refusal = Refusal { code, message: None };
                    return Err(AdminError::refused(format!("{what} of {at}"), refusal));
                }
                Some(None) => drop(leaderless.insert(*at)),
                Some(Some(leader)) => led.entry(leader).or_default().push((*at, *value)),
            }
        }
        Ok((led, leaderless))
    }
}

fn timestamp(at: At) -> i64 {
    match at {
        At::Earliest => -2,
        At::Latest | At::LastStable => -1,
        At::Time(milliseconds) => milliseconds,
    }
}

fn has_moved(refusal: &Refusal) -> bool {
    use ResponseError::{
        FencedLeaderEpoch, LeaderNotAvailable, NotLeaderOrFollower, OffsetNotAvailable,
        ReplicaNotAvailable, UnknownLeaderEpoch, UnknownTopicOrPartition,
    };
    [
        NotLeaderOrFollower,
        LeaderNotAvailable,
        ReplicaNotAvailable,
        OffsetNotAvailable,
        FencedLeaderEpoch,
        UnknownLeaderEpoch,
        UnknownTopicOrPartition,
    ]
    .into_iter()
    .any(|kind| refusal.is(kind))
}
