//! Produces records, with or without a transaction around them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use nubium_kafka::raw::TransactionCalls;
use nubium_kafka::token;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::client::{Context, Undelivered};
use crate::data::encode::Outgoing;
use nubium_host::failure::Outcome;

/// How long a full queue is left alone before it is tried again.
const FULL: Duration = Duration::from_millis(1);

/// A producer whose records carry a number, so that a failure can be traced to a line.
pub struct Producer {
    calls: TransactionCalls<Context>,
    context: Context,
    topic: String,
    limit: Duration,
}

impl Producer {
    /// Makes a producer to one topic.
    ///
    /// # Errors
    /// A property is wrong.
    pub fn new(
        properties: &BTreeMap<String, String>,
        topic: &str,
        limit: Duration,
    ) -> Outcome<Self> {
        let context = Context::default();
        let config: ClientConfig = properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let producer: ThreadedProducer<Context> =
            config.create_with_context(context.clone()).context("Kafka producer")?;
        let producer = token::keyed(producer, |producer| producer.client(), properties);
        let calls = TransactionCalls::new(producer);
        Ok(Self { calls, context, topic: topic.to_owned(), limit })
    }

    /// The transactional calls.
    #[must_use]
    pub fn transaction(&self) -> &TransactionCalls<Context> {
        &self.calls
    }

    /// Queues a record; waits while the queue is full.
    ///
    /// # Errors
    /// Kafka does not take it, or nothing was delivered for longer than the limit.
    pub fn send(
        &self,
        record: &Outgoing,
        partition: Option<i32>,
        number: usize,
    ) -> anyhow::Result<()> {
        self.send_to(&self.topic, record, partition, number)
    }

    /// Queues a record to another topic.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_to(
        &self,
        topic: &str,
        record: &Outgoing,
        partition: Option<i32>,
        number: usize,
    ) -> anyhow::Result<()> {
        let mut out: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, number);
        (out.key, out.payload, out.partition) =
            (record.key.as_deref(), record.value.as_deref(), partition);
        out.timestamp = record.timestamp;
        if !record.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
            for (key, value) in &record.headers {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
            out.headers = Some(headers);
        }
        let mut full_since: Option<(Instant, i32)> = None;
        loop {
            match self.calls.producer().send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    out = refused;
                    let left = self.calls.producer().in_flight_count();
                    let (since, before) = *full_since.get_or_insert((Instant::now(), left));
                    if left < before {
                        full_since = None;
                    } else if since.elapsed() > self.limit {
                        return Err(self.stuck(left));
                    }
                    std::thread::sleep(FULL);
                }
                Err((error, _)) => return Err(anyhow!(error)),
            }
        }
    }

    /// Waits until everything queued is delivered or has failed.
    ///
    /// # Errors
    /// Nothing was delivered for longer than the limit.
    pub fn flush(&self, mut shown: impl FnMut(u64)) -> anyhow::Result<()> {
        let mut last = (self.calls.producer().in_flight_count(), Instant::now());
        loop {
            let left = self.calls.producer().in_flight_count();
            if left == 0 {
                return Ok(());
            }
            if left < last.0 {
                last = (left, Instant::now());
            } else if last.1.elapsed() > self.limit {
                return Err(self.stuck(left));
            }
            shown(u64::try_from(left).unwrap_or_default());
            std::thread::sleep(FULL);
        }
    }

    /// What was not delivered so far.
    #[must_use]
    pub fn undelivered(&self) -> Undelivered {
        self.context.undelivered()
    }

    fn stuck(&self, left: i32) -> anyhow::Error {
        anyhow!(
            "{left} records to {} were not acknowledged within {:?}{}",
            self.topic,
            self.limit,
            self.context.trouble()
        )
    }
}
