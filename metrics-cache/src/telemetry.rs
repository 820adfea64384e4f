//! The cache's own metrics. Those that a Pushgateway has keep its names.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricType;

use crate::family::{Family, Kind, Summary, Value};
use crate::labels;
use crate::limits::Bound;
use crate::scrape::Own;
use crate::store::{Store, now};

/// Counts what the handlers do.
pub(crate) struct Telemetry {
    requests: Mutex<BTreeMap<(u16, &'static str, &'static str), u64>>,
    put: PushCounters,
    post: PushCounters,
    refused: [AtomicU64; Bound::ALL.len()],
    pub(crate) expired: AtomicU64,
    pub(crate) saves: AtomicU64,
    pub(crate) save_failures: AtomicU64,
    pub(crate) saved_at: AtomicU64,
    process: Option<ProcessCollector>,
}

/// Sums over all pushes by one method.
#[derive(Default)]
struct PushCounters {
    count: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

impl Telemetry {
    /// Makes counters at zero.
    pub(crate) fn new() -> Self {
        Self {
            requests: Mutex::default(),
            put: PushCounters::default(),
            post: PushCounters::default(),
            refused: Default::default(),
            expired: AtomicU64::new(0),
            saves: AtomicU64::new(0),
            save_failures: AtomicU64::new(0),
            saved_at: AtomicU64::new(0),
            process: ProcessCollector::for_self().into(),
        }
    }

    /// Counts an answered request. Scrapes are not counted.
    pub(crate) fn request(&self, code: u16, handler: &'static str, method: &'static str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((code, handler, method)).or_default() += 1;
    }

    /// Counts a push, taken or not.
    pub(crate) fn push(&self, put: bool, bytes: usize, took: Duration) {
        let counters = if put { &self.put } else { &self.post };
        counters.count.fetch_add(1, Relaxed);
        counters.bytes.fetch_add(bytes as u64, Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        counters.nanos.fetch_add(nanos, Relaxed);
    }

    /// Counts a push that passed a bound.
    pub(crate) fn refused(&self, bound: Bound) {
        if let Some(at) = Bound::ALL.iter().position(|other| *other == bound) {
            self.refused[at].fetch_add(1, Relaxed);
        }
    }

    /// Returns the families of a scrape.
    pub(crate) fn gather(&self, store: &Store) -> Vec<Own> {
        let mut out = self.process();
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let requests = requests.into_iter().map(|((code, handler, method), count)| {
            let code = code.to_string();
            let labels = [("code", code.as_str()), ("handler", handler), ("method", method)];
            (labels::join(labels), Value::Number(count as f64))
        });
        let version = env!("CARGO_PKG_VERSION");
        let (groups, series, bytes) = {
            let state = store.read();
            (state.groups().len(), state.series(), state.bytes())
        };
        let number = |value: f64| vec![(String::new(), Value::Number(value))];
        let atomic = |value: &AtomicU64| number(value.load(Relaxed) as f64);
        let refused = Bound::ALL.iter().zip(&self.refused).map(|(bound, count)| {
            let labels = labels::join([("reason", bound.name())]);
            (labels, Value::Number(count.load(Relaxed) as f64))
        });
        let saved_at = self.saved_at.load(Relaxed) as f64 / 1e9;
        let build = vec![(labels::join([("version", version)]), Value::Number(1.0))];
        for (name, series) in [
            (BUILD, build),
            (REQUESTS, requests.collect()),
            (SIZE, self.summary(|push| push.bytes.load(Relaxed) as f64)),
            (DURATION, self.summary(|push| push.nanos.load(Relaxed) as f64 / 1e9)),
            (GROUPS, number(groups as f64)),
            (SERIES, number(series as f64)),
            (BYTES, number(bytes as f64)),
            (LIMIT, number(store.limits().memory as f64)),
            (REFUSED, refused.collect()),
            (EXPIRED, atomic(&self.expired)),
            (SAVES, atomic(&self.saves)),
            (SAVE_FAILURES, atomic(&self.save_failures)),
            (SAVED_AT, number(saved_at)),
        ] {
            out.extend(own(name, series));
        }
        out
    }

    fn summary(&self, sum: impl Fn(&PushCounters) -> f64) -> Vec<(String, Value)> {
        let one = |method, push: &PushCounters| {
            let count = push.count.load(Relaxed);
            let summary = Summary { count, sum: sum(push), quantiles: Vec::new() };
            (labels::join([("method", method)]), Value::Summary(Box::new(summary)))
        };
        vec![one("post", &self.post), one("put", &self.put)]
    }

    fn process(&self) -> Vec<Own> {
        let Some(process) = &self.process else { return Vec::new() };
        let families = process.collect();
        let families = families.iter().filter_map(|family| {
            let (name, kind, help) = PROCESS.iter().find(|(name, ..)| *name == family.name())?;
            let metric = family.get_metric().first()?;
            let value = match family.get_field_type() {
                MetricType::COUNTER => metric.get_counter().get_value(),
                _ => metric.get_gauge().get_value(),
            };
            own((name, *kind, help), vec![(String::new(), Value::Number(value))])
        });
        families.collect()
    }
}

type Name = (&'static str, Kind, &'static str);

/// Lists the names and types of all of them; a push under one of these names must agree.
pub(crate) fn names() -> impl Iterator<Item = (&'static str, Kind)> {
    ALL.iter().chain(&PROCESS).map(|(name, kind, _)| (*name, *kind))
}

fn own((name, kind, help): Name, series: Vec<(String, Value)>) -> Option<Own> {
    if series.is_empty() {
        return None;
    }
    let (mut joined, mut kept) = (String::new(), Vec::with_capacity(series.len()));
    for (labels, value) in series {
        let start = joined.len();
        joined.push_str(&labels);
        kept.push((start..joined.len(), value));
    }
    Some(Own { name, help, family: Family::new(kind, None, now(), &joined, kept) })
}

const BUILD: Name =
    ("pushgateway_build_info", Kind::Gauge, "Version of the metrics cache; the value is always 1.");
const REQUESTS: Name = (
    "pushgateway_http_requests_total",
    Kind::Counter,
    "HTTP requests by status code, handler and method, without scrapes.",
);
const SIZE: Name =
    ("pushgateway_http_push_size_bytes", Kind::Summary, "Body size of pushes as received.");
const DURATION: Name = (
    "pushgateway_http_push_duration_seconds",
    Kind::Summary,
    "Time to take a push, from the end of its headers.",
);
const GROUPS: Name = ("metrics_cache_groups", Kind::Gauge, "Groups held.");
const SERIES: Name =
    ("metrics_cache_series", Kind::Gauge, "Series held that were pushed; a histogram is one.");
const BYTES: Name =
    ("metrics_cache_bytes", Kind::Gauge, "Estimate of the bytes that all groups take.");
const LIMIT: Name =
    ("metrics_cache_limit_bytes", Kind::Gauge, "What that estimate may reach: --limit.memory.");
const REFUSED: Name = (
    "metrics_cache_refused_pushes_total",
    Kind::Counter,
    "Pushes that passed a limit, by the limit.",
);
const EXPIRED: Name = (
    "metrics_cache_expired_groups_total",
    Kind::Counter,
    "Groups removed because nobody pushed to them for too long.",
);
const SAVES: Name =
    ("metrics_cache_persistence_writes_total", Kind::Counter, "Writes of the persistence file.");
const SAVE_FAILURES: Name = (
    "metrics_cache_persistence_failures_total",
    Kind::Counter,
    "Writes of the persistence file that failed.",
);
const SAVED_AT: Name = (
    "metrics_cache_persistence_last_write_timestamp_seconds",
    Kind::Gauge,
    "When the persistence file was last written; 0 is never.",
);

const ALL: [Name; 13] = [
    BUILD,
    REQUESTS,
    SIZE,
    DURATION,
    GROUPS,
    SERIES,
    BYTES,
    LIMIT,
    REFUSED,
    EXPIRED,
    SAVES,
    SAVE_FAILURES,
    SAVED_AT,
];

const PROCESS: [Name; 7] = [
    (
        "process_cpu_seconds_total",
        Kind::Counter,
        "Total user and system CPU time spent in seconds.",
    ),
    ("process_max_fds", Kind::Gauge, "Maximum number of open file descriptors."),
    ("process_open_fds", Kind::Gauge, "Number of open file descriptors."),
    ("process_resident_memory_bytes", Kind::Gauge, "Resident memory size in bytes."),
    (
        "process_start_time_seconds",
        Kind::Gauge,
        "Start time of the process since unix epoch in seconds.",
    ),
    ("process_threads", Kind::Gauge, "Number of OS threads in the process."),
    ("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory size in bytes."),
];
