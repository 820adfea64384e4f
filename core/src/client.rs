//! Plain clients, for apps that own their loop: the same settings, codec and counters, without
//! transactions.
//!
//! At least once: an offset is stored when the next message is asked for, and committed every
//! `NU_CONSUMER_AUTO_COMMIT_INTERVAL_SECONDS`, so after a crash some messages come again.

use crate::codec::{Codec, Encode, RegistryError, TopicEncoder, wire};
use crate::config::{Cluster, Config};
use crate::headers::Header;
use crate::kafka::settings::{plain_consumer_properties, plain_producer_properties};
use crate::message::{Message, MessageBody};
use crate::metrics::Metrics;
use crate::topic::TopicPartition;
use crate::transaction::Consumed;
use anyhow::Context as _;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer as _, ConsumerContext, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        crate::kafka::log(level, facility, message);
    }

    fn stats(&self, _: rdkafka::Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "librdkafka reports an error");
    }
}

impl ConsumerContext for Context {}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// None came in time. Not a failure: ask again.
    #[error("no message within the time-out")]
    NoMessage,
    /// The broker or the group refuses.
    #[error("consuming failed: {0}")]
    Kafka(#[from] KafkaError),
    /// The schema of the message's value cannot be had.
    #[error("{at}, offset {offset}: {error:#}")]
    Schema {
        /// Where the message lies.
        at: TopicPartition,
        /// Its offset.
        offset: i64,
        /// Why.
        error: anyhow::Error,
    },
}

/// A message from a plain consumer.
pub struct Received {
    message: Message,
    codec: Codec,
}

impl Received {
    /// The message with its decoder.
    #[must_use]
    pub fn message(&self) -> Consumed<'_> {
        Consumed::new(&self.message, 0, &self.codec)
    }
}

/// A consumer without transactions.
pub struct PlainConsumer {
    consumer: StreamConsumer<Context>,
    codec: Codec,
    metrics: Metrics,
    /// The last message handed out: done when the next one is asked for.
    last: Mutex<Option<(TopicPartition, i64)>>,
}

impl PlainConsumer {
    /// Makes a consumer of these topics in the group `NU_APP_NAME`. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// The topics are on several clusters, or a property is wrong.
    pub fn new(
        config: &Config,
        topics: &[&str],
        codec: Codec,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let (_, cluster) = cluster_of(config, topics)?;
        let properties = plain_consumer_properties(config, cluster, 0);
        let consumer: StreamConsumer<Context> =
            properties.to_client_config().create_with_context(Context).context("Kafka consumer")?;
        consumer.subscribe(topics).context("subscribe")?;
        Ok(Self { consumer, codec, metrics: metrics.clone(), last: Mutex::default() })
    }

    /// Waits for a message and counts it; its schema is at hand when it is handed out. The message
    /// handed out before counts as done.
    ///
    /// # Errors
    /// [`ConsumeError::NoMessage`] when none came in time.
    pub async fn consume_message(&self, limit: Duration) -> Result<Received, ConsumeError> {
        self.store_last()?;
        let received = tokio::time::timeout(limit, self.consumer.recv()).await;
        let message = own(&received.map_err(|_| ConsumeError::NoMessage)??);
        let (at, offset) = (message.topic_partition(), message.offset());
        if let Some(Ok((id, _))) = message.value_bytes().map(wire::split) {
            match self.codec.ensure(id).await {
                // An unknown schema is for the decoder to report.
                Ok(_) | Err(RegistryError::UnknownSchema { .. }) => {}
                Err(error) => return Err(ConsumeError::Schema { at, offset, error: error.into() }),
            }
        }
        self.metrics.topic(message.topic()).consumed(1);
        *self.last() = Some((at, offset));
        Ok(Received { message, codec: self.codec.clone() })
    }

    /// Counts the last message as done and commits, for a clean end.
    ///
    /// # Errors
    /// The group refuses; the messages come again.
    pub fn close(self) -> Result<(), ConsumeError> {
        self.store_last()?;
        match self.consumer.commit_consumer_state(rdkafka::consumer::CommitMode::Sync) {
            Err(KafkaError::ConsumerCommit(rdkafka::types::RDKafkaErrorCode::NoOffset)) => Ok(()),
            answer => Ok(answer?),
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<(TopicPartition, i64)>> {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn store_last(&self) -> Result<(), ConsumeError> {
        let Some((at, offset)) = self.last().take() else { return Ok(()) };
        match self.consumer.store_offset(at.topic.name(), at.partition, offset) {
            // Given up meanwhile: its new owner starts at the last commit.
            Err(KafkaError::StoreOffset(rdkafka::types::RDKafkaErrorCode::State)) => Ok(()),
            answer => Ok(answer?),
        }
    }
}

fn own(message: &rdkafka::message::BorrowedMessage<'_>) -> Message {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let own = |h: rdkafka::message::Header<'_, &[u8]>| Header {
            name: h.key.to_owned(),
            value: h.value.map(Vec::from),
        };
        headers.iter().map(own).collect()
    });
    let body = MessageBody {
        key: message.key().map(Vec::from),
        value: message.payload().map(Vec::from),
        headers,
        timestamp: message.timestamp().to_millis(),
    };
    let at = TopicPartition::new(message.topic(), message.partition());
    Message::owned(at, message.offset(), body)
}

/// A producer without transactions: each record is confirmed by itself.
pub struct PlainProducer {
    producer: FutureProducer<Context>,
    encoders: Mutex<BTreeMap<String, TopicEncoder>>,
    metrics: Metrics,
}

impl PlainProducer {
    /// Makes a producer for topics with their schemas, which are registered or looked up first.
    /// Call it inside a tokio runtime.
    ///
    /// # Errors
    /// The topics are on several clusters, a property is wrong, or the registry refuses a schema.
    pub async fn new(
        config: &Config,
        topics: &[(&str, &str)],
        codec: &Codec,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let names: Vec<&str> = topics.iter().map(|(topic, _)| *topic).collect();
        let (_, cluster) = cluster_of(config, &names)?;
        let properties = plain_producer_properties(config, cluster, 0);
        let producer =
            properties.to_client_config().create_with_context(Context).context("Kafka producer")?;
        let mut encoders = BTreeMap::new();
        for (topic, schema) in topics {
            let encoder = codec.prepare_topic(topic, schema, config.registry.auto_register).await;
            let encoder = encoder.with_context(|| format!("schemas of {topic}"))?;
            encoders.insert((*topic).to_owned(), encoder);
        }
        Ok(Self { producer, encoders: Mutex::new(encoders), metrics: metrics.clone() })
    }

    /// Produces a record and waits until all in-sync replicas have it; answers partition and
    /// offset.
    ///
    /// # Errors
    /// The topic was not declared, the value does not fit, or Kafka did not take it within `limit`.
    pub async fn produce<V: Encode + ?Sized>(
        &self,
        topic: &str,
        key: Option<&str>,
        value: &V,
        headers: &[Header],
        limit: Duration,
    ) -> anyhow::Result<(i32, i64)> {
        let (key, value) = self.encode(topic, key, value)?;
        let mut list = OwnedHeaders::new_with_capacity(headers.len());
        for header in headers {
            let value = header.value.as_deref();
            list = list.insert(rdkafka::message::Header { key: &header.name, value });
        }
        let mut record = FutureRecord::to(topic).payload(&value).headers(list);
        if let Some(key) = &key {
            record = record.key(key);
        }
        let delivery = self.producer.send(record, limit).await;
        let delivery = delivery
            .map_err(|(error, _)| error)
            .with_context(|| format!("producing to {topic}"))?;
        self.metrics.topic(topic).produced(1);
        Ok((delivery.partition, delivery.offset))
    }

    fn encode<V: Encode + ?Sized>(
        &self,
        topic: &str,
        key: Option<&str>,
        value: &V,
    ) -> anyhow::Result<(Option<Vec<u8>>, Vec<u8>)> {
        let mut encoders = self.encoders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let encoder =
            encoders.get_mut(topic).with_context(|| format!("{topic} was not declared"))?;
        let key = key.map(|text| {
            let mut bytes = Vec::new();
            encoder.encode_key(text, &mut bytes);
            bytes
        });
        let mut bytes = Vec::new();
        encoder.encode_value(value, &mut bytes)?;
        Ok((key, bytes))
    }
}

fn cluster_of<'c>(config: &'c Config, topics: &[&str]) -> anyhow::Result<(&'c str, &'c Cluster)> {
    config.cluster_for(topics.iter().copied()).map_err(|problems| anyhow::anyhow!("{problems}"))
}
