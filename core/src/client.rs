//! Plain clients, for apps that own their loop: the same settings, codec and counters, without
//! transactions.
//!
//! At least once: an offset is stored when the next message is asked for, and committed every
//! `NU_CONSUMER_AUTO_COMMIT_INTERVAL_SECONDS`, so after a crash some messages come again.

use crate::engine::report_lag;
use crate::kafka::settings::{plain_consumer_properties, plain_producer_properties};
use crate::transaction::Consumed;
use anyhow::Context as _;
use nubium_config::{Cluster, Config};
use nubium_kafka::headers::Header;
use nubium_kafka::message::{Message, MessageBody};
use nubium_kafka::raw::Keyed;
use nubium_kafka::report;
use nubium_kafka::token;
use nubium_metrics::{Metrics, RebalanceEvent, TopicCounters};
use nubium_registry::{Codec, Encode, TopicEncoder};
use nubium_topic::TopicPartition;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Takes what librdkafka tells of a client.
struct Context {
    metrics: Metrics,
    is_consumer: bool,
    errors: report::Errors,
}

impl Context {
    fn of(metrics: &Metrics, is_consumer: bool) -> Self {
        Self { metrics: metrics.clone(), is_consumer, errors: report::Errors::default() }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        report::log(level, facility, message);
    }

    fn stats(&self, statistics: rdkafka::Statistics) {
        if self.is_consumer {
            report_lag(&self.metrics, &statistics);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.errors.say(error.rdkafka_error_code(), reason);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(_) => self.metrics.rebalanced(RebalanceEvent::Assigned),
            Rebalance::Revoke(partitions) => {
                self.metrics.rebalanced(RebalanceEvent::Revoked);
                for at in partitions.elements() {
                    self.metrics.forget_lag(at.topic(), at.partition());
                }
            }
            Rebalance::Error(error) => tracing::warn!(%error, "A rebalance failed."),
        }
    }
}

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

/// A message from a plain consumer. It may go to another thread or task; what [`Self::message`]
/// gives may not, so read what is needed before the next `await` of a spawned task.
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
    consumer: Keyed<StreamConsumer<Context>>,
    codec: Codec,
    metrics: Metrics,
    /// The counters of the topics that were subscribed to.
    counters: Vec<(String, TopicCounters)>,
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
        codec.set_topics(config.topic_schemas());
        let properties = plain_consumer_properties(config, cluster, 0);
        let consumer: StreamConsumer<Context> = properties
            .to_client_config()
            .create_with_context(Context::of(metrics, true))
            .context("Kafka consumer")?;
        let consumer = token::keyed(consumer, |consumer| consumer.client(), properties.expose());
        consumer.subscribe(topics).context("subscribe")?;
        let counted = |topic: &&str| ((*topic).to_owned(), metrics.topic(topic));
        let counters = topics.iter().map(counted).collect();
        Ok(Self { consumer, codec, metrics: metrics.clone(), counters, last: Mutex::default() })
    }

    /// Waits for a message and counts it in `messages_consumed`; its schema is at hand when it is
    /// handed out. The message handed out before counts as done.
    ///
    /// # Errors
    /// [`ConsumeError::NoMessage`] when none came in time.
    pub async fn consume_message(&self, limit: Duration) -> Result<Received, ConsumeError> {
        self.store_last()?;
        let received = tokio::time::timeout(limit, self.consumer.recv()).await;
        let message = own(&received.map_err(|_| ConsumeError::NoMessage)??);
        let (at, offset) = (message.topic_partition(), message.offset());
        let (key, value) = (message.key_bytes(), message.value_bytes());
        for id in self.codec.needed(message.topic(), key, value) {
            match self.codec.ensure(id).await {
                Ok(_) => {}
                // What lies in the schema is for the decoder to report.
                Err(error) if error.is_of_schema() => {}
                Err(error) => return Err(ConsumeError::Schema { at, offset, error: error.into() }),
            }
        }
        self.count(&message);
        *self.last() = Some((at, offset));
        Ok(Received { message, codec: self.codec.clone() })
    }

    fn count(&self, message: &Message) {
        match self.counters.iter().find(|(topic, _)| topic == message.topic()) {
            Some((_, counters)) => counters.consumed(1),
            // Of a subscription by a pattern.
            None => self.metrics.inc_messages_consumed(message.topic(), 1),
        }
        if let Some(at) = message.timestamp() {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let now = now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
            self.metrics.set_seconds_behind(now.saturating_sub(at).max(0) as f64 / 1000.0);
        }
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
    producer: Keyed<FutureProducer<Context>>,
    outputs: Mutex<BTreeMap<String, (TopicEncoder, TopicCounters)>>,
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
        codec.set_topics(config.topic_schemas());
        let properties = plain_producer_properties(config, cluster, 0);
        let producer: FutureProducer<Context> = properties
            .to_client_config()
            .create_with_context(Context::of(metrics, false))
            .context("Kafka producer")?;
        let producer = token::keyed(producer, |producer| producer.client(), properties.expose());
        let mut outputs = BTreeMap::new();
        for (topic, schema) in topics {
            let encoder = codec.prepare_topic(topic, schema, config.registry.auto_register).await;
            let encoder = encoder.with_context(|| format!("schemas of {topic}"))?;
            outputs.insert((*topic).to_owned(), (encoder, metrics.topic(topic)));
        }
        Ok(Self { producer, outputs: Mutex::new(outputs) })
    }

    /// Produces a record and waits until all in-sync replicas have it; then it is counted in
    /// `messages_produced`. Answers partition and offset.
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
        let (key, value, counters) = self.encode(topic, key, value)?;
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
        counters.produced(1);
        Ok((delivery.partition, delivery.offset))
    }

    fn encode<V: Encode + ?Sized>(
        &self,
        topic: &str,
        key: Option<&str>,
        value: &V,
    ) -> anyhow::Result<(Option<Vec<u8>>, Vec<u8>, TopicCounters)> {
        let mut outputs = self.outputs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (encoder, counters) =
            outputs.get_mut(topic).with_context(|| format!("{topic} was not declared"))?;
        let key = key.map(|text| {
            let mut bytes = Vec::new();
            encoder.encode_key(text, &mut bytes);
            bytes
        });
        let mut bytes = Vec::new();
        encoder.encode_value(value, &mut bytes)?;
        Ok((key, bytes, counters.clone()))
    }
}

fn cluster_of<'c>(config: &'c Config, topics: &[&str]) -> anyhow::Result<(&'c str, &'c Cluster)> {
    config.cluster_for(topics.iter().copied()).map_err(|problems| anyhow::anyhow!("{problems}"))
}
