//! Every metric of the core: its name, kind, labels and help, in one table.
//!
//! The first five keep the names of nubium-utils, so that its dashboards and alerts go on working.
//! They were gauges there and are counters by nature; the names stay without `_total`. All others
//! follow Prometheus' conventions: a unit in the name, `_total` on counters.

/// How a metric behaves, as its `# TYPE` line says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram(&'static [f64]),
}

/// Describes one metric. Every series also carries the labels [`COMMON`].
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name, as scraped.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Labels beside the common ones.
    pub labels: &'static [&'static str],
    /// The `# HELP` line.
    pub help: &'static str,
    /// The most series it may have; more are counted together, see [`OVERFLOW`].
    pub series: usize,
}

/// Labels of every series: the app's name and the instance's, as in nubium-utils.
pub const COMMON: [&str; 2] = ["app", "job"];

/// Label value that collects what does not fit into [`Metric::series`].
pub const OVERFLOW: &str = "(other)";

/// How many at the beginning of [`ALL`] are those of nubium-utils.
pub const ORIGINAL: usize = 5;

/// Bound for labels whose values come from code that the core does not know.
pub const SERIES_OF_USERS: usize = 1000;

const COMMIT_SECONDS: &[f64] = &[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const APP_SECONDS: &[f64] = &[1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 60.0];
const PUSH_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0];
const RECORDS: &[f64] = &[1.0, 10.0, 100.0, 1e3, 1e4, 1e5];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help, series: usize::MAX }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { kind: Kind::Gauge, ..counter(name, labels, help) }
}

const fn histogram(name: &'static str, buckets: &'static [f64], help: &'static str) -> Metric {
    Metric { kind: Kind::Histogram(buckets), ..counter(name, &[], help) }
}

/// Messages handed to the app function.
pub const CONSUMED: Metric =
    counter("messages_consumed", &["topic"], "Messages consumed and committed.");
/// Messages produced.
pub const PRODUCED: Metric =
    counter("messages_produced", &["topic"], "Messages produced and committed.");
/// Errors of the app function.
pub const ERRORS: Metric = Metric {
    series: 100,
    ..counter("message_errors", &["exception"], "Errors while handling messages, by their name.")
};
/// Requests of the app to other services.
pub const EXTERNAL_REQUESTS: Metric = Metric {
    series: SERIES_OF_USERS,
    ..counter(
        "external_requests",
        &["request_to", "request_endpoint", "request_type", "is_bulk", "status_code"],
        "Requests of the app to other services.",
    )
};
/// Age of what is being consumed.
pub const SECONDS_BEHIND: Metric =
    gauge("seconds_behind", &[], "Age of the message consumed last; of several loops, the oldest.");
/// Lag by partition.
pub const LAG: Metric = gauge(
    "nubium_consumer_lag_messages",
    &["topic", "partition"],
    "Messages between the position of the app and the end of the partition.",
);
/// Offsets that were passed over.
pub const SKIPPED: Metric = counter(
    "nubium_offsets_skipped_total",
    &["topic", "reason"],
    "Offsets passed over because the log did not hold the position: deleted (by retention, before \
     they were read), reset (still there, and skipped by NU_CONSUMER_AUTO_OFFSET_RESET=latest).",
);
/// Transactions that committed.
pub const COMMITTED: Metric =
    counter("nubium_transactions_committed_total", &[], "Kafka transactions that committed.");
/// Transactions that did not.
pub const ABORTED: Metric =
    counter("nubium_transactions_aborted_total", &["reason"], "Kafka transactions that aborted.");
/// Duration of a commit.
pub const COMMIT_DURATION: Metric = histogram(
    "nubium_commit_duration_seconds",
    COMMIT_SECONDS,
    "Time from the begin of a Kafka transaction to the answer to its commit.",
);
/// Duration of the app function.
pub const APP_DURATION: Metric = histogram(
    "nubium_app_function_duration_seconds",
    APP_SECONDS,
    "Time one call of the app function took; quick ones count with the mean of up to 32.",
);
/// Size of a transaction.
pub const TRANSACTION_RECORDS: Metric =
    histogram("nubium_transaction_records", RECORDS, "Records produced in one Kafka transaction.");
/// Size of a batch.
pub const BATCH_MESSAGES: Metric =
    histogram("nubium_batch_messages", RECORDS, "Messages of one batch of a batch app.");
/// Rebalances.
pub const REBALANCES: Metric = counter(
    "nubium_rebalances_total",
    &["event"],
    "Changes of the assignment: assigned, revoked, lost.",
);
/// Requests to the schema registry.
pub const REGISTRY_REQUESTS: Metric = counter(
    "nubium_registry_requests_total",
    &["operation", "outcome"],
    "Requests to the schema registry.",
);
/// New producers.
pub const PRODUCER_RENEWALS: Metric = counter(
    "nubium_producer_renewals_total",
    &[],
    "Producers created because the old one was fenced, failed, or its last outcome is unknown.",
);
/// Rewinds.
pub const REPLAYS: Metric =
    counter("nubium_replays_total", &[], "Rewinds after a transaction that did not commit.");
/// Restarts of a loop.
pub const LOOP_RESTARTS: Metric =
    counter("nubium_loop_restarts_total", &[], "Loops started again in the same process.");
/// Pushes of metrics.
pub const PUSHES: Metric = counter(
    "nubium_metrics_pushes_total",
    &["outcome"],
    "Pushes of metrics to one pod: ok, refused (an answer other than 2xx), failed (no answer).",
);
/// Duration of a push.
pub const PUSH_DURATION: Metric = histogram(
    "nubium_metrics_push_duration_seconds",
    PUSH_SECONDS,
    "Time one push of metrics to one pod took.",
);
/// Where metrics are pushed to.
pub const PUSH_PODS: Metric =
    gauge("nubium_metrics_push_pods", &[], "Addresses of the metrics service, as looked up last.");
/// Addresses that could not be looked up.
pub const LOOKUP_FAILURES: Metric = counter(
    "nubium_metrics_lookup_failures_total",
    &[],
    "Look-ups of the metrics service that found no address.",
);
/// Rows of a table.
pub const TABLE_ROWS: Metric =
    gauge("nubium_table_rows", &["topic", "partition"], "Rows in the store of a partition.");
/// Size of a store.
pub const TABLE_BYTES: Metric = gauge(
    "nubium_table_store_bytes",
    &["topic", "partition"],
    "Size of the store of a partition on disk.",
);
/// Rows read from changelogs.
pub const TABLE_RESTORED: Metric = counter(
    "nubium_table_restored_rows_total",
    &["topic"],
    "Changelog records read to bring stores up to date.",
);
/// Speed of a recovery.
pub const TABLE_RECOVERY_RATE: Metric = gauge(
    "nubium_table_recovery_rows_per_second",
    &["topic", "partition"],
    "Changelog records read a second while a partition recovers; 0 afterwards.",
);
/// Time a recovery still takes.
pub const TABLE_RECOVERY_LEFT: Metric = gauge(
    "nubium_table_recovery_seconds_left",
    &["topic", "partition"],
    "Time until a partition that recovers is processed again; 0 afterwards.",
);
/// Stores that could not be used.
pub const TABLE_REBUILT: Metric = counter(
    "nubium_table_stores_set_aside_total",
    &["topic"],
    "Stores that could not be used and were rebuilt from the changelog.",
);
/// Entries that expired.
pub const TABLE_EXPIRED: Metric = counter(
    "nubium_table_expired_total",
    &["topic"],
    "Entries deleted because their time was over.",
);
/// What is running.
pub const BUILD_INFO: Metric =
    gauge("nubium_build_info", &["version"], "Always 1; the version is in the label.");

/// Lists every metric above, for the registry, the docs and the tests.
pub const ALL: [Metric; 30] = [
    CONSUMED,
    PRODUCED,
    ERRORS,
    EXTERNAL_REQUESTS,
    SECONDS_BEHIND,
    LAG,
    SKIPPED,
    COMMITTED,
    ABORTED,
    COMMIT_DURATION,
    APP_DURATION,
    TRANSACTION_RECORDS,
    BATCH_MESSAGES,
    REBALANCES,
    REGISTRY_REQUESTS,
    PRODUCER_RENEWALS,
    REPLAYS,
    LOOP_RESTARTS,
    PUSHES,
    PUSH_DURATION,
    PUSH_PODS,
    LOOKUP_FAILURES,
    TABLE_ROWS,
    TABLE_BYTES,
    TABLE_RESTORED,
    TABLE_RECOVERY_RATE,
    TABLE_RECOVERY_LEFT,
    TABLE_REBUILT,
    TABLE_EXPIRED,
    BUILD_INFO,
];

/// Returns the table as a page of Markdown for the docs.
#[must_use]
pub fn page() -> String {
    let row = |metric: &Metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels = [&COMMON, metric.labels].concat().join(", ");
        format!("| `{}` | {kind} | {labels} | {} |\n", metric.name, metric.help)
    };
    let head = "| name | type | labels | meaning |\n| --- | --- | --- | --- |\n";
    head.to_owned() + &ALL.iter().map(row).collect::<String>()
}
