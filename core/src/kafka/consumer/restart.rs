//! Fetching again what librdkafka has stopped to fetch.
//!
//! With `auto.offset.reset=error` a partition whose position is out of range loses its fetcher, and
//! a seek is refused until it is assigned anew.

use super::{KafkaSource, SEEK, failed, list_of};
use crate::kafka::SourceError;
use nubium_topic::{Offsets, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::{Duration, Instant};

/// Between two looks whether a fetcher has started; it only waits for librdkafka's own threads.
const LOOK: Duration = Duration::from_millis(5);
/// So many refusals of a seek in a row are not those of a fetcher that is about to start: half of
/// what the loop has patience for.
const REFUSALS: u32 = 50;

impl KafkaSource {
    /// Seeks, and answers the partitions that have no fetcher to be moved.
    fn try_seek(&self, to: &Offsets) -> Result<Vec<TopicPartition>, KafkaError> {
        let list = list_of(to.iter().map(|(at, offset)| (at, Some(offset))));
        let answer = self.consumer.seek_partitions(list, SEEK)?;
        let mut refused = Vec::new();
        for element in answer.elements() {
            match element.error() {
                Ok(()) => {}
                Err(error) if is_idle(&error) => {
                    refused.push(TopicPartition::new(element.topic(), element.partition()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    /// Moves partitions, those too whose fetchers were stopped.
    pub(super) fn move_to(&mut self, to: &Offsets) -> Result<(), SourceError> {
        if self.halted.iter().any(|at| to.get(*at).is_some()) {
            self.restart(to)?;
        }
        let refused = self.try_seek(to).map_err(failed("seek"))?;
        if refused.is_empty() {
            self.refusals = 0;
            to.iter().for_each(|(at, offset)| self.places.set(at, offset));
            return Ok(());
        }
        self.refusals += 1;
        if self.refusals >= REFUSALS {
            // It stopped, and the news of it lies in the queue, behind this call.
            self.refusals = 0;
            self.halt(&refused);
        }
        let text = format!("{refused:?} are not being fetched yet");
        Err(SourceError { step: "seek", text, permanent: false })
    }

    pub(super) fn halt(&mut self, partitions: &[TopicPartition]) {
        let new = partitions.iter().filter(|at| !self.halted.contains(at));
        self.halted.extend(new.copied().collect::<Vec<_>>());
    }

    /// Assigns the stopped partitions anew. What is assigned anew loses the way to our queue a moment
    /// later, and what is fetched by then would come past it: so nothing is fetched meanwhile.
    fn restart(&mut self, to: &Offsets) -> Result<(), SourceError> {
        let again = self.to_restart(to).map_err(failed("restart"))?;
        tracing::info!(partitions = %again, "Assigning partitions anew that are not fetched.");
        self.consumer
            .pause(&list_of(again.iter().map(|(at, _)| (at, None))))
            .and_then(|()| reassign(&self.consumer, &again))
            .map_err(failed("restart"))?;
        self.await_fetchers(&again)?;
        self.halted.retain(|at| to.get(*at).is_none());
        for (at, _) in again.iter() {
            self.queue.forward(&self.consumer, at.topic.name(), at.partition, true);
            // One that waits for a place of its own to go on at must not ask for the old one again.
            if !self.paused.contains(&at) && !self.halted.contains(&at) {
                self.consumer.resume(&list_of([(at, None)])).map_err(failed("restart"))?;
            }
        }
        Ok(())
    }

    /// The partitions to assign anew, with their places: the eager protocols know only all at once.
    fn to_restart(&self, to: &Offsets) -> Result<Offsets, KafkaError> {
        let place = |at: TopicPartition| to.get(at).or_else(|| self.places.get(at));
        let wanted =
            |at: &TopicPartition| self.eager || (self.halted.contains(at) && to.get(*at).is_some());
        let assigned = super::names_of(&self.consumer.assignment()?);
        let again = assigned.into_iter().filter(wanted);
        Ok(again.filter_map(|at| Some((at, place(at)?))).collect())
    }

    fn await_fetchers(&self, of: &Offsets) -> Result<(), SourceError> {
        let mut left = of.clone();
        let since = Instant::now();
        loop {
            let idle = self.try_seek(&left).map_err(failed("restart"))?;
            left.retain(|at| idle.contains(&at));
            if left.is_empty() {
                return Ok(());
            }
            if since.elapsed() > SEEK {
                let text = format!("{left} are still not being fetched after {SEEK:?}");
                return Err(SourceError { step: "restart", text, permanent: false });
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Forgets partitions that are given up.
    pub(super) fn forget(&mut self, partitions: &[TopicPartition]) {
        let gone = |at: &TopicPartition| partitions.contains(at);
        // A restart that failed may have left it paused, and it would come back so.
        for at in self.halted.extract_if(.., |at| gone(at)) {
            if let Err(error) = self.consumer.resume(&list_of([(at, None)])) {
                tracing::debug!(%error, %at, "Resume of a partition that was not fetched.");
            }
        }
        self.places.retain(|at| !gone(&at));
        self.paused.retain(|at| !gone(at));
        // Handles of topics that are let go may be used again for others.
        self.topics.clear();
    }
}

fn is_idle(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(RDKafkaErrorCode::State | RDKafkaErrorCode::PreviousInProgress))
}

fn reassign(consumer: &BaseConsumer<super::Context>, places: &Offsets) -> Result<(), KafkaError> {
    let list = list_of(places.iter().map(|(at, offset)| (at, Some(offset))));
    if matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative) {
        consumer.incremental_unassign(&list)?;
        return consumer.incremental_assign(&list);
    }
    consumer.assign(&list)
}
