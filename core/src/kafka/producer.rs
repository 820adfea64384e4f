//! [`Sink`] on librdkafka.

use super::consumer::{ClientObserver, Context as ConsumerContext, list_of};
use super::{Class, Sent, Sink, SinkError};
use crate::headers::Headers;
use crate::raw::{ProducerTopic, RawError, TransactionCalls};
use crate::topic::{Notes, Offsets, Topic};
use crate::transaction::Batch;
use nubium_host::Watchdog;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps the first delivery failure of a transaction: commit only says that there was one.
struct Context {
    first_failure: Arc<Mutex<Option<String>>>,
    observer: Arc<dyn ClientObserver>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.observer.error(error.rdkafka_error_code(), reason);
    }

    fn stats(&self, _: rdkafka::Statistics) {}
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else { return };
        // Purging is what an abort does.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PurgeQueue) {
            return;
        }
        let mut first =
            self.first_failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        first.get_or_insert_with(|| {
            let size = message.payload_len() + message.key_len();
            format!("{}[{}]: {error} ({size} bytes)", message.topic(), message.partition())
        });
    }
}

/// A transactional producer and the consumer whose offsets it commits.
pub struct KafkaSink {
    properties: BTreeMap<String, String>,
    consumer: Arc<BaseConsumer<ConsumerContext>>,
    observer: Arc<dyn ClientObserver>,
    watchdog: Watchdog,
    /// `transaction.timeout.ms`: the longest one call may wait.
    limit: Duration,
    live: Option<Live>,
    first_failure: Arc<Mutex<Option<String>>>,
}

struct Live {
    // Before the calls: topics belong to the producer.
    topics: Vec<(Topic, ProducerTopic)>,
    calls: TransactionCalls<Context>,
}

impl KafkaSink {
    /// Describes a producer; it is made by [`Sink::init`].
    #[must_use]
    pub fn new(
        properties: BTreeMap<String, String>,
        source: &super::KafkaSource,
        observer: Arc<dyn ClientObserver>,
        watchdog: Watchdog,
        limit: Duration,
    ) -> Self {
        let consumer = source.consumer();
        let first_failure = Arc::default();
        Self { properties, consumer, observer, watchdog, limit, live: None, first_failure }
    }

    fn live(&self) -> Result<&Live, SinkError> {
        self.live
            .as_ref()
            .ok_or_else(|| SinkError { class: Class::Fatal, text: "there is no producer".into() })
    }

    fn forget_failure(&self) {
        *self.first_failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    fn explain(&self, error: RawError) -> SinkError {
        let failure =
            self.first_failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let mut made = classify(&error);
        if let Some(failure) = failure {
            made.text = format!("{}; first failed record: {failure}", made.text);
        }
        made
    }

    /// Gives a call twice its own limit before the watchdog takes the process down: librdkafka's
    /// offset call can forget its limit when the group coordinator is gone (librdkafka #5456,
    /// #5511).
    fn guarded<T>(
        &self,
        name: &'static str,
        call: impl FnOnce(&Live) -> Result<T, RawError>,
    ) -> Result<T, SinkError> {
        let live = self.live()?;
        let _guard = self.watchdog.watch(name, self.limit * 2 + Duration::from_secs(10));
        call(live).map_err(|error| self.explain(error))
    }
}

/// Sorts an error by its flags; without any flag it counts as fatal (librdkafka's INTRODUCTION.md).
fn classify(error: &RawError) -> SinkError {
    let fenced = matches!(
        error.code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
    );
    let class = match error {
        _ if error.fatal && fenced => Class::Fenced,
        _ if error.fatal => Class::Fatal,
        _ if error.requires_abort => Class::Abortable,
        _ if error.retriable => Class::Retriable,
        _ if fenced => Class::Fenced,
        _ => Class::Fatal,
    };
    SinkError { class, text: error.to_string() }
}

impl Sink for KafkaSink {
    fn init(&mut self) -> Result<(), SinkError> {
        if self.live.is_some() {
            // The destructor waits for librdkafka's threads.
            let _guard = self.watchdog.watch("closing the old producer", self.limit * 2);
            self.live = None;
        }
        self.forget_failure();
        let config: ClientConfig =
            self.properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let context = Context {
            first_failure: Arc::clone(&self.first_failure),
            observer: Arc::clone(&self.observer),
        };
        let producer: ThreadedProducer<Context> = config
            .create_with_context(context)
            .map_err(|error| SinkError { class: Class::Fatal, text: error.to_string() })?;
        self.live = Some(Live { topics: Vec::new(), calls: TransactionCalls::new(producer) });
        let limit = self.limit;
        let made = self.guarded("init_transactions", |live| live.calls.init(limit));
        if made.is_err() {
            self.live = None;
        }
        made
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        // One that failed in the transaction before says nothing of this one.
        self.forget_failure();
        self.guarded("begin_transaction", |live| live.calls.begin())
    }

    fn send_offsets(&mut self, offsets: &Offsets, notes: &Notes) -> Result<(), SinkError> {
        let list = list_of(offsets.iter().map(|(at, next)| (at, Some(next))));
        for (at, note) in notes {
            if let Some(mut element) = list.find_partition(at.topic.name(), at.partition) {
                element.set_metadata(note);
            }
        }
        let limit = self.limit;
        self.guarded("send_offsets_to_transaction", |live| {
            live.calls.send_offsets(&list, &self.consumer, limit)
        })
    }

    fn send(&mut self, batch: &mut Batch, index: usize) -> Result<Sent, SinkError> {
        let headers = batch.records[index].take_headers().into_native();
        let live = self.live.as_mut().ok_or_else(|| SinkError {
            class: Class::Fatal,
            text: "there is no producer".into(),
        })?;
        let record = &batch.records[index];
        let (key, value) = batch.bytes(record);
        let topic = live.topic(record.topic)?;
        let sent = live.calls.send(
            &live.topics[topic].1,
            record.partition,
            key,
            value,
            headers,
            record.timestamp,
        );
        let Err(unsent) = sent else { return Ok(Sent::Queued) };
        if unsent.code == RDKafkaErrorCode::QueueFull {
            if let Some(headers) = unsent.headers {
                batch.records[index].put_headers(Headers::Native(headers));
            }
            return Ok(Sent::Full);
        }
        let text = format!("a record to {}: {}", record.topic, unsent.code);
        let fatal = matches!(unsent.code, RDKafkaErrorCode::Fatal | RDKafkaErrorCode::Fenced);
        if !fatal {
            return Err(SinkError { class: Class::Abortable, text });
        }
        let fatal = live.calls.producer().client().fatal_error();
        let fenced =
            matches!(fatal, Some((RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced, _)));
        let class = if fenced { Class::Fenced } else { Class::Fatal };
        let cause = fatal.map_or_else(String::new, |(_, reason)| format!(" ({reason})"));
        Err(SinkError { class, text: format!("{text}{cause}") })
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        let limit = self.limit;
        self.guarded("commit_transaction", |live| live.calls.commit(limit))
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        let limit = self.limit;
        self.guarded("abort_transaction", |live| live.calls.abort(limit))
    }
}

impl Live {
    fn topic(&mut self, topic: Topic) -> Result<usize, SinkError> {
        if let Some(index) = self.topics.iter().position(|(known, _)| *known == topic) {
            return Ok(index);
        }
        let made = self.calls.topic(topic.name()).map_err(|code| SinkError {
            class: Class::Abortable,
            text: format!("topic {topic}: {code}"),
        })?;
        self.topics.push((topic, made));
        Ok(self.topics.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::{KafkaSource, OffsetReset};

    struct Deaf;

    impl ClientObserver for Deaf {
        fn statistics(&self, _: &rdkafka::Statistics) {}
        fn error(&self, _: Option<RDKafkaErrorCode>, _: &str) {}
    }

    fn sink() -> KafkaSink {
        let properties = |extra: (&str, &str)| {
            let own = [("bootstrap.servers", "127.0.0.1:1"), extra];
            own.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect()
        };
        let source = KafkaSource::new(
            &properties(("group.id", "g")),
            &[],
            OffsetReset::Error,
            Arc::new(Deaf),
        )
        .unwrap();
        let watchdog = Watchdog::exiting().unwrap();
        let properties = properties(("transactional.id", "t"));
        KafkaSink::new(properties, &source, Arc::new(Deaf), watchdog, Duration::from_millis(1))
    }

    /// Its delivery report was kept, and no error of its own transaction asked for it.
    fn fail_a_record(sink: &KafkaSink) {
        *sink.first_failure.lock().unwrap() = Some("orders[0]: too large".into());
    }

    #[test]
    fn a_failed_record_is_blamed_for_its_own_transaction_alone() {
        let mut sink = sink();
        let error = || RawError {
            code: RDKafkaErrorCode::Fail,
            text: "failed".into(),
            fatal: false,
            retriable: false,
            requires_abort: true,
        };
        fail_a_record(&sink);
        assert!(sink.explain(error()).text.contains("orders[0]"));
        fail_a_record(&sink);
        let _ = sink.begin();
        assert!(!sink.explain(error()).text.contains("orders[0]"), "begun anew");
        fail_a_record(&sink);
        assert!(!sink.init().unwrap_err().text.contains("orders[0]"), "made anew");
    }
}
