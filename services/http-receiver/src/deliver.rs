//! Produces the records of a request and waits until Kafka has said of each what became of it.
//!
//! The producer is idempotent and waits for all in-sync replicas. Records of a request share one
//! [`Batch`], whose last report wakes the request: no channel for each record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nubium_core::config::{Cluster, Config};
use nubium_host::Stop;
use nubium_kafka::raw::Keyed;
use nubium_kafka::report;
use nubium_kafka::settings::plain_producer_properties;
use nubium_kafka::token;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use crate::gate::Gate;

/// What becomes of a record that was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is not in the topic.
    NotWritten,
    /// It may be in the topic: the answer did not come.
    Unknown,
    /// It is too large for the topic, and is not in it.
    TooLarge,
}

/// Says which record was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its place among the request's records.
    pub index: u32,
    /// What became of it.
    pub fate: Fate,
    /// Kafka's words.
    pub reason: String,
}

/// A record to produce.
#[derive(Debug)]
pub struct Outgoing<'r> {
    /// Topic.
    pub topic: &'r str,
    /// Key in the wire format.
    pub key: Option<&'r [u8]>,
    /// Value in the wire format.
    pub value: &'r [u8],
    /// Headers.
    pub headers: OwnedHeaders,
}

/// Waits for the reports of one request's records.
#[derive(Debug)]
struct Batch {
    open: AtomicUsize,
    failures: Mutex<Vec<Failure>>,
    done: Notify,
    /// That of the route.
    gate: Arc<Gate>,
}

impl Batch {
    fn settle(&self, failure: Option<Failure>) {
        if let Some(failure) = failure.filter(|_| !nubium_host::mutant!("failed-report-is-ignored"))
        {
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
        }
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    /// Every record gets its report within the delivery time-out: librdkafka sees to that.
    async fn finished(&self) -> Vec<Failure> {
        while self.open.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
        let failures = &mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.sort_by_key(|failure| failure.index);
        std::mem::take(failures)
    }
}

struct Report {
    batch: Arc<Batch>,
    index: u32,
}

/// Produces to the topics of one cluster.
pub struct Delivery {
    producer: Keyed<ThreadedProducer<Reports>>,
}

impl Delivery {
    /// Makes the producer; nothing is waited for. `brokers` closes while none can be reached. A
    /// fatal error of Kafka's requests `stop`.
    ///
    /// # Errors
    /// A property is wrong.
    pub fn start(
        config: &Config,
        cluster: &Cluster,
        limit: Duration,
        brokers: Arc<Gate>,
        stop: Stop,
    ) -> anyhow::Result<Self> {
        let given_properties = plain_producer_properties(config, cluster, 0);
        let mut properties = given_properties.to_client_config();
        let given = |name: &str| {
            let (both, own) = (&config.properties.both, &config.properties.producer);
            both.contains_key(name) || own.contains_key(name)
        };
        // A report must come before the client is answered.
        properties.set("message.timeout.ms", limit.as_millis().to_string());
        let own = [
            // Requests wait for their records, so what comes together while a batch is on its way
            // is the next batch; a longer wait would only be added to every answer.
            ("linger.ms", "1"),
            // Away and back are noticed within about a second.
            ("statistics.interval.ms", "1000"),
            ("reconnect.backoff.max.ms", "1000"),
        ];
        for (name, value) in own.into_iter().filter(|(name, _)| !given(name)) {
            properties.set(name, value);
        }
        if nubium_host::mutant!("not-idempotent") {
            properties.set("enable.idempotence", "false").set("acks", "1");
        }
        let reports = Reports::new(brokers, stop);
        let producer: ThreadedProducer<Reports> =
            properties.create_with_context(reports).context("Kafka producer")?;
        let known = given_properties.expose();
        let producer = token::keyed(producer, |producer| producer.client(), known);
        Ok(Self { producer })
    }

    /// Produces records of a route and waits for all their reports; answers those that were not
    /// acknowledged. The route's gate closes and opens with them.
    pub async fn deliver<'r>(
        &self,
        gate: &Arc<Gate>,
        records: impl ExactSizeIterator<Item = Outgoing<'r>>,
    ) -> Vec<Failure> {
        let batch = self.send(gate, records);
        if nubium_host::mutant!("answered-before-the-report") {
            return Vec::new();
        }
        batch.finished().await
    }

    fn send<'r>(
        &self,
        gate: &Arc<Gate>,
        records: impl ExactSizeIterator<Item = Outgoing<'r>>,
    ) -> Arc<Batch> {
        let batch = Arc::new(Batch {
            open: AtomicUsize::new(records.len()),
            failures: Mutex::default(),
            done: Notify::new(),
            gate: Arc::clone(gate),
        });
        for (index, outgoing) in (0_u32..).zip(records) {
            let report = Box::new(Report { batch: Arc::clone(&batch), index });
            let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(outgoing.topic, report)
                .payload(outgoing.value)
                .headers(outgoing.headers);
            if let Some(key) = outgoing.key {
                record = record.key(key);
            }
            if let Err((error, record)) = self.producer.send(record) {
                record.delivery_opaque.batch.settle(Some(failure(index, &error)));
            }
        }
        batch
    }

    /// Asks whether a topic's partitions have leaders. Blocks, for `limit` at most.
    #[must_use]
    pub fn reaches(&self, topic: &str, limit: Duration) -> bool {
        let metadata = self.producer.client().fetch_metadata(Some(topic), limit);
        metadata.is_ok_and(|metadata| {
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            let mut leaders = partitions.map(|p| p.leader() >= 0 && p.error().is_none());
            // `all` of nothing is true: a topic that does not exist has no partitions.
            leaders.next().is_some_and(|first| first && leaders.all(|led| led))
        })
    }

    /// Waits for what is still on its way, of requests whose client went away.
    #[expect(clippy::disallowed_methods, reason = "once, at the end, so its steps do no harm")]
    pub fn finish(&self, limit: Duration) {
        if self.producer.in_flight_count() > 0
            && let Err(error) = self.producer.flush(limit)
        {
            tracing::warn!(%error, "Some records of requests that nobody waits for were not sent.");
        }
    }
}

fn failure(index: u32, error: &KafkaError) -> Failure {
    let code = error.rdkafka_error_code();
    Failure { index, fate: fate(code), reason: error.to_string() }
}

/// Says what an error code tells of the record. What is not known for sure is unknown.
fn fate(code: Option<RDKafkaErrorCode>) -> Fate {
    use RDKafkaErrorCode as Code;
    match code {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => Fate::TooLarge,
        Some(
            Code::QueueFull
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::UnknownTopicOrPartition
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::InvalidTopic
            | Code::InvalidRecord
            | Code::PolicyViolation,
        ) => Fate::NotWritten,
        _ => Fate::Unknown,
    }
}

/// Takes librdkafka's reports, on its own thread.
struct Reports {
    brokers: Arc<Gate>,
    stop: Stop,
    errors: report::Errors,
}

impl Reports {
    fn new(brokers: Arc<Gate>, stop: Stop) -> Self {
        Self { brokers, stop, errors: report::Errors::default() }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        report::log(level, facility, message);
    }

    fn stats(&self, statistics: rdkafka::Statistics) {
        let up = |broker: &rdkafka::statistics::Broker| broker.state == "UP" && broker.nodeid >= 0;
        if statistics.brokers.values().any(up) && self.brokers.open() {
            tracing::info!("Brokers can be reached again.");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                if self.brokers.close(Instant::now()) {
                    tracing::warn!(reason, "No broker can be reached: requests are answered 503.");
                }
            }
            code => {
                self.errors.say(code, reason);
                if code == Some(RDKafkaErrorCode::Fatal) {
                    self.stop.request(FATAL);
                }
            }
        }
    }
}

/// Why a stop was requested when Kafka refuses for good.
pub const FATAL: &str = "the Kafka producer failed for good";

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        match result {
            Ok(_) => {
                if self.brokers.open() | report.batch.gate.open() {
                    tracing::info!("Kafka acknowledges records again.");
                }
                report.batch.settle(None);
            }
            Err((error, _)) => {
                let failure = failure(report.index, error);
                if failure.fate == Fate::Unknown && report.batch.gate.close(Instant::now()) {
                    tracing::warn!(%error, "A record was not acknowledged: answering 503.");
                }
                report.batch.settle(Some(failure));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_for_sure_counts_as_not_written() {
        use RDKafkaErrorCode as Code;
        for (code, expected) in [
            (Some(Code::QueueFull), Fate::NotWritten),
            (Some(Code::TopicAuthorizationFailed), Fate::NotWritten),
            (Some(Code::MessageSizeTooLarge), Fate::TooLarge),
            (Some(Code::MessageTimedOut), Fate::Unknown),
            (Some(Code::NotEnoughReplicasAfterAppend), Fate::Unknown),
            (Some(Code::RequestTimedOut), Fate::Unknown),
            (None, Fate::Unknown),
        ] {
            assert_eq!(fate(code), expected, "{code:?}");
        }
    }

    #[tokio::test]
    async fn a_batch_is_finished_with_its_last_report_and_lists_failures_in_order() {
        let batch = Arc::new(Batch {
            open: AtomicUsize::new(3),
            failures: Mutex::default(),
            done: Notify::new(),
            gate: Arc::default(),
        });
        let waiting = tokio::spawn({
            let batch = Arc::clone(&batch);
            async move { batch.finished().await }
        });
        let failure = |index| Failure { index, fate: Fate::Unknown, reason: String::new() };
        batch.settle(Some(failure(2)));
        batch.settle(None);
        assert!(!waiting.is_finished());
        batch.settle(Some(failure(0)));
        let failures = waiting.await.unwrap();
        assert_eq!(failures.iter().map(|f| f.index).collect::<Vec<_>>(), [0, 2]);
    }
}
