//! Counts what the app does. The only home of the prometheus crate.
//!
//! [`Metrics`] is made once per process and cloned; [`names`] lists what it holds. A loop resolves
//! its handles at start-up ([`TopicCounters`], [`LoopMetrics`]) and bumps them once a batch, which
//! is an atomic addition: no lock, no allocation, no look-up by label.

mod custom;
mod family;
mod handles;
pub mod names;
pub mod pusher;
mod registry;
mod table;

pub use custom::{CounterFamily, GaugeFamily, HistogramFamily};
pub use handles::{
    AppTimer, ExternalRequest, LoopMetrics, PushMetrics, PushOutcome, RebalanceEvent, TopicCounters,
};
pub use prometheus::{Gauge, Histogram, IntCounter as Counter};
pub use registry::Metrics;

/// Says why a metric cannot be had. Names the metric.
#[derive(Debug, thiserror::Error)]
#[error("metric `{name}`: {kind}")]
pub struct MetricError {
    name: String,
    kind: MetricErrorKind,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricErrorKind {
    #[error("{0}; names are letters, digits and _, buckets must rise")]
    Invalid(prometheus::Error),
    #[error("the label `{0}` is on every metric already; choose another name")]
    CommonLabel(String),
    #[error("the name belongs to the core or the process; choose another name")]
    Reserved,
    #[error("it exists with another type, help, labels or buckets; use one definition for all")]
    Clash,
    #[error("{given} label values given, expected one for each of: {expected}")]
    LabelCount { expected: String, given: usize },
}

impl MetricError {
    fn new(name: &str, kind: MetricErrorKind) -> Self {
        Self { name: name.into(), kind }
    }
}

#[cfg(test)]
mod tests;
