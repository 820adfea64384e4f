//! Transactions: which are open, which hang, and ending one that does (KIP-664).

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic,
};
use kafka_protocol::messages::write_txn_markers_response::WritableTxnMarkerTopicResult;
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, EndTxnRequest, ListTransactionsRequest,
    ProducerId, TransactionalId, WriteTxnMarkersRequest,
};
use nubium_topic::TopicPartition;

use crate::admin::Admin;
use crate::error::{AdminError, Outcome, Refusal, check};
use crate::offset::partition_results;
use crate::partitions::{by_topic, topic_name};
use crate::wire::{Ask, To};

/// A producer id that no broker gives out: they are counted from 0.
const NOBODY: ProducerId = ProducerId(i64::MAX);

/// Names a transactional id and what it is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionListing {
    /// The transactional id.
    pub id: String,
    /// The producer that has it.
    pub producer: i64,
    /// `Ongoing`, `PrepareCommit`, `CompleteCommit`, `Empty`, ...
    pub state: String,
}

/// Shows what the coordinator knows of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDescription {
    /// The transactional id.
    pub id: String,
    /// The producer that has it.
    pub producer: i64,
    /// The producer's epoch.
    pub epoch: i16,
    /// `Ongoing`, `PrepareCommit`, `CompleteCommit`, `Empty`, ...
    pub state: String,
    /// After how long the coordinator aborts it.
    pub timeout: Duration,
    /// When it began, in milliseconds since 1970; none when none is open.
    pub started: Option<i64>,
    /// The partitions that it has written to.
    pub partitions: Vec<TopicPartition>,
}

/// Shows what a partition's leader knows of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveProducer {
    /// The producer's id.
    pub producer: i64,
    /// The producer's epoch.
    pub epoch: i16,
    /// The epoch of the coordinator that last wrote to it.
    pub coordinator_epoch: i32,
    /// When it last wrote, in milliseconds since 1970.
    pub last_write: i64,
    /// The first offset of its open transaction; none when none is open.
    pub transaction_start: Option<i64>,
}

/// A transaction that is open on a partition and that no coordinator will end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HangingTransaction {
    /// The partition that read_committed consumers are stuck on.
    pub partition: TopicPartition,
    /// What its leader knows.
    pub producer: ActiveProducer,
    /// The transactional id, if a coordinator still has one for the producer.
    pub id: Option<String>,
}

impl Admin {
    /// Lists the transactional ids of all brokers, by id; only those in one of `states` unless that
    /// is empty, and only those open for longer than `longer_than` if that is given.
    ///
    /// # Errors
    /// A broker is lost, refuses, or is too old for it.
    pub async fn transactions(
        &self,
        states: &[&str],
        longer_than: Option<Duration>,
    ) -> Result<Vec<TransactionListing>, AdminError> {
        let what = "list the transactions";
        let mut request = ListTransactionsRequest::default()
            .with_state_filters(states.iter().map(|state| (*state).to_owned().into()).collect());
        if let Some(least) = longer_than {
            request =
                request.with_duration_filter(i64::try_from(least.as_millis()).unwrap_or(i64::MAX));
        }
        let mut transactions = Vec::new();
        for answer in self.network.ask_all(what, &request).await? {
            check(what, answer.error_code, None)?;
            transactions.extend(answer.transaction_states.into_iter().map(|found| {
                TransactionListing {
                    id: found.transactional_id.0.to_string(),
                    producer: found.producer_id.0,
                    state: found.transaction_state.to_string(),
                }
            }));
        }
        transactions.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(transactions)
    }

    /// Describes a transactional id; none if no coordinator knows it.
    ///
    /// # Errors
    /// The broker is lost, or refuses.
    pub async fn describe_transaction(
        &self,
        id: &str,
    ) -> Result<Option<TransactionDescription>, AdminError> {
        let what = format!("describe transaction {id}");
        let ids = vec![TransactionalId(id.to_owned().into())];
        let request = DescribeTransactionsRequest::default().with_transactional_ids(ids);
        let answer = self.network.ask(&what, To::Transaction(id.into()), &request).await?;
        let Some(found) = answer.transaction_states.into_iter().next() else { return Ok(None) };
        match Refusal::of(found.error_code, None) {
            Some(no) if no.is_missing() => return Ok(None),
            Some(no) => return Err(AdminError::refused(what, no)),
            None => {}
        }
        let partitions = found.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|number| TopicPartition::new(topic.topic.0.as_str(), *number))
        });
        let timeout = u64::try_from(found.transaction_timeout_ms).unwrap_or(0);
        Ok(Some(TransactionDescription {
            id: found.transactional_id.0.to_string(),
            producer: found.producer_id.0,
            epoch: found.producer_epoch,
            state: found.transaction_state.to_string(),
            timeout: Duration::from_millis(timeout),
            started: (found.transaction_start_time_ms > 0)
                .then_some(found.transaction_start_time_ms),
            partitions: partitions.collect(),
        }))
    }

    /// Tells whether the user may write with a transactional id; changes nothing.
    ///
    /// No request asks for that alone. So it asks to end a transaction of a producer that nobody
    /// is: the right is looked at first, and then there is no such producer.
    ///
    /// # Errors
    /// The broker is lost, or refuses for another reason.
    pub async fn may_use_transactional_id(&self, id: &str) -> Result<Outcome, AdminError> {
        let what = format!("ask whether transactional id {id} may be used");
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(id.to_owned().into()))
            .with_producer_id(NOBODY);
        let answered = self.network.ask(&what, To::Transaction(id.into()), &request).await;
        let refusal = match answered {
            Ok(answer) => Refusal::of(answer.error_code, None),
            // The coordinator is looked for with the right to describe.
            Err(AdminError::Refused { refusal, .. }) => Some(refusal),
            Err(error) => return Err(error),
        };
        match refusal {
            None => Ok(Ok(())),
            Some(no) if no.is(ResponseError::InvalidProducerIdMapping) => Ok(Ok(())),
            Some(no) if no.is_unauthorized() => Ok(Err(no)),
            Some(no) => Err(AdminError::refused(what, no)),
        }
    }

    /// Asks the leaders of partitions which producers have written to them lately.
    ///
    /// # Errors
    /// A partition is not there or has no leader, or its leader is lost or refuses.
    pub async fn producers(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Vec<ActiveProducer>>, AdminError> {
        let wanted: Vec<_> = partitions.iter().map(|at| (*at, ())).collect();
        let request = |part: &[(TopicPartition, ())]| {
            let topics = by_topic(part.iter().copied()).into_iter().map(|(name, partitions)| {
                TopicRequest::default()
                    .with_name(topic_name(name))
                    .with_partition_indexes(partitions.into_iter().map(|(n, ())| n).collect())
            });
            DescribeProducersRequest::default().with_topics(topics.collect())
        };
        let read = |answer: <DescribeProducersRequest as Ask>::Answer| {
            partition_results(answer.topics, |topic| {
                let partitions = topic.partitions.into_iter();
                let results = partitions.map(|partition| {
                    let producers =
                        partition.active_producers.into_iter().map(|producer| ActiveProducer {
                            producer: producer.producer_id.0,
                            epoch: i16::try_from(producer.producer_epoch).unwrap_or(-1),
                            coordinator_epoch: producer.coordinator_epoch,
                            last_write: producer.last_timestamp,
                            transaction_start: Some(producer.current_txn_start_offset)
                                .filter(|offset| *offset >= 0),
                        });
                    (partition.partition_index, partition.error_code, producers.collect())
                });
                (topic.name, results.collect())
            })
        };
        self.ask_leaders("read the producers", &wanted, request, read).await
    }

    /// Finds transactions that are open on these partitions and that no coordinator will end.
    ///
    /// A transaction whose producer wrote within `least_age` of `now` (milliseconds since 1970) is
    /// left out: it may be on its way. One that its coordinator has as ongoing with that partition
    /// is open, but does not hang.
    ///
    /// # Errors
    /// A broker is lost, refuses, or is too old for it.
    pub async fn hanging_transactions(
        &self,
        partitions: &[TopicPartition],
        least_age: Duration,
        now: i64,
    ) -> Result<Vec<HangingTransaction>, AdminError> {
        let least_age = i64::try_from(least_age.as_millis()).unwrap_or(i64::MAX);
        let mut suspects = Vec::new();
        for (at, producers) in self.producers(partitions).await? {
            let old = |p: &ActiveProducer| {
                p.transaction_start.is_some() && now.saturating_sub(p.last_write) >= least_age
            };
            suspects.extend(producers.into_iter().filter(old).map(|producer| (at, producer)));
        }
        if suspects.is_empty() {
            return Ok(Vec::new());
        }
        let listed = self.transactions(&[], None).await?;
        let mut hanging = Vec::new();
        for (partition, producer) in suspects {
            let id = listed.iter().find(|found| found.producer == producer.producer);
            let id = id.map(|found| found.id.clone());
            let known = match &id {
                Some(id) => self.describe_transaction(id).await?,
                None => None,
            };
            let is_held = known.is_some_and(|known| {
                known.state.starts_with("Ongoing") && known.partitions.contains(&partition)
                    || known.state.starts_with("Prepare")
            });
            if !is_held {
                hanging.push(HangingTransaction { partition, producer, id });
            }
        }
        Ok(hanging)
    }

    /// Aborts the transaction that a producer has open on a partition, past its coordinator.
    ///
    /// For a hanging one only: with one that its coordinator still has, records of the same
    /// transaction could be committed elsewhere.
    ///
    /// # Errors
    /// The leader is lost or refuses; the user needs the right CLUSTER_ACTION on the cluster.
    pub async fn abort_transaction(
        &self,
        partition: TopicPartition,
        producer: &ActiveProducer,
    ) -> Result<(), AdminError> {
        let request = |part: &[(TopicPartition, ())]| {
            let topics = by_topic(part.iter().copied()).into_iter().map(|(name, partitions)| {
                WritableTxnMarkerTopic::default()
                    .with_name(topic_name(name))
                    .with_partition_indexes(partitions.into_iter().map(|(n, ())| n).collect())
            });
            let marker = WritableTxnMarker::default()
                .with_producer_id(ProducerId(producer.producer))
                .with_producer_epoch(producer.epoch)
                // -1 means that no coordinator has written yet; any epoch is new enough then.
                .with_coordinator_epoch(producer.coordinator_epoch.max(0))
                .with_transaction_result(false)
                .with_topics(topics.collect());
            WriteTxnMarkersRequest::default().with_markers(vec![marker])
        };
        let read = |answer: <WriteTxnMarkersRequest as Ask>::Answer| {
            let topics = answer.markers.into_iter().flat_map(|marker| marker.topics).collect();
            partition_results(topics, |topic: WritableTxnMarkerTopicResult| {
                let partitions = topic.partitions.into_iter();
                let results = partitions.map(|p| (p.partition_index, p.error_code, ()));
                (topic.name, results.collect())
            })
        };
        let what = format!("abort the transaction of producer {}", producer.producer);
        self.ask_leaders(&what, &[(partition, ())], request, read).await.map(drop)
    }
}
