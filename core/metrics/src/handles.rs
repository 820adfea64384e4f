//! What the rest of the core holds and bumps.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::local::LocalHistogram;
use prometheus::{Gauge, Histogram, IntCounter};

use super::registry::Metrics;

/// Counts the messages of one topic. Resolve it once and keep it. A series is made with the first
/// message that it counts: a topic that is only read has none of what is produced.
#[derive(Clone)]
pub struct TopicCounters {
    pub(super) metrics: Metrics,
    pub(super) topic: Arc<str>,
    pub(super) consumed: OnceLock<IntCounter>,
    pub(super) produced: OnceLock<IntCounter>,
}

impl fmt::Debug for TopicCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicCounters").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl TopicCounters {
    /// Counts messages consumed, once a batch.
    pub fn consumed(&self, messages: u64) {
        if messages > 0 {
            self.consumed.get_or_init(|| self.metrics.consumed(&self.topic)).inc_by(messages);
        }
    }

    /// Counts messages produced, once a batch.
    pub fn produced(&self, messages: u64) {
        if messages > 0 {
            self.produced.get_or_init(|| self.metrics.produced(&self.topic)).inc_by(messages);
        }
    }
}

/// Describes one request of the app to another service, for `external_requests`.
#[derive(Clone, Copy, Debug)]
pub struct ExternalRequest<'a> {
    /// The service.
    pub to: &'a str,
    /// The path or operation. Keep ids out of it: each distinct value is a series.
    pub endpoint: &'a str,
    /// The method, such as `GET`.
    pub kind: &'a str,
    /// Whether one request carries many items.
    pub is_bulk: bool,
    /// The status of the answer.
    pub status_code: u16,
}

/// Says what a rebalance did to the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebalanceEvent {
    /// Partitions came.
    Assigned,
    /// Partitions go, and what is complete may still be committed.
    Revoked,
    /// Partitions are gone.
    Lost,
}

impl RebalanceEvent {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Revoked => "revoked",
            Self::Lost => "lost",
        }
    }
}

/// Holds what one loop counts. Each loop takes its own from [`Metrics::for_loop`].
#[derive(Clone)]
pub struct LoopMetrics {
    pub(super) metrics: Metrics,
    pub(super) committed: IntCounter,
    pub(super) commit_duration: Histogram,
    pub(super) app_duration: Histogram,
    pub(super) records: Histogram,
    pub(super) batches: Histogram,
    pub(super) replays: IntCounter,
    pub(super) producer_renewals: IntCounter,
    pub(super) behind: Arc<Behind>,
}

impl LoopMetrics {
    /// Counts a committed transaction: how long from begin to commit, and its records.
    pub fn committed(&self, took: Duration, records: u64) {
        self.committed.inc();
        self.commit_duration.observe(took.as_secs_f64());
        self.records.observe(records as f64);
    }

    /// Counts a batch by its messages.
    pub fn batch(&self, messages: usize) {
        self.batches.observe(messages as f64);
    }

    /// Counts an aborted transaction. `reason` is one of a few fixed words.
    pub fn aborted(&self, reason: &'static str) {
        self.metrics.aborted(reason);
    }

    /// Counts a rewind.
    pub fn replayed(&self) {
        self.replays.inc();
    }

    /// Counts a producer that was built anew.
    pub fn producer_renewed(&self) {
        self.producer_renewals.inc();
    }

    /// Counts a change of the assignment.
    pub fn rebalanced(&self, event: RebalanceEvent) {
        self.metrics.rebalanced(event);
    }

    /// Sets how old the message is that was consumed last. One atomic store.
    pub fn seconds_behind(&self, seconds: f64) {
        self.behind.set(seconds);
    }

    /// Returns a timer for calls of the app function, to be kept by the thread that calls it.
    #[must_use]
    pub fn app_timer(&self) -> AppTimer {
        AppTimer(self.app_duration.local())
    }
}

/// Collects durations of the app function without atomics and hands them over once a batch.
#[derive(Debug)]
pub struct AppTimer(LocalHistogram);

impl AppTimer {
    /// Notes one call.
    pub fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }

    /// Hands over what was noted; call it once a batch. Dropping the timer does it too.
    pub fn flush(&self) {
        self.0.flush();
    }
}

/// Holds what the pusher of metrics counts.
#[derive(Clone, Debug)]
pub struct PushMetrics {
    pub(super) ok: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) duration: Histogram,
    pub(super) pods: Gauge,
    pub(super) lookup_failures: IntCounter,
}

/// Says how a push of metrics to one pod ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// The pod has taken it.
    Ok,
    /// The pod answered something else.
    Refused,
    /// There was no answer.
    Failed,
}

impl PushMetrics {
    /// Counts a push to one pod.
    pub fn pushed(&self, outcome: PushOutcome, took: Duration) {
        let counter = match outcome {
            PushOutcome::Ok => &self.ok,
            PushOutcome::Refused => &self.refused,
            PushOutcome::Failed => &self.failed,
        };
        counter.inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Sets how many addresses a look-up found.
    pub fn looked_up(&self, addresses: usize) {
        self.pods.set(addresses as f64);
    }

    /// Counts a look-up that found none.
    pub fn lookup_failed(&self) {
        self.lookup_failures.inc();
    }
}

/// The seconds behind of one loop, as the bits of an `f64`. NaN until it is known.
#[derive(Debug)]
pub(super) struct Behind(AtomicU64);

impl Behind {
    pub(super) fn unknown() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }

    pub(super) fn set(&self, seconds: f64) {
        self.0.store(seconds.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<f64> {
        let seconds = f64::from_bits(self.0.load(Ordering::Relaxed));
        (!seconds.is_nan()).then_some(seconds)
    }
}
