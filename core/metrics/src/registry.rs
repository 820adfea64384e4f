//! The metrics of one process.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use prometheus::proto::LabelPair;
use prometheus::{Gauge, Histogram, IntCounter, Registry, TextEncoder};

use super::custom::{CounterFamily, Custom, GaugeFamily, HistogramFamily};
use super::family::{Child, Family};
use super::handles::{
    Behind, ExternalRequest, LoopMetrics, PushMetrics, RebalanceEvent, TopicCounters,
};
use super::names::{self, Kind, Metric};
use super::table::TableFamilies;
use super::{Counter, MetricError};

/// Holds every metric of the process; cheap to clone.
///
/// It has a registry of its own, not the global one, so tests and several apps do not meet.
#[derive(Clone)]
pub struct Metrics(pub(super) Arc<Inner>);

pub(super) struct Inner {
    registry: Registry,
    common: Vec<LabelPair>,
    pub(super) core: Core,
    custom: Custom,
    behind: Mutex<Vec<Weak<Behind>>>,
    /// What an app that owns its loop sets.
    own_behind: Arc<Behind>,
}

/// The families of [`names::ALL`].
pub(super) struct Core {
    consumed: Family<IntCounter>,
    produced: Family<IntCounter>,
    errors: Family<IntCounter>,
    external_requests: Family<IntCounter>,
    seconds_behind: Family<Gauge>,
    lag: Family<Gauge>,
    skipped: Family<IntCounter>,
    committed: Family<IntCounter>,
    aborted: Family<IntCounter>,
    commit_duration: Family<Histogram>,
    app_duration: Family<Histogram>,
    records: Family<Histogram>,
    batches: Family<Histogram>,
    rebalances: Family<IntCounter>,
    registry_requests: Family<IntCounter>,
    producer_renewals: Family<IntCounter>,
    replays: Family<IntCounter>,
    loop_restarts: Family<IntCounter>,
    pushes: Family<IntCounter>,
    push_duration: Family<Histogram>,
    push_pods: Family<Gauge>,
    lookup_failures: Family<IntCounter>,
    pub(super) table: TableFamilies,
    build_info: Family<Gauge>,
}

impl Metrics {
    /// Makes the metrics of an instance: `app` is `NU_APP_NAME`, `job` is `NU_HOSTNAME`.
    #[must_use]
    pub fn new(app: &str, job: &str) -> Self {
        let registry = Registry::new();
        let core = Core::register(&registry);
        set_up_process(&registry);
        let common = names::COMMON.into_iter().zip([app, job]).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.into());
            pair.set_value(value.into());
            pair
        });
        let common = common.collect();
        let own_behind = Arc::new(Behind::unknown());
        let behind = Mutex::new(vec![Arc::downgrade(&own_behind)]);
        let custom = Custom::default();
        series(&core.build_info, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        Self(Arc::new(Inner { registry, common, core, custom, behind, own_behind }))
    }

    /// Returns the counters of a topic.
    #[must_use]
    pub fn topic(&self, topic: &str) -> TopicCounters {
        let (metrics, topic) = (self.clone(), topic.into());
        let (consumed, produced) = (OnceLock::new(), OnceLock::new());
        TopicCounters { metrics, topic, consumed, produced }
    }

    pub(super) fn consumed(&self, topic: &str) -> IntCounter {
        series(&self.0.core.consumed, &[topic])
    }

    pub(super) fn produced(&self, topic: &str) -> IntCounter {
        series(&self.0.core.produced, &[topic])
    }

    /// Counts messages that an app consumed in a loop of its own. `PlainConsumer` counts for
    /// itself.
    pub fn inc_messages_consumed(&self, topic: &str, messages: u64) {
        self.topic(topic).consumed(messages);
    }

    /// Counts messages that an app produced by itself. `PlainProducer` counts for itself.
    pub fn inc_messages_produced(&self, topic: &str, messages: u64) {
        self.topic(topic).produced(messages);
    }

    /// Counts an error that an app caught, by a name that is one of few.
    pub fn inc_message_errors(&self, exception: &str) {
        self.error(exception);
    }

    /// Sets how old the message is that an app consumed last in a loop of its own.
    pub fn set_seconds_behind(&self, seconds: f64) {
        self.0.own_behind.set(seconds);
    }

    /// Returns what the pusher counts.
    #[must_use]
    pub fn for_pushing(&self) -> PushMetrics {
        let core = &self.0.core;
        let outcome = |outcome| series(&core.pushes, &[outcome]);
        PushMetrics {
            ok: outcome("ok"),
            refused: outcome("refused"),
            failed: outcome("failed"),
            duration: series(&core.push_duration, &[]),
            pods: series(&core.push_pods, &[]),
            lookup_failures: series(&core.lookup_failures, &[]),
        }
    }

    /// Returns what one loop counts. A loop that starts again takes a new one.
    #[must_use]
    pub fn for_loop(&self) -> LoopMetrics {
        let core = &self.0.core;
        let behind = Arc::new(Behind::unknown());
        self.loops().push(Arc::downgrade(&behind));
        LoopMetrics {
            metrics: self.clone(),
            committed: series(&core.committed, &[]),
            commit_duration: series(&core.commit_duration, &[]),
            app_duration: series(&core.app_duration, &[]),
            records: series(&core.records, &[]),
            batches: series(&core.batches, &[]),
            replays: series(&core.replays, &[]),
            producer_renewals: series(&core.producer_renewals, &[]),
            behind,
        }
    }

    /// Counts an error while handling a message, by the name of its type.
    pub fn error(&self, exception: &str) {
        series(&self.0.core.errors, &[exception]).inc();
    }

    /// Counts a request of the app to another service.
    pub fn external_request(&self, request: &ExternalRequest<'_>) {
        let status = request.status_code.to_string();
        // The original is Python, whose dashboards know these two words.
        let is_bulk = if request.is_bulk { "True" } else { "False" };
        let labels = [request.to, request.endpoint, request.kind, is_bulk, &status];
        series(&self.0.core.external_requests, &labels).inc();
    }

    /// Returns the lag of one partition, to be set by its owner.
    #[must_use]
    pub fn lag(&self, topic: &str, partition: i32) -> Gauge {
        series(&self.0.core.lag, &[topic, &partition.to_string()])
    }

    /// Forgets the lag of a partition that was given up: its new owner reports it.
    pub fn forget_lag(&self, topic: &str, partition: i32) {
        self.0.core.lag.remove(&[topic, &partition.to_string()]);
    }

    /// Counts offsets that were passed over: `deleted` by retention before they were read, and
    /// retained ones that a `reset` left out.
    pub fn offsets_skipped(&self, topic: &str, deleted: u64, reset: u64) {
        for (reason, offsets) in [("deleted", deleted), ("reset", reset)] {
            if offsets > 0 {
                series(&self.0.core.skipped, &[topic, reason]).inc_by(offsets);
            }
        }
    }

    /// Counts a request to the schema registry. Both are one of a few fixed words.
    pub fn registry_request(&self, operation: &'static str, outcome: &'static str) {
        series(&self.0.core.registry_requests, &[operation, outcome]).inc();
    }

    /// Counts a loop that was started again in the same process.
    pub fn loop_restarted(&self) {
        series(&self.0.core.loop_restarts, &[]).inc();
    }

    /// Registers counters of the app's own. Asking again with the same definition gives the same.
    ///
    /// # Errors
    /// Fails when the name or a label is not valid or reserved, or the name has another definition.
    pub fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<CounterFamily, MetricError> {
        self.0
            .custom
            .family::<Counter>(&self.0.registry, name, help, labels, &[])
            .map(CounterFamily)
    }

    /// Registers gauges of the app's own.
    ///
    /// # Errors
    /// As [`Metrics::counter`].
    pub fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeFamily, MetricError> {
        self.0.custom.family::<Gauge>(&self.0.registry, name, help, labels, &[]).map(GaugeFamily)
    }

    /// Registers histograms of the app's own, with rising upper bounds of their buckets.
    ///
    /// # Errors
    /// As [`Metrics::counter`], or when the buckets do not rise.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramFamily, MetricError> {
        let custom = &self.0.custom;
        custom.family(&self.0.registry, name, help, labels, buckets).map(HistogramFamily)
    }

    /// Returns everything in Prometheus' text format, version 0.0.4, sorted by name and labels.
    #[must_use]
    pub fn text(&self) -> String {
        self.refresh_seconds_behind();
        let mut families = self.0.registry.gather();
        for metric in families.iter_mut().flat_map(|family| family.mut_metric().iter_mut()) {
            let mut labels = metric.take_label();
            labels.extend(self.0.common.iter().cloned());
            labels.sort_by(|a, b| a.name().cmp(b.name()));
            metric.set_label(labels);
        }
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "Could not write the metrics; this scrape is empty.");
            String::new()
        })
    }

    pub(super) fn aborted(&self, reason: &'static str) {
        series(&self.0.core.aborted, &[reason]).inc();
    }

    /// Counts a change of the assignment.
    pub fn rebalanced(&self, event: RebalanceEvent) {
        series(&self.0.core.rebalances, &[event.label()]).inc();
    }

    /// Takes the worst of the loops that live; one series as in nubium-utils.
    fn refresh_seconds_behind(&self) {
        let mut loops = self.loops();
        loops.retain(|behind| behind.strong_count() > 0);
        let known = loops.iter().filter_map(|behind| behind.upgrade()?.get());
        if let Some(worst) = known.reduce(f64::max) {
            series(&self.0.core.seconds_behind, &[]).set(worst);
        }
    }

    fn loops(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Behind>>> {
        self.0.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn register(registry: &Registry) -> Self {
        Self {
            consumed: family(registry, &names::CONSUMED),
            produced: family(registry, &names::PRODUCED),
            errors: family(registry, &names::ERRORS),
            external_requests: family(registry, &names::EXTERNAL_REQUESTS),
            seconds_behind: family(registry, &names::SECONDS_BEHIND),
            lag: family(registry, &names::LAG),
            skipped: family(registry, &names::SKIPPED),
            committed: family(registry, &names::COMMITTED),
            aborted: family(registry, &names::ABORTED),
            commit_duration: family(registry, &names::COMMIT_DURATION),
            app_duration: family(registry, &names::APP_DURATION),
            records: family(registry, &names::TRANSACTION_RECORDS),
            batches: family(registry, &names::BATCH_MESSAGES),
            rebalances: family(registry, &names::REBALANCES),
            registry_requests: family(registry, &names::REGISTRY_REQUESTS),
            producer_renewals: family(registry, &names::PRODUCER_RENEWALS),
            replays: family(registry, &names::REPLAYS),
            loop_restarts: family(registry, &names::LOOP_RESTARTS),
            pushes: family(registry, &names::PUSHES),
            push_duration: family(registry, &names::PUSH_DURATION),
            push_pods: family(registry, &names::PUSH_PODS),
            lookup_failures: family(registry, &names::LOOKUP_FAILURES),
            table: TableFamilies::register(registry),
            build_info: family(registry, &names::BUILD_INFO),
        }
    }
}

/// Makes and registers a family of the table. The table is fixed and tested, so it is valid.
pub(super) fn family<M: Child>(registry: &Registry, metric: &Metric) -> Family<M> {
    let buckets = if let Kind::Histogram(buckets) = metric.kind { buckets } else { &[] };
    let made = Family::new(metric.name, metric.help, metric.labels, buckets, metric.series);
    let family: Family<M> = made.expect("the table of names is valid");
    registry.register(Box::new(family.clone())).expect("the names of the table are distinct");
    family
}

/// Returns a series of the table, whose number of labels is fixed in this file.
pub(super) fn series<M: Child>(family: &Family<M>, values: &[&str]) -> M {
    family.get(values).expect("the labels match the table of names")
}

/// CPU, memory, file descriptors, threads and start time, where /proc tells them.
fn set_up_process(registry: &Registry) {
    #[cfg(target_os = "linux")]
    {
        use prometheus::process_collector::ProcessCollector;
        let collector = ProcessCollector::for_self();
        registry.register(Box::new(collector)).expect("a new registry has no process metrics");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = registry;
}
