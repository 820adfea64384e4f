//! Counts what the receiver answers.

use std::time::Duration;

use nubium_core::metrics::{CounterFamily, HistogramFamily, Metrics};

const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];

/// The receiver's own metrics, beside those of the core.
pub struct Telemetry {
    metrics: Metrics,
    requests: CounterFamily,
    durations: HistogramFamily,
    dropped: CounterFamily,
}

impl Telemetry {
    /// Registers them.
    ///
    /// # Errors
    /// The metrics have others of these names.
    pub fn new(metrics: &Metrics) -> anyhow::Result<Self> {
        let requests = metrics.counter(
            "http_receiver_requests_total",
            "Requests that were answered, by route and status.",
            &["route", "status"],
        )?;
        let durations = metrics.histogram(
            "http_receiver_request_duration_seconds",
            "Time from a request's headers to its answer, acknowledgement of Kafka included.",
            &["route"],
            &BUCKETS,
        )?;
        let dropped = metrics.counter(
            "http_receiver_items_dropped_total",
            "Items that a route's program dropped with abort.",
            &["route"],
        )?;
        Ok(Self { metrics: metrics.clone(), requests, durations, dropped })
    }

    /// Counts a failure by its name.
    pub fn failed(&self, exception: &str) {
        self.metrics.error(exception);
    }

    /// Counts items that a program dropped.
    pub fn dropped(&self, route: &str, items: usize) {
        if items > 0
            && let Ok(counter) = self.dropped.with(&[route])
        {
            counter.inc_by(items as u64);
        }
    }

    /// Counts an answer. `route` is one of the settings' paths, or `(other)`.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        if let Ok(counter) = self.requests.with(&[route, &status.to_string()]) {
            counter.inc();
        }
        if let Ok(histogram) = self.durations.with(&[route]) {
            histogram.observe(took.as_secs_f64());
        }
    }
}
