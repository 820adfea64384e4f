//! Reads ranges of partitions, many messages at a call.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use nubium_kafka::raw::{MessageQueue, NativeMessage};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::client::Context;
use super::positions::Range;

/// Messages taken at a call.
const AT_ONCE: usize = 1_024;
/// How long one wait lasts, between looks at the consumer's own events.
const WAIT: Duration = Duration::from_millis(100);

/// Reads assigned partitions of one topic.
pub struct Reader {
    // Before the consumer, which must outlive it.
    queue: MessageQueue,
    consumer: BaseConsumer<Context>,
    context: Context,
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
        consumer: BaseConsumer<Context>,
        context: Context,
        topic: &str,
        ranges: &[Range],
        follow: bool,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let queue = MessageQueue::new(&consumer, AT_ONCE);
        let mut list = TopicPartitionList::new();
        let mut ends = HashMap::new();
        for range in ranges.iter().filter(|range| follow || range.start < range.end) {
            queue.forward(&consumer, topic, range.partition, true);
            list.add_partition_offset(topic, range.partition, Offset::Offset(range.start))?;
            ends.insert(range.partition, if follow { i64::MAX } else { range.end });
        }
        if !ends.is_empty() {
            consumer.assign(&list).context("assignment")?;
        }
        let (topic, moved) = (topic.to_owned(), Instant::now());
        Ok(Self { queue, consumer, context, topic, ends, follow, limit, moved })
    }

    /// The consumer itself, for what belongs to its group.
    #[must_use]
    pub fn consumer(&self) -> &BaseConsumer<Context> {
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
    pub fn read(&mut self, each: impl FnMut(NativeMessage)) -> anyhow::Result<bool> {
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
    ) -> anyhow::Result<bool> {
        let (ends, follow) = (&mut self.ends, self.follow);
        let (mut failed, mut any) = (None, false);
        self.queue.receive(wait, |message| {
            let partition = message.partition();
            match message.error() {
                None => match ends.get(&partition) {
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
                Some(RDKafkaErrorCode::PartitionEOF) => {
                    any = true;
                    if !follow {
                        ends.remove(&partition);
                    }
                }
                Some(code) => drop(failed.get_or_insert((partition, code))),
            }
        });
        if let Some((partition, code)) = failed {
            bail!("{}[{partition}]: {code}", self.topic);
        }
        // The consumer's own queue has what concerns no partition, and wants to be served.
        if let Some(Err(error)) = self.consumer.poll(Duration::ZERO)
            && !passing(&error)
        {
            return Err(anyhow!(error).context(format!("reading {}", self.topic)));
        }
        if any || self.follow || self.is_done() {
            self.moved = Instant::now();
        } else if self.moved.elapsed() > self.limit {
            let left: Vec<i32> = self.ends.keys().copied().collect();
            bail!(
                "nothing came from {} (partitions {left:?}) for {:?}{}",
                self.topic,
                self.limit,
                self.context.trouble()
            );
        }
        Ok(any)
    }
}

/// Says whether librdkafka mends this by itself; if it does not, the time limit tells.
fn passing(error: &rdkafka::error::KafkaError) -> bool {
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
