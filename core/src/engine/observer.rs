//! Tells metrics and liveness what the loop does. The hot path touches plain counters; they are
//! flushed once a batch.

use super::commit::{Done, Outcome};
use crate::kafka::ClientObserver;
use crate::liveness::{Group, Pulse};
use crate::transaction::Batch;
use nubium_kafka::message::Message;
use nubium_kafka::report;
use nubium_metrics::{AppTimer, LoopMetrics, Metrics, RebalanceEvent, TopicCounters};
use nubium_topic::{Offsets, Topic, TopicPartition};
use rdkafka::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Counts per topic until the batch they belong to is committed.
struct Tally {
    topic: Topic,
    counters: TopicCounters,
    in_outbox: u64,
    in_flight: u64,
    /// Of the last batch whose fate is unknown.
    in_doubt: u64,
}

/// What one loop reports to.
pub(crate) struct Observer {
    metrics: Metrics,
    counts: LoopMetrics,
    timer: AppTimer,
    pulse: Arc<Pulse>,
    clock: Instant,
    consumed: Vec<Tally>,
    produced: Vec<Tally>,
    last_timestamp: Option<i64>,
    records_in_flight: u64,
}

impl Observer {
    /// Makes one; `clock` is the zero of all times in the pulse.
    pub(crate) fn new(metrics: &Metrics, pulse: Arc<Pulse>, clock: Instant) -> Self {
        let counts = metrics.for_loop();
        Self {
            metrics: metrics.clone(),
            timer: counts.app_timer(),
            counts,
            pulse,
            clock,
            consumed: Vec::new(),
            produced: Vec::new(),
            last_timestamp: None,
            records_in_flight: 0,
        }
    }

    fn now(&self) -> u64 {
        millis_since(self.clock)
    }

    /// The loop turns: it is not wedged.
    pub(crate) fn turn(&self) {
        self.pulse.turn(self.now());
    }

    /// App functions are about to be called, or still are.
    pub(crate) fn working(&self) {
        self.pulse.app_started(self.now());
    }

    /// App functions are called, and the oldest call began then.
    pub(crate) fn working_since(&self, oldest: Instant) {
        let since = oldest.saturating_duration_since(self.clock).as_millis();
        self.pulse.app_started(u64::try_from(since).unwrap_or(u64::MAX));
    }

    /// So many units were handled in this time; each counts with their mean.
    pub(crate) fn ran(&self, units: u32, took: Duration) {
        let mean = took / units.max(1);
        (0..units).for_each(|_| self.timer.observe(mean));
    }

    /// No app function is running.
    pub(crate) fn rested(&self) {
        self.timer.flush();
        self.pulse.app_finished(self.now());
    }

    /// The loop waits on purpose.
    pub(crate) fn waits(&self, wait: Duration) {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.pulse.wait_until(self.now().saturating_add(wait));
    }

    pub(crate) fn ended(&mut self) {
        self.flush();
        self.pulse.group(Group::Left, self.now());
    }

    /// Stores are brought up to date, or all are.
    pub(crate) fn recovering(&self, recovering: bool) {
        self.pulse.recovering(recovering, self.now());
    }

    /// A unit was handled.
    pub(crate) fn handled(&mut self, unit: &[Message]) {
        for message in unit {
            tally(&mut self.consumed, &self.metrics, message.topic_partition().topic);
        }
        if let Some(last) = unit.last() {
            self.last_timestamp = last.timestamp();
        }
    }

    /// A batch of so many messages was handled.
    pub(crate) fn batch(&self, messages: usize) {
        self.counts.batch(messages);
    }

    pub(crate) fn failed(&self, exception: &str) {
        self.metrics.error(exception);
    }

    pub(crate) fn submitted(&mut self, batch: &Batch) {
        self.records_in_flight = batch.records.len() as u64;
        for record in &batch.records {
            tally(&mut self.produced, &self.metrics, record.topic);
        }
        for tally in self.consumed.iter_mut().chain(&mut self.produced) {
            tally.in_flight += std::mem::take(&mut tally.in_outbox);
        }
        self.pulse.commit_started(self.now());
    }

    pub(crate) fn finished(&mut self, done: &Done) {
        let committed = matches!(done.outcome, Outcome::Committed);
        self.pulse.commit_finished(self.now(), committed);
        match &done.outcome {
            Outcome::Committed => {
                self.counts.committed(done.took, self.records_in_flight);
            }
            Outcome::Aborted { .. } => self.counts.aborted("abort"),
            Outcome::Unknown { .. } => self.counts.aborted("unknown"),
            Outcome::Initialized => return,
        }
        // After a failure too: an app that replays for ever falls behind.
        if let Some(at) = self.last_timestamp {
            let behind = super::now_millis().saturating_sub(at).max(0);
            self.counts.seconds_behind(behind as f64 / 1000.0);
        }
        if committed {
            self.flush();
            return;
        }
        // Replayed: counted when it is committed.
        self.counts.replayed();
        let unknown = matches!(done.outcome, Outcome::Unknown { .. });
        for tally in self.consumed.iter_mut().chain(&mut self.produced) {
            let in_doubt = if unknown { tally.in_flight } else { 0 };
            (tally.in_outbox, tally.in_flight, tally.in_doubt) = (0, 0, in_doubt);
        }
    }

    /// The batch whose fate was unknown has committed.
    pub(crate) fn confirmed(&mut self) {
        for tally in self.consumed.iter_mut().chain(&mut self.produced) {
            tally.in_flight += std::mem::take(&mut tally.in_doubt);
        }
        self.flush();
    }

    pub(crate) fn renewed(&self) {
        self.counts.producer_renewed();
    }

    /// A partition goes on elsewhere.
    pub(crate) fn skipped(&self, at: TopicPartition, deleted: u64, reset: u64) {
        self.metrics.offsets_skipped(at.topic.name(), deleted, reset);
    }

    /// An input topic is gone, and is until the time is over if nothing more is heard of it.
    pub(crate) fn input_gone(&self, lasts: Duration) {
        let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        self.pulse.input_gone_until(self.now().saturating_add(lasts));
    }

    pub(crate) fn assigned(&self, _: &Offsets) {
        self.counts.rebalanced(RebalanceEvent::Assigned);
        self.pulse.group(Group::Member, self.now());
    }

    pub(crate) fn revoked(&self, partitions: &[TopicPartition], lost: bool) {
        let event = if lost { RebalanceEvent::Lost } else { RebalanceEvent::Revoked };
        self.counts.rebalanced(event);
        for at in partitions {
            self.metrics.forget_lag(at.topic.name(), at.partition);
        }
        if lost {
            self.pulse.group(Group::Joining, self.now());
        }
    }

    fn flush(&mut self) {
        for tally in &mut self.consumed {
            tally.counters.consumed(std::mem::take(&mut tally.in_flight));
        }
        for tally in &mut self.produced {
            tally.counters.produced(std::mem::take(&mut tally.in_flight));
        }
    }
}

fn tally(tallies: &mut Vec<Tally>, metrics: &Metrics, topic: Topic) {
    if let Some(known) = tallies.iter_mut().find(|known| known.topic == topic) {
        known.in_outbox += 1;
        return;
    }
    let counters = metrics.topic(topic.name());
    tallies.push(Tally { topic, counters, in_outbox: 1, in_flight: 0, in_doubt: 0 });
}

/// Milliseconds since a moment, as the pulse counts them.
pub(crate) fn millis_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Reports what librdkafka tells about one loop's clients.
pub(crate) struct ClientReporter {
    metrics: Metrics,
    pulse: Arc<Pulse>,
    clock: Instant,
    down: AtomicBool,
    errors: report::Errors,
}

impl ClientReporter {
    pub(crate) fn new(metrics: &Metrics, pulse: Arc<Pulse>, clock: Instant) -> Self {
        let (metrics, down) = (metrics.clone(), AtomicBool::new(false));
        Self { metrics, pulse, clock, down, errors: report::Errors::default() }
    }

    fn reachable(&self, reachable: bool) {
        let was_down = self.down.swap(!reachable, Ordering::Relaxed);
        match (was_down, reachable) {
            (false, false) => tracing::warn!("No broker can be reached."),
            (true, true) => tracing::info!("Brokers can be reached again."),
            _ => {}
        }
        self.pulse.broker(reachable, millis_since(self.clock));
    }
}

/// Sets the lag of each partition and returns their sum.
pub(crate) fn report_lag(metrics: &Metrics, statistics: &Statistics) -> i64 {
    let mut total = 0;
    for (topic, statistics) in &statistics.topics {
        for (partition, p) in statistics.partitions.iter().filter(|(_, p)| p.desired) {
            // The end as read_committed sees it. Both count control records, so that lag is 0
            // when caught up.
            if p.ls_offset >= 0 && p.app_offset >= 0 {
                let lag = (p.ls_offset - p.app_offset).max(0);
                metrics.lag(topic, *partition).set(lag as f64);
                total += lag;
            }
        }
    }
    total
}

impl ClientObserver for ClientReporter {
    fn statistics(&self, statistics: &Statistics) {
        let now = millis_since(self.clock);
        if statistics.brokers.values().any(|broker| broker.state == "UP" && broker.nodeid >= 0) {
            self.reachable(true);
        }
        let lag = report_lag(&self.metrics, statistics);
        let Some(group) = &statistics.cgrp else { return };
        let steady = group.join_state == "steady";
        self.pulse.group(if steady { Group::Member } else { Group::Joining }, now);
        self.pulse.input_waiting(lag > 0 || !steady, now);
    }

    fn error(&self, code: Option<RDKafkaErrorCode>, reason: &str) {
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.reachable(false);
            return;
        }
        self.errors.say(code, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nubium_kafka::message::MessageBody;

    /// The hot path: what is done for every message beside the app function.
    #[test]
    fn counting_a_message_allocates_nothing() {
        let metrics = Metrics::new("app", "job");
        let mut observer = Observer::new(&metrics, Arc::new(Pulse::new(0)), Instant::now());
        let body = MessageBody { timestamp: Some(1), ..MessageBody::default() };
        let unit = [Message::owned(TopicPartition::new("orders", 0), 7, body)];
        // The first message of a topic finds its counters.
        observer.handled(&unit);
        let counted = allocation_counter::measure(|| {
            for _ in 0..1_000 {
                observer.turn();
                observer.working();
                observer.handled(&unit);
                observer.ran(1, Duration::from_micros(5));
                observer.rested();
            }
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
        let looked_up = allocation_counter::measure(|| metrics.inc_messages_consumed("orders", 1));
        assert!(looked_up.count_total > 0, "else nothing is counted here");
    }
}
