//! [`Source`] on librdkafka.

mod restart;
mod trouble;

use super::{Event, Source, SourceError, Waker};
use nubium_kafka::message::Message;
use nubium_kafka::raw::{Keyed, MessageQueue, NativeMessage};
use nubium_kafka::report;
use nubium_kafka::token;
use nubium_topic::{Notes, Offsets, Topic, TopicPartition};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics, TopicPartitionList};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Messages taken from librdkafka's queue at a time: enough to make the call cheap, few enough for
/// the cache.
const AT_ONCE: usize = 512;
/// How long a seek may take; it only waits for librdkafka's own threads.
const SEEK: Duration = Duration::from_secs(5);

/// Is told what librdkafka measures and reports, on the thread that polls.
pub(crate) trait ClientObserver: Send + Sync {
    /// Statistics, every `statistics.interval.ms`.
    fn statistics(&self, statistics: &Statistics);
    /// A connection trouble or another error that is not tied to a call.
    fn error(&self, code: Option<RDKafkaErrorCode>, reason: &str);
}

/// Where an assignment starts when the group has committed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetReset {
    /// At the first message there is.
    Earliest,
    /// After the last message there is.
    Latest,
    /// Nowhere: the app ends and an operator decides.
    Error,
}

/// Keeps rebalances for [`Source::serve`] instead of carrying them out behind the engine's back.
pub(crate) struct Context {
    rebalances: Mutex<VecDeque<Event>>,
    closing: AtomicBool,
    observer: Arc<dyn ClientObserver>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        report::log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.observer.statistics(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.observer.error(error.rdkafka_error_code(), reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assign = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            // The loop is over and everything is committed or given up: only librdkafka waits for
            // this.
            if !assign && let Err(error) = unassign(consumer, partitions) {
                tracing::debug!(%error, "Unassign while closing.");
            }
            return;
        }
        let list = names_of(partitions);
        let event = match (assign, consumer.assignment_lost()) {
            (true, _) => Event::Assigned(list),
            (false, true) => Event::Lost(list),
            (false, false) => Event::Revoked(list),
        };
        let mut waiting = self.rebalances.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        waiting.push_back(event);
    }
}

/// A consumer whose partitions all feed one queue.
pub(crate) struct KafkaSource {
    // Before the consumer, which must outlive it.
    queue: MessageQueue,
    topics: Vec<(usize, Topic)>,
    consumer: Arc<Keyed<BaseConsumer<Context>>>,
    reset: OffsetReset,
    subscription: Vec<String>,
    notes: Notes,
    /// The group's protocol assigns everything at once.
    eager: bool,
    /// Where partitions were last sent to; with an eager protocol, where they are.
    places: Offsets,
    /// Partitions whose fetchers librdkafka has stopped.
    halted: Vec<TopicPartition>,
    /// Partitions that the loop has paused.
    paused: Vec<TopicPartition>,
    /// Seeks in a row that found no fetcher.
    refusals: u32,
    /// Partitions' troubles that were not told yet.
    troubles: VecDeque<Event>,
    missing: trouble::Missing,
}

impl KafkaSource {
    /// Makes a consumer for these topics.
    ///
    /// # Errors
    /// A property is wrong; nothing is asked of the network yet.
    pub(crate) fn new(
        properties: &BTreeMap<String, String>,
        topics: &[&str],
        reset: OffsetReset,
        observer: Arc<dyn ClientObserver>,
    ) -> KafkaResult<Self> {
        let context =
            Context { rebalances: Mutex::default(), closing: AtomicBool::new(false), observer };
        let config: ClientConfig = properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let consumer: BaseConsumer<Context> = config.create_with_context(context)?;
        let consumer = token::keyed(consumer, |consumer| consumer.client(), properties);
        let queue = MessageQueue::new(&consumer, AT_ONCE);
        let subscription = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let consumer = Arc::new(consumer);
        Ok(Self {
            queue,
            topics: Vec::new(),
            consumer,
            reset,
            subscription,
            notes: Notes::new(),
            eager: is_eager(properties),
            places: Offsets::default(),
            halted: Vec::new(),
            paused: Vec::new(),
            refusals: 0,
            troubles: VecDeque::new(),
            missing: trouble::Missing::default(),
        })
    }

    /// Shares the consumer with the producer's side, which reads the group's metadata from it.
    pub(crate) fn consumer(&self) -> Arc<Keyed<BaseConsumer<Context>>> {
        Arc::clone(&self.consumer)
    }

    fn event(&mut self) -> Option<Event> {
        let mut waiting = self
            .consumer
            .context()
            .rebalances
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        waiting.pop_front()
    }
}

/// Says whether the group's protocol takes everything back at each rebalance.
fn is_eager(properties: &BTreeMap<String, String>) -> bool {
    let is = |name: &str, value: &str| properties.get(name).is_some_and(|known| known == value);
    !is("group.protocol", "consumer") && !is("partition.assignment.strategy", "cooperative-sticky")
}

/// Finds a message's topic by librdkafka's handle, which is quicker than by name. Handles are used
/// again once nothing of their topic is assigned: `topics` must be cleared then.
pub(super) fn topic_of(topics: &mut Vec<(usize, Topic)>, message: &NativeMessage) -> Topic {
    let handle = message.topic_handle();
    if let Some((_, topic)) = topics.iter().find(|(known, _)| *known == handle) {
        return *topic;
    }
    let topic = Topic::named(message.topic());
    topics.push((handle, topic));
    topic
}

impl Source for KafkaSource {
    fn subscribe(&mut self) -> Result<(), SourceError> {
        let topics: Vec<&str> = self.subscription.iter().map(String::as_str).collect();
        self.consumer.subscribe(&topics).map_err(failed("subscribe"))
    }

    fn serve(&mut self) -> Option<Event> {
        if let Some(event) = self.event() {
            return Some(event);
        }
        let polled = match self.consumer.poll(Duration::ZERO) {
            // Every partition is forwarded to our queue before it is assigned.
            Some(Ok(stray)) => {
                use rdkafka::Message as _;
                let place = format!("{}[{}]@{}", stray.topic(), stray.partition(), stray.offset());
                Some(Event::Fatal(format!("a message came past the queue: {place}")))
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                Some(Event::Fatal(code.to_string()))
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(code) if trouble::is_of_topic(code) && self.blame(code) => None,
                _ => trouble(&error),
            },
            None => None,
        };
        self.ask_for_missing();
        self.event().or(polled).or_else(|| self.troubles.pop_front())
    }

    fn fetch(&mut self, inbox: &mut VecDeque<Message>, wait: Duration) -> bool {
        let Self { queue, topics, places, eager, .. } = self;
        let mut troubles = Vec::new();
        let received = queue.receive(wait, |message| {
            if let Some(code) = message.error() {
                troubles.extend(trouble::of_message(code, &message));
                return;
            }
            let topic = topic_of(topics, &message);
            if *eager {
                let partition = message.partition();
                places.set(TopicPartition { topic, partition }, message.offset() + 1);
            }
            inbox.push_back(Message::native(topic, message));
        });
        troubles.into_iter().for_each(|(at, trouble)| self.note(at, trouble));
        received >= AT_ONCE
    }

    fn accept(&mut self, event: &Event, starts: &Offsets) -> Result<(), SourceError> {
        let (partitions, assign) = match event {
            Event::Assigned(partitions) => (partitions, true),
            Event::Revoked(partitions) | Event::Lost(partitions) => (partitions, false),
            Event::Partition { .. } | Event::Trouble(_) | Event::Fatal(_) => return Ok(()),
        };
        if assign {
            starts.iter().for_each(|(at, start)| self.places.set(at, start));
        } else {
            self.forget(partitions);
        }
        for at in partitions {
            self.queue.forward(&self.consumer, at.topic.name(), at.partition, assign);
        }
        let list = list_of(partitions.iter().map(|at| (*at, starts.get(*at))));
        let answer = if assign {
            match self.consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => self.consumer.incremental_assign(&list),
                _ => self.consumer.assign(&list),
            }
        } else {
            unassign(&self.consumer, &list)
        };
        answer.map_err(failed("assignment"))
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
        limit: Duration,
    ) -> Result<Offsets, SourceError> {
        let list = list_of(partitions.iter().map(|at| (*at, None)));
        let answer =
            self.consumer.committed_offsets(list, limit).map_err(failed("committed offsets"))?;
        let mut offsets = Offsets::default();
        self.notes.clear();
        for element in answer.elements() {
            element.error().map_err(failed("committed offsets"))?;
            if let Offset::Offset(offset) = element.offset() {
                let at = TopicPartition::new(element.topic(), element.partition());
                offsets.set(at, offset);
                if !element.metadata().is_empty() {
                    self.notes.push((at, element.metadata().to_owned()));
                }
            }
        }
        Ok(offsets)
    }

    fn notes(&mut self) -> Notes {
        std::mem::take(&mut self.notes)
    }

    fn reset_offset(&mut self, at: TopicPartition, limit: Duration) -> Result<i64, SourceError> {
        if self.reset == OffsetReset::Error {
            let text = format!(
                "the group has no committed offset for {at}, and \
                 NU_CONSUMER_AUTO_OFFSET_RESET=error forbids to guess; \
                 set the group's offsets or the setting"
            );
            return Err(SourceError { step: "auto.offset.reset", text, permanent: true });
        }
        let (first, end) = self.watermarks(at, limit)?;
        Ok(match self.reset {
            OffsetReset::Earliest | OffsetReset::Error => first,
            OffsetReset::Latest => end,
        })
    }

    fn watermarks(
        &mut self,
        at: TopicPartition,
        limit: Duration,
    ) -> Result<(i64, i64), SourceError> {
        let found = self.consumer.fetch_watermarks(at.topic.name(), at.partition, limit);
        found.map_err(failed("watermarks"))
    }

    fn reset(&self) -> OffsetReset {
        self.reset
    }

    fn seek(&mut self, to: &Offsets) -> Result<(), SourceError> {
        self.move_to(to)
    }

    fn pause(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        self.paused.push(at);
        self.consumer.pause(&list_of([(at, None)])).map_err(failed("pause"))
    }

    fn resume(&mut self, at: TopicPartition) -> Result<(), SourceError> {
        self.paused.retain(|known| *known != at);
        self.consumer.resume(&list_of([(at, None)])).map_err(failed("resume"))
    }

    fn waker(&self) -> Waker {
        let waker = self.queue.waker();
        Arc::new(move || waker.wake())
    }

    fn close(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Relaxed);
        // Rebalances that came and were not accepted would keep the close waiting.
        while let Some(event) = self.event() {
            if !matches!(event, Event::Assigned(_)) {
                let _ = self.accept(&event, &Offsets::default());
            }
        }
    }
}

fn unassign<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        _ => consumer.unassign(),
    }
}

fn trouble(error: &KafkaError) -> Option<Event> {
    let quiet = matches!(
        error.rdkafka_error_code(),
        // Reported through the observer already, and mended by librdkafka.
        Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure)
    );
    (!quiet).then(|| Event::Trouble(error.to_string()))
}

fn failed(step: &'static str) -> impl Fn(KafkaError) -> SourceError {
    move |error| SourceError { step, text: error.to_string(), permanent: false }
}

fn names_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|e| TopicPartition::new(e.topic(), e.partition())).collect()
}

/// Makes librdkafka's list; partitions without an offset keep its "invalid" one.
pub(super) fn list_of(
    partitions: impl IntoIterator<Item = (TopicPartition, Option<i64>)>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (at, offset) in partitions {
        let mut element = list.add_partition(at.topic.name(), at.partition);
        if let Some(offset) = offset {
            // Fails only for the logical offsets below zero, which are never set here.
            let _ = element.set_offset(Offset::Offset(offset));
        }
    }
    list
}
