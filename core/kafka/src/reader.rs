//! Reads ranges of partitions, many messages at a call.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::raw::{Keyed, MessageQueue, NativeMessage};
use crate::report::Trouble;
use crate::token;

/// A consumer that is assigned by hand, and given tokens where its cluster asks for some.
pub type Consumer = Keyed<BaseConsumer<Trouble>>;

/// Makes a consumer that is to be assigned by hand, and gives where its trouble is kept.
///
/// # Errors
/// A property is wrong.
pub fn consumer(properties: &BTreeMap<String, String>) -> KafkaResult<(Consumer, Trouble)> {
    let trouble = Trouble::default();
    let config: ClientConfig = properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let consumer: BaseConsumer<Trouble> = config.create_with_context(trouble.clone())?;
    Ok((token::keyed(consumer, |consumer| consumer.client(), properties), trouble))
}

/// One partition from an offset (with) to another (without).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The partition.
    pub partition: i32,
    /// The first offset to read.
    pub start: i64,
    /// The first offset not to read.
    pub end: i64,
}

/// Says why a partition cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// librdkafka does not take the ranges.
    #[error("assignment of {topic}")]
    Assignment {
        /// The topic.
        topic: String,
        /// Why.
        #[source]
        error: KafkaError,
    },
    /// A partition cannot be read.
    #[error("{topic}[{partition}]: {code}")]
    Partition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Why.
        code: RDKafkaErrorCode,
    },
    /// The consumer failed.
    #[error("reading {topic}")]
    Consumer {
        /// The topic.
        topic: String,
        /// Why.
        #[source]
        error: KafkaError,
    },
    /// Nothing came for longer than an answer may take.
    #[error("nothing came from {topic} (partitions {left:?}) for {limit:?}{trouble}")]
    Silence {
        /// The topic.
        topic: String,
        /// The partitions that are not at their end.
        left: Vec<i32>,
        /// How long was waited.
        limit: Duration,
        /// What librdkafka reported last, if anything.
        trouble: String,
    },
}

/// Says what came in a message's place in a consumer's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// A message.
    Message,
    /// The end of the partition, for now.
    End,
    /// The place that was asked for is not there.
    OutOfRange,
    /// Another trouble of the partition.
    Trouble(RDKafkaErrorCode),
}

impl Came {
    /// Sorts what came by its error.
    #[must_use]
    pub fn by(error: Option<RDKafkaErrorCode>) -> Self {
        match error {
            None => Self::Message,
            Some(RDKafkaErrorCode::PartitionEOF) => Self::End,
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Self::OutOfRange
            }
            Some(code) => Self::Trouble(code),
        }
    }
}

/// Messages taken at a call.
const AT_ONCE: usize = 1_024;
const OUT_OF_RANGE: RDKafkaErrorCode = RDKafkaErrorCode::OffsetOutOfRange;
/// How long one wait lasts, between looks at the consumer's own events.
const WAIT: Duration = Duration::from_millis(100);

/// Reads assigned partitions of one topic.
pub struct Reader {
    // Before the consumer, which must outlive it.
    queue: MessageQueue,
    consumer: Consumer,
    trouble: Trouble,
    topic: String,
    /// Where each partition ends; those that are done are taken out.
    ends: HashMap<i32, i64>,
    /// Goes on behind the ends.
    follow: bool,
    limit: Duration,
    moved: Instant,
}

impl Reader {
    /// Assigns the ranges. With `follow` there is no end.
    ///
    /// # Errors
    /// librdkafka refuses the assignment.
    pub fn new(
        consumer: Consumer,
        trouble: Trouble,
        topic: &str,
        ranges: &[Range],
        follow: bool,
        limit: Duration,
    ) -> Result<Self, ReadError> {
        let queue = MessageQueue::new(&consumer, AT_ONCE);
        let refused = |error| ReadError::Assignment { topic: topic.to_owned(), error };
        let mut list = TopicPartitionList::new();
        let mut ends = HashMap::new();
        for range in ranges.iter().filter(|range| follow || range.start < range.end) {
            queue.forward(&consumer, topic, range.partition, true);
            list.add_partition_offset(topic, range.partition, Offset::Offset(range.start))
                .map_err(refused)?;
            ends.insert(range.partition, if follow { i64::MAX } else { range.end });
        }
        if !ends.is_empty() {
            consumer.assign(&list).map_err(refused)?;
        }
        let (topic, moved) = (topic.to_owned(), Instant::now());
        Ok(Self { queue, consumer, trouble, topic, ends, follow, limit, moved })
    }

    /// The consumer itself, for what belongs to its group.
    #[must_use]
    pub fn consumer(&self) -> &BaseConsumer<Trouble> {
        &self.consumer
    }

    /// Says whether every range was read to its end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ends.is_empty()
    }

    /// Waits a moment for messages and hands out all that are there. Answers whether any came.
    ///
    /// # Errors
    /// A partition cannot be read on, or nothing came for longer than an answer may take.
    pub fn read(&mut self, each: impl FnMut(NativeMessage)) -> Result<bool, ReadError> {
        self.read_within(WAIT, each)
    }

    /// Does the same with a wait of one's own.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_within(
        &mut self,
        wait: Duration,
        mut each: impl FnMut(NativeMessage),
    ) -> Result<bool, ReadError> {
        let (ends, follow) = (&mut self.ends, self.follow);
        let (mut failed, mut any) = (None, false);
        self.queue.receive(wait, |message| {
            let partition = message.partition();
            match Came::by(message.error()) {
                Came::Message => match ends.get(&partition) {
                    Some(end) if message.offset() < *end => {
                        if message.offset() + 1 == *end {
                            ends.remove(&partition);
                        }
                        any = true;
                        each(message);
                    }
                    // Behind the end of a range that ended in control records.
                    _ => drop(ends.remove(&partition)),
                },
                Came::End => {
                    any = true;
                    if !follow {
                        ends.remove(&partition);
                    }
                }
                Came::OutOfRange => drop(failed.get_or_insert((partition, OUT_OF_RANGE))),
                Came::Trouble(code) => drop(failed.get_or_insert((partition, code))),
            }
        });
        if let Some((partition, code)) = failed {
            return Err(ReadError::Partition { topic: self.topic.clone(), partition, code });
        }
        // The consumer's own queue has what concerns no partition, and wants to be served.
        if let Some(Err(error)) = self.consumer.poll(Duration::ZERO)
            && !passing(&error)
        {
            return Err(ReadError::Consumer { topic: self.topic.clone(), error });
        }
        if any || self.follow || self.is_done() {
            self.moved = Instant::now();
        } else if self.moved.elapsed() > self.limit {
            let left: Vec<i32> = self.ends.keys().copied().collect();
            return Err(ReadError::Silence {
                topic: self.topic.clone(),
                left,
                limit: self.limit,
                trouble: self.trouble.last(),
            });
        }
        Ok(any)
    }
}

/// Says whether librdkafka mends this by itself; if it does not, the time limit tells.
fn passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
        )
    )
}
