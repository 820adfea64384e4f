//! What the process shows of itself: to a scrape, and in a push.

use crate::{Metrics, names};
use nubium_registry::{Codec, Registry};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Writes the metrics down. The registry client counts for itself, and what is new is added each
/// time; so make one for a process, and clone it.
#[derive(Clone)]
pub struct Exposition(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    codec: Option<Codec>,
    counted: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
    measure: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Exposition {
    /// Shows these metrics, and the requests of this codec to its registry.
    #[must_use]
    pub fn new(metrics: &Metrics, codec: Option<&Codec>) -> Self {
        let (metrics, codec) = (metrics.clone(), codec.cloned());
        Self(Arc::new(Inner { metrics, codec, counted: Mutex::default(), measure: None }))
    }

    /// Takes measurements each time before it writes: what costs too much to keep up to date.
    /// Comes before the first clone; later it has no effect.
    #[must_use]
    pub fn measuring(mut self, measure: impl Fn() + Send + Sync + 'static) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.measure = Some(Box::new(measure));
        }
        self
    }

    /// The metrics that are shown.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Returns everything in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn text(&self) -> String {
        let registry = self.0.codec.as_ref().and_then(Codec::registry);
        let requests = registry.map(Registry::requests).unwrap_or_default();
        let mut counted = self.0.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for request in requests {
            let key = (request.endpoint, request.method, request.status);
            let before = std::mem::replace(counted.entry(key).or_default(), request.count);
            let outcome = match request.status {
                0 => "no_answer",
                200..300 => "ok",
                400..500 => "refused",
                _ => "failed",
            };
            for _ in before..request.count {
                self.0.metrics.registry_request(request.endpoint, outcome);
            }
        }
        drop(counted);
        if let Some(measure) = &self.0.measure {
            measure();
        }
        self.0.metrics.text()
    }
}

/// Gives the metrics of nubium-utils the type that they had there.
pub(super) fn as_gauges(text: &str) -> String {
    let original = &names::ALL[..names::ORIGINAL];
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let name = line.strip_prefix("# TYPE ").and_then(|rest| rest.strip_suffix(" counter\n"));
        match name.filter(|name| original.iter().any(|metric| metric.name == *name)) {
            Some(name) => out.extend(["# TYPE ", name, " gauge\n"]),
            None => out.push_str(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_nubium_utils_become_gauges_and_no_others() {
        let metrics = Metrics::new("app", "job");
        metrics.inc_messages_consumed("orders", 3);
        metrics.inc_message_errors("Bad");
        metrics.loop_restarted();
        metrics.counter("messages_consumed_mine", "Mine.", &[]).unwrap().with(&[]).unwrap().inc();
        let (before, text) = (metrics.text(), as_gauges(&metrics.text()));
        for (name, kind) in [
            ("messages_consumed", "gauge"),
            ("message_errors", "gauge"),
            ("messages_consumed_mine", "counter"),
            ("nubium_loop_restarts_total", "counter"),
        ] {
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} in\n{text}");
        }
        let samples = |text: &str| {
            let lines = text.lines().filter(|l| !l.starts_with('#') && !l.starts_with("process_"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(samples(&text), samples(&before), "values stay as they are");
    }
}
