//! [`Sink`] on librdkafka.

use super::consumer::{ClientObserver, Context as ConsumerContext, list_of};
use super::{Class, Sent, Sink, SinkError};
use crate::transaction::Batch;
use nubium_host::{Watchdog, mutant};
use nubium_kafka::headers::Headers;
use nubium_kafka::raw::{Keyed, Outgoing, ProducerTopic, RawError, TransactionCalls};
use nubium_kafka::report;
use nubium_kafka::token;
use nubium_topic::{Notes, Offsets, Topic};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What failed in a transaction.
#[derive(Debug, Default)]
struct Failures {
    /// The first record that was not delivered, in words: commit only says that there was one.
    first: Option<String>,
    /// The first one that was refused for what it is.
    refused: Option<usize>,
}

impl Failures {
    fn note(
        &mut self,
        code: Option<RDKafkaErrorCode>,
        index: usize,
        text: impl FnOnce() -> String,
    ) {
        self.first.get_or_insert_with(text);
        if code.is_some_and(is_of_record) {
            self.refused.get_or_insert(index);
        }
    }
}

/// Tells a refusal that is about the record from one that is about the cluster, the topic or a
/// right: those would hit any other record too.
fn is_of_record(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        // Larger than the topic allows, or than the client does.
        Code::MessageSizeTooLarge
            | Code::InvalidMessageSize
            // No key on a compacted topic, a time out of range; and those batched with such a one.
            | Code::InvalidRecord
            | Code::InvalidDifferentRecord
            | Code::InvalidMessage
            | Code::InvalidTimestamp
            // A partition that the topic does not have.
            | Code::UnknownPartition
    )
}

/// What to do about a refusal that is about the cluster.
fn advice(code: Option<RDKafkaErrorCode>) -> &'static str {
    match code {
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            "; the app's principal needs the right (ACL) Write on that topic, and Describe with it"
        }
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            "; the output topic is gone: make it again"
        }
        _ => "",
    }
}

/// Says whether a line of librdkafka's log is about requests that are lost from sight: their
/// connection broke, or their time was over. librdkafka repeats them by itself and tells nobody
/// but its log, on the thread that will repeat them and before it does. The first such line of a
/// client is never held back, and a connection that was not ready yet had no request on it. One that
/// proves itself may have: librdkafka does so again at work, without waiting for what is on its way.
fn is_of_lost_requests(facility: &str, message: &str) -> bool {
    const NOT_READY: [&str; 6] = [
        "in state INIT",
        "in state DOWN",
        "in state TRY_CONNECT",
        "in state CONNECT",
        "in state SSL_HANDSHAKE",
        "in state APIVERSION_QUERY",
    ];
    match facility {
        "FAIL" => !NOT_READY.iter().any(|state| message.contains(state)),
        "REQTMOUT" => true,
        _ => false,
    }
}

/// Keeps the first delivery failure of a transaction, and whether requests were lost from sight.
struct Context {
    failures: Arc<Mutex<Failures>>,
    broke: Arc<AtomicBool>,
    observer: Arc<dyn ClientObserver>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if is_of_lost_requests(facility, message) {
            self.broke.store(true, Ordering::Release);
        }
        report::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.observer.error(error.rdkafka_error_code(), reason);
    }

    fn stats(&self, _: rdkafka::Statistics) {}
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let Err((error, message)) = result else { return };
        // Purging is what an abort does.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PurgeQueue) {
            return;
        }
        let code = error.rdkafka_error_code();
        let mut failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        failures.note(code, index, || {
            let (topic, partition) = (message.topic(), message.partition());
            let size = message.payload_len() + message.key_len();
            format!("{topic}[{partition}]: {error} ({size} bytes){}", advice(code))
        });
    }
}

/// A transactional producer and the consumer whose offsets it commits.
pub(crate) struct KafkaSink {
    properties: BTreeMap<String, String>,
    consumer: Arc<Keyed<BaseConsumer<ConsumerContext>>>,
    observer: Arc<dyn ClientObserver>,
    watchdog: Watchdog,
    /// `transaction.timeout.ms`: the longest one call may wait.
    limit: Duration,
    live: Option<Live>,
    failures: Arc<Mutex<Failures>>,
    /// Of the live producer: another may still write its log when this one is made.
    broke: Arc<AtomicBool>,
}

struct Live {
    // Before the calls: topics belong to the producer.
    topics: Vec<(Topic, ProducerTopic)>,
    calls: TransactionCalls<Context>,
}

impl KafkaSink {
    /// Describes a producer; it is made by [`Sink::init`].
    #[must_use]
    pub(crate) fn new(
        properties: BTreeMap<String, String>,
        source: &super::KafkaSource,
        observer: Arc<dyn ClientObserver>,
        watchdog: Watchdog,
        limit: Duration,
    ) -> Self {
        let consumer = source.consumer();
        let failures = Arc::default();
        let (live, broke) = (None, Arc::default());
        Self { properties, consumer, observer, watchdog, limit, live, failures, broke }
    }

    fn live(&self) -> Result<&Live, SinkError> {
        self.live
            .as_ref()
            .ok_or_else(|| SinkError { class: Class::Fatal, text: "there is no producer".into() })
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn forget_failures(&self) {
        *self.failures() = Failures::default();
    }

    fn explain(&self, error: RawError) -> SinkError {
        let failure = self.failures().first.take();
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
        self.forget_failures();
        let mut config: ClientConfig =
            self.properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        // Its log is read here, whatever of it is shown.
        config.set_log_level(RDKafkaLogLevel::Info);
        self.broke = Arc::default();
        let context = Context {
            failures: Arc::clone(&self.failures),
            broke: Arc::clone(&self.broke),
            observer: Arc::clone(&self.observer),
        };
        let producer: ThreadedProducer<Context> = config
            .create_with_context(context)
            .map_err(|error| SinkError { class: Class::Fatal, text: error.to_string() })?;
        let producer = token::keyed(producer, |producer| producer.client(), &self.properties);
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
        self.forget_failures();
        self.guarded("begin_transaction", |live| live.calls.begin())
    }

    fn send_offsets(&mut self, offsets: &Offsets, notes: &Notes) -> Result<(), SinkError> {
        let less = i64::from(mutant!("offset-of-the-last")) - i64::from(mutant!("offset-too-far"));
        let list = list_of(offsets.iter().map(|(at, next)| (at, Some((next - less).max(0)))));
        for (at, note) in notes {
            if let Some(mut element) = list.find_partition(at.topic.name(), at.partition) {
                element.set_metadata(note);
            }
        }
        if mutant!("plain-commit") {
            use rdkafka::consumer::{CommitMode, Consumer as _};
            return self
                .consumer
                .commit(&list, CommitMode::Sync)
                .map_err(|error| SinkError { class: Class::Abortable, text: error.to_string() });
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
        let (partition, timestamp) = (record.partition, record.timestamp);
        let outgoing = Outgoing { partition, key, value, timestamp, index };
        let sent = live.calls.send(&live.topics[topic].1, outgoing, headers);
        let Err(unsent) = sent else { return Ok(Sent::Queued) };
        if unsent.code == RDKafkaErrorCode::QueueFull {
            if let Some(headers) = unsent.headers {
                batch.records[index].put_headers(Headers::Native(headers));
            }
            return Ok(Sent::Full);
        }
        let text = format!("a record to {}: {}", record.topic, unsent.code);
        self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).note(
            Some(unsent.code),
            index,
            || text.clone(),
        );
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

    fn settle(&mut self) -> Result<(), SinkError> {
        let limit = self.limit;
        let flushed = {
            let _guard = self.watchdog.watch("flush", limit * 2 + Duration::from_secs(10));
            self.live()?.calls.flush(limit)
        };
        let failed = self.failures().first.clone();
        let slow = flushed.err().map(|code| format!("the broker does not take records: {code}"));
        match failed.or(slow) {
            None => Ok(()),
            Some(text) => Err(SinkError { class: Class::Abortable, text }),
        }
    }

    fn refused(&self) -> Option<usize> {
        self.failures().refused
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        let limit = self.limit;
        self.guarded("commit_transaction", |live| live.calls.commit(limit))
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        let limit = self.limit;
        self.guarded("abort_transaction", |live| live.calls.abort(limit))
    }

    fn broke(&self) -> bool {
        self.broke.load(Ordering::Acquire)
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
        let code = Some(RDKafkaErrorCode::MessageSizeTooLarge);
        sink.failures().note(code, 3, || "orders[0]: too large".into());
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
        assert_eq!(sink.refused(), Some(3), "explained, it is still refused");
        fail_a_record(&sink);
        let _ = sink.begin();
        assert_eq!(sink.refused(), None, "begun anew");
        assert!(!sink.explain(error()).text.contains("orders[0]"), "begun anew");
        fail_a_record(&sink);
        assert!(!sink.init().unwrap_err().text.contains("orders[0]"), "made anew");
    }

    #[test]
    fn a_refusal_is_about_the_record_or_about_the_cluster() {
        use RDKafkaErrorCode as Code;
        for (code, of_record) in [
            (Code::MessageSizeTooLarge, true),
            (Code::InvalidRecord, true),
            (Code::InvalidDifferentRecord, true),
            (Code::InvalidTimestamp, true),
            (Code::UnknownPartition, true),
            (Code::TopicAuthorizationFailed, false),
            (Code::UnknownTopicOrPartition, false),
            (Code::UnknownTopic, false),
            (Code::MessageTimedOut, false),
            (Code::NotEnoughReplicas, false),
            (Code::PolicyViolation, false),
        ] {
            assert_eq!(is_of_record(code), of_record, "{code:?}");
        }
        assert!(advice(Some(Code::TopicAuthorizationFailed)).contains("Write"));
    }

    #[test]
    fn requests_are_lost_from_sight_with_a_connection_that_was_in_use() {
        let lost = "TxnCoordinator: b:9092: Disconnected (after 817ms in state UP)";
        let over = "b:9092/1: 1 request(s) timed out: disconnect (average rtt 2.1ms) (after \
                    61000ms in state UP)";
        let refused = "b:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after \
                       0ms in state CONNECT)";
        for (facility, message, is_lost) in [
            ("FAIL", lost, true),
            ("FAIL", over, true),
            ("FAIL", "b:9092/1: Disconnected (after 3ms in state AUTH_REQ)", true),
            ("FAIL", "b:9092/1: Disconnected (after 3ms in state REAUTH)", true),
            ("FAIL", "b:9092/1: a line too long to say its state", true),
            ("REQTMOUT", "b:9092/1: Timed out EndTxnRequest in flight", true),
            ("FAIL", refused, false),
            ("TXNERR", lost, false),
        ] {
            assert_eq!(is_of_lost_requests(facility, message), is_lost, "{facility} {message}");
        }
    }
}
