//! The app builder: settings, output topics and one function become a running, exactly-once app.

use crate::codec::{Codec, Registry, RegistryConfig, TopicEncoder};
use crate::config::{self, Choice as _, Config};
use crate::engine::{
    Bounds, ClientReporter, CommitThread, Engine, ErrorPolicy, LoopSettings, Observer, Steps,
    millis_since,
};
use crate::error::LoopError;
use crate::kafka::settings::{consumer_properties, instance_name, producer_properties};
use crate::kafka::{KafkaSink, KafkaSource, OffsetReset, Source as _};
use crate::liveness::{Limits, Pulse, judge};
use crate::metrics::Metrics;
use crate::pattern::{Pattern, Single};
use crate::retry::RetryRoutes;
use crate::topic::Topic;
use crate::transaction::{Output, Transaction, Workbench};
use anyhow::Context as _;
use nubium_host::http::{ProbeServer, Probes};
use nubium_host::{Exit, HealthFile, Stop, StopHook, Watchdog, exit, logging, signals};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Aborted transactions in a row after which an app ends: with the default back-off about a minute of trying.
const ABORTS_MAX: u32 = 20;

/// An app: what it consumes, what it may produce, and its settings.
///
/// ```no_run
/// use nubium_core::{App, Record, Transaction};
///
/// fn main() -> std::process::ExitCode {
///     App::from_env()
///         .consume(["people"])
///         .produce("people-clean", r#"{"type": "record", "name": "Person", "fields": [
///             {"name": "email", "type": "string"}]}"#)
///         .run(async |tx: &Transaction<'_>| {
///             #[derive(serde::Deserialize, serde::Serialize)]
///             struct Person<'a> { email: &'a str }
///             let person: Person<'_> = tx.value()?;
///             tx.produce(Record::to("people-clean").value(&person))
///         })
/// }
/// ```
#[must_use]
pub struct App {
    config: Result<config::Loaded, config::Problems>,
    consume: Vec<String>,
    produce: Vec<(String, String)>,
    require_guid: bool,
    install_process: bool,
    stop: Stop,
    metrics: Option<Metrics>,
}

/// How an app ended, for programs that do more than end with it.
#[derive(Debug)]
pub struct Ended {
    /// The code to leave with.
    pub exit: Exit,
    /// What went wrong, if anything did.
    pub error: Option<anyhow::Error>,
}

impl App {
    /// Starts an app from the process's environment. Bad settings are reported by [`Self::run`], all at once.
    pub fn from_env() -> Self {
        Self::build(Config::from_env())
    }

    /// Starts an app from settings that were loaded already.
    pub fn new(config: Config) -> Self {
        Self::build(Ok(config::Loaded { config, warnings: Vec::new() }))
    }

    fn build(config: Result<config::Loaded, config::Problems>) -> Self {
        Self {
            config,
            consume: Vec::new(),
            produce: Vec::new(),
            require_guid: true,
            install_process: true,
            stop: Stop::new(),
            metrics: None,
        }
    }

    /// Names the topics to consume; without it, those of `NU_CONSUME_TOPICS`.
    pub fn consume<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.consume = topics.into_iter().map(Into::into).collect();
        self
    }

    /// Declares an output topic with its Avro schema as JSON. Every topic the function produces to is declared, except
    /// those for retries and failures, which take messages on as they are.
    pub fn produce(mut self, topic: impl Into<String>, schema: impl Into<String>) -> Self {
        self.produce.push((topic.into(), schema.into()));
        self
    }

    /// Accepts consumed messages without a `guid` header. What is produced still needs one.
    pub fn accept_without_guid(mut self) -> Self {
        self.require_guid = false;
        self
    }

    /// Leaves signals, logging and the process's exit to the caller; it stops the app through `stop`.
    pub fn embedded(mut self, stop: Stop) -> Self {
        (self.stop, self.install_process) = (stop, false);
        self
    }

    /// Counts into these metrics instead of new ones, so that the app's own can be among them.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Runs the function for every message until the app is stopped, and answers the process's exit code.
    pub fn run<F>(self, function: F) -> std::process::ExitCode
    where
        F: AsyncFn(&Transaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
    {
        self.run_pattern(Single(function))
    }

    /// Runs a consumption pattern of the app's own.
    pub fn run_pattern<P: Pattern>(self, pattern: P) -> std::process::ExitCode {
        let own_process = self.install_process;
        let ended = self.run_to_end(pattern);
        if let Some(error) = &ended.error {
            tracing::error!("{error:#}");
        }
        if own_process {
            tracing::info!(code = ended.exit.code(), "ended");
        }
        ended.exit.into()
    }

    /// Runs a pattern and answers how it ended, without printing.
    pub fn run_to_end<P: Pattern>(self, pattern: P) -> Ended {
        let loaded = match self.config {
            Ok(ref loaded) => loaded.clone(),
            Err(ref problems) => {
                let error = anyhow::anyhow!("{problems}");
                if self.install_process {
                    // Logging has no level yet; this is for the person who starts the app.
                    print_problems(&error);
                    return Ended { exit: Exit::BadSettings, error: None };
                }
                return Ended { exit: Exit::BadSettings, error: Some(error) };
            }
        };
        match self.start(loaded, pattern) {
            Ok(()) => Ended { exit: Exit::Ok, error: None },
            Err(Failed { exit, error }) => Ended { exit, error: Some(error) },
        }
    }

    fn start<P: Pattern>(self, loaded: config::Loaded, pattern: P) -> Result<(), Failed> {
        let config = loaded.config;
        if self.install_process {
            start_logging(&config).map_err(host)?;
            signals::install(&self.stop).context("signal handlers").map_err(host)?;
        }
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let running = Running::prepare(self, config)?;
        running.run(pattern)
    }
}

/// Why an app ended early, with its exit code.
struct Failed {
    exit: Exit,
    error: anyhow::Error,
}

fn host(error: anyhow::Error) -> Failed {
    Failed { exit: Exit::HostFailed, error }
}

#[expect(clippy::print_stderr, reason = "settings are read before logging can start")]
fn print_problems(error: &anyhow::Error) {
    eprintln!("{error}");
}

fn start_logging(config: &Config) -> anyhow::Result<()> {
    let level = config.log.level.name().parse().map_err(anyhow::Error::msg)?;
    let format = config.log.format.name().parse().map_err(anyhow::Error::msg)?;
    logging::init(&level, format)
}

/// Everything the loops share.
struct Running {
    config: Config,
    consume: Vec<String>,
    produce: Vec<(String, String)>,
    require_guid: bool,
    install_process: bool,
    stop: Stop,
    metrics: Metrics,
    watchdog: Watchdog,
    runtime: tokio::runtime::Runtime,
    codec: Codec,
    clock: Instant,
    pulses: Vec<Arc<Pulse>>,
}

impl Running {
    fn prepare(app: App, config: Config) -> Result<Self, Failed> {
        let consume =
            if app.consume.is_empty() { config.routes.consume.clone() } else { app.consume };
        if consume.is_empty() {
            let error = anyhow::anyhow!(
                "nothing to consume: set NU_CONSUME_TOPICS or name topics with .consume(…)"
            );
            return Err(Failed { exit: Exit::BadSettings, error });
        }
        let clock = Instant::now();
        let watchdog = Watchdog::exiting().context("watchdog thread").map_err(host)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("nubium-async")
            .enable_all()
            .build()
            .context("async runtime")
            .map_err(host)?;
        let registry = Registry::new(registry_config(&config.registry), runtime.handle().clone());
        let codec = Codec::new(registry.context("schema registry client").map_err(host)?);
        let metrics = app
            .metrics
            .unwrap_or_else(|| Metrics::new(&config.app.name, &config.app.hostname));
        let pulses =
            (0..config.app.threads).map(|_| Arc::new(Pulse::new(millis_since(clock)))).collect();
        Ok(Self {
            config,
            consume,
            produce: app.produce,
            require_guid: app.require_guid,
            install_process: app.install_process,
            stop: app.stop,
            metrics,
            watchdog,
            runtime,
            codec,
            clock,
            pulses,
        })
    }

    fn run<P: Pattern>(self, pattern: P) -> Result<(), Failed> {
        let health = self.config.operation.health_file.clone();
        let _health = health.map(HealthFile::create).transpose().context("health file").map_err(host)?;
        let _probes = self.serve_probes().map_err(host)?;
        let _bound = self.bound_the_stop();
        let names = self.consume.iter().chain(self.produce.iter().map(|(topic, _)| topic));
        let names: Vec<&str> = names.map(String::as_str).chain(self.config.routes.all()).collect();
        for warning in self.config.unmapped(names.iter().copied()) {
            tracing::warn!("{warning}");
        }
        let cluster = self.config.cluster_for(names.iter().copied());
        let (name, cluster) = cluster.map_err(|problems| Failed {
            exit: Exit::BadSettings,
            error: anyhow::anyhow!("{problems}"),
        })?;
        tracing::info!(cluster = name, brokers = %cluster.url, topics = ?self.consume,
            threads = self.config.app.threads, "starting");
        let Some(encoders) = self.prepare_outputs()? else { return Ok(()) };
        let ended = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.config.app.threads)
                .map(|number| {
                    let (this, pattern) = (&self, &pattern);
                    let (cluster, encoders) = (cluster, encoders.clone());
                    let name = format!("nubium-loop-{number}");
                    let run = move || this.run_loop(number, cluster, encoders, pattern);
                    std::thread::Builder::new().name(name).spawn_scoped(scope, run)
                })
                .collect();
            let join = |thread: std::io::Result<std::thread::ScopedJoinHandle<'_, _>>| {
                let thread = thread.context("loop thread").map_err(host)?;
                thread.join().unwrap_or_else(|_| Err(host(anyhow::anyhow!("a loop panicked"))))
            };
            threads.into_iter().map(join).collect::<Vec<_>>()
        });
        ended.into_iter().collect()
    }

    /// One loop from its clients to its end. Its failure stops the others.
    fn run_loop<P: Pattern>(
        &self,
        number: u32,
        cluster: &config::Cluster,
        encoders: Vec<TopicEncoder>,
        pattern: &P,
    ) -> Result<(), Failed> {
        let ended = self.make_and_run(number, cluster, encoders, pattern);
        if ended.is_err() {
            self.stop.request("a loop failed");
        }
        ended
    }

    fn make_and_run<P: Pattern>(
        &self,
        number: u32,
        cluster: &config::Cluster,
        encoders: Vec<TopicEncoder>,
        pattern: &P,
    ) -> Result<(), Failed> {
        let refused = |error: anyhow::Error| Failed { exit: Exit::KafkaRefused, error };
        let pulse = Arc::clone(&self.pulses[number as usize]);
        let reporter =
            Arc::new(ClientReporter::new(&self.metrics, Arc::clone(&pulse), self.clock));
        let topics: Vec<&str> = self.consume.iter().map(String::as_str).collect();
        let reset = match self.config.consumer.auto_offset_reset {
            config::AutoOffsetReset::Earliest => OffsetReset::Earliest,
            config::AutoOffsetReset::Latest => OffsetReset::Latest,
            config::AutoOffsetReset::Error => OffsetReset::Error,
        };
        let properties = consumer_properties(&self.config, cluster, number);
        let source = KafkaSource::new(properties.expose(), &topics, reset, reporter.clone())
            .context("Kafka consumer")
            .map_err(refused)?;
        let properties = producer_properties(&self.config, cluster, number);
        let limit = self.config.producer.transaction_timeout;
        let sink =
            KafkaSink::new(properties.expose().clone(), &source, reporter, self.watchdog.clone(), limit);
        let committer = CommitThread::start(
            &format!("nubium-commit-{number}"),
            Steps::new(sink, limit),
            source.waker(),
        )
        .context("commit thread")
        .map_err(host)?;
        let bench = Workbench::new(
            self.codec.clone(),
            outputs(encoders),
            self.retry_routes(),
            usize::try_from(self.config.producer.message_max_bytes).unwrap_or(usize::MAX),
        );
        let observer = Observer::new(&self.metrics, pulse, self.clock);
        let settings = self.loop_settings(number);
        let _async = self.runtime.enter();
        let engine =
            Engine::new(source, committer, pattern, &bench, settings, observer, self.stop.clone());
        engine.start().map_err(|error| match error {
            LoopError::App { .. } => Failed { exit: Exit::AppFailed, error: error.into() },
            LoopError::Fenced { .. } | LoopError::Kafka { .. } => refused(error.into()),
        })
    }

    fn retry_routes(&self) -> RetryRoutes {
        let routes = &self.config.routes;
        RetryRoutes {
            count_max: routes.retry_count_max,
            retry_topics: routes.retry.clone(),
            failure_topics: routes.failure.clone(),
        }
    }

    fn loop_settings(&self, number: u32) -> LoopSettings {
        let Config { outbox, errors, consumer, .. } = &self.config;
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        LoopSettings {
            bounds: Bounds {
                count: size(outbox.max_count),
                bytes: size(outbox.max_bytes),
                age: outbox.max_age,
            },
            error_policy: match errors.policy {
                config::ErrorPolicy::Stop => ErrorPolicy::Stop,
                config::ErrorPolicy::DeadLetter => ErrorPolicy::DeadLetter,
            },
            error_retries: errors.retry_max,
            backoff: (errors.backoff, errors.backoff_max),
            message_age: consumer.timestamp_offset,
            aborts_max: ABORTS_MAX,
            transactional_id: instance_name(&self.config, number),
            require_guid: self.require_guid,
        }
    }

    /// Registers or looks up the schemas of the outputs. While the registry is away the app waits: it has consumed
    /// nothing yet. `None`: it was stopped meanwhile.
    fn prepare_outputs(&self) -> Result<Option<Vec<TopicEncoder>>, Failed> {
        let register = self.config.registry.auto_register;
        let mut encoders = Vec::new();
        for (topic, schema) in &self.produce {
            let prepared = self.runtime.block_on(async {
                tokio::select! {
                    made = self.codec.prepare_topic(topic, schema, register) => Some(made),
                    () = self.stop.wait() => None,
                }
            });
            match prepared {
                None => return Ok(None),
                Some(Ok(encoder)) => encoders.push(encoder),
                Some(Err(error)) => {
                    let error = anyhow::Error::from(error).context(format!("schemas of {topic}"));
                    return Err(Failed { exit: Exit::KafkaRefused, error });
                }
            }
        }
        Ok(Some(encoders))
    }

    fn serve_probes(&self) -> anyhow::Result<Option<ProbeServer>> {
        let Some(address) = self.config.operation.probe else { return Ok(None) };
        let consumer = &self.config.consumer;
        let mut limits =
            Limits::new(consumer.max_poll_interval, self.config.producer.transaction_timeout);
        if let Some(limit) = self.config.operation.broker_outage_limit {
            limits.broker_gone = limit;
        } else {
            limits.broker_gone = Duration::MAX;
        }
        let (pulses, clock, codec) = (self.pulses.clone(), self.clock, self.codec.clone());
        let health = move || {
            let now = millis_since(clock);
            let reachable = codec.registry().is_none_or(|registry| registry.health().is_reachable());
            let snapshots: Vec<_> = pulses
                .iter()
                .map(|pulse| {
                    pulse.registry(reachable, now);
                    pulse.snapshot()
                })
                .collect();
            judge(&snapshots, now, &limits)
        };
        let (live, ready) = (health.clone(), health);
        let scrape = Scrape {
            metrics: self.metrics.clone(),
            codec: self.codec.clone(),
            counted: Mutex::default(),
        };
        let probes = Probes::new(
            move || live().live.into(),
            move || ready().ready.into(),
            move || scrape.text(),
        );
        Ok(Some(ProbeServer::start(address, &probes, nubium_host::http::Limits::probes())?))
    }

    /// Ends the process if a stop takes longer than `NU_SHUTDOWN_TIMEOUT_SECONDS`.
    fn bound_the_stop(&self) -> Option<StopHook> {
        if !self.install_process {
            return None;
        }
        let limit = self.config.operation.shutdown_timeout;
        Some(self.stop.on_request(move || {
            let wait = move || {
                std::thread::sleep(limit);
                exit::at_once(Exit::StopTimedOut.code(), move || {
                    tracing::error!(?limit, "the stop took too long (NU_SHUTDOWN_TIMEOUT_SECONDS); \
                        what is not committed is handled after the restart");
                });
            };
            let _ = std::thread::Builder::new().name("nubium-stop-limit".into()).spawn(wait);
        }))
    }
}

/// Answers `/metrics`: the registry client counts for itself, and what is new is added at each scrape.
struct Scrape {
    metrics: Metrics,
    codec: Codec,
    counted: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
}

impl Scrape {
    fn text(&self) -> String {
        let requests = self.codec.registry().map(Registry::requests).unwrap_or_default();
        let mut counted = self.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
                self.metrics.registry_request(request.endpoint, outcome);
            }
        }
        self.metrics.text()
    }
}

/// Takes the registry's settings over into its client's.
#[must_use]
pub fn registry_config(settings: &config::Registry) -> RegistryConfig {
    let urls: Vec<&str> = settings.urls.iter().map(|url| url.as_str()).collect();
    let mut made = RegistryConfig::new(&urls.join(","));
    if let Some(auth) = &settings.auth {
        made = made.with_login(&auth.username, auth.password.expose());
    }
    made.timeout = settings.timeout;
    made
}

fn outputs(encoders: Vec<TopicEncoder>) -> Vec<Output> {
    let output = |encoder: TopicEncoder| Output { topic: Topic::named(encoder.topic()), encoder };
    encoders.into_iter().map(output).collect()
}
