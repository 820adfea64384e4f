//! A running app: what its loops share, and their life from clients to end.

use super::App;
use super::table::Started;
use crate::engine::{
    Bounds, ClientReporter, CommitThread, Concurrency, Engine, ErrorPolicy, LoopSettings, Observer,
    Ordering, Steps, millis_since,
};
use crate::error::LoopError;
use crate::kafka::settings::{consumer_properties, instance_name, producer_properties};
use crate::kafka::{KafkaSink, KafkaSource, OffsetReset, Source as _};
use crate::liveness::{Limits, Pulse, judge};
use crate::pattern::Pattern;
use crate::retry::RetryRoutes;
use crate::transaction::{Output, Workbench};
use anyhow::Context as _;
use nubium_config::Config;
use nubium_host::daemon::Shift;
use nubium_host::errors::Code;
use nubium_host::http::{ProbeServer, Probes};
use nubium_host::{Exit, Failure, Or as _, Outcome, Stop, Watchdog};
use nubium_metrics::Metrics;
use nubium_metrics::pusher::{End, Exposition, start_pushing};
use nubium_registry::{Codec, Registry, TopicEncoder};
use nubium_table_store::{Table, TableReader};
use nubium_topic::Topic;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Aborted transactions in a row after which an app ends: with the default back-off about a minute
/// of trying.
const ABORTS_MAX: u32 = 20;

/// Everything the loops share.
pub(super) struct Running {
    pub(super) config: Config,
    pub(super) consume: Vec<String>,
    produce: Vec<(String, String)>,
    install_process: bool,
    pub(super) stop: Stop,
    pub(super) metrics: Metrics,
    pub(super) table: Option<Table>,
    pub(super) lookups: Vec<String>,
    pub(super) tables: TableReader,
    watchdog: Watchdog,
    pub(super) runtime: tokio::runtime::Runtime,
    codec: Codec,
    clock: Instant,
    pulses: Vec<Arc<Pulse>>,
}

/// Refuses an output of the settings that is never produced to: its readers would wait for ever.
fn every_output_has_a_producer(named: &[String], produced: &[&str]) -> anyhow::Result<()> {
    let nobodys: Vec<&str> =
        named.iter().map(String::as_str).filter(|topic| !produced.contains(topic)).collect();
    anyhow::ensure!(
        nobodys.is_empty(),
        "{}: NU_PRODUCE_SUCCESS_TOPICS names {}, to which the app never produces; it produces to \
         {}. Take it out of the setting, or declare it with .produce(…)",
        Code::NotForThisApp,
        nobodys.join(", "),
        if produced.is_empty() { "no topic".into() } else { produced.join(", ") },
    );
    Ok(())
}

impl Running {
    pub(super) fn prepare(app: App, config: Config) -> Outcome<Self> {
        let consume =
            if app.consume.is_empty() { config.routes.consume.clone() } else { app.consume };
        if consume.is_empty() {
            return Err(Failure::settings(format_args!(
                "{}: nothing to consume: set NU_CONSUME_TOPICS or name topics with .consume(…)",
                Code::NothingToConsume
            )));
        }
        let produced: Vec<&str> = app.produce.iter().map(|(topic, _)| topic.as_str()).collect();
        every_output_has_a_producer(&config.routes.success, &produced).or_settings()?;
        let clock = Instant::now();
        let watchdog = Watchdog::exiting().context("watchdog thread").or_host()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("nubium-async")
            .enable_all()
            .build()
            .context("async runtime")
            .or_host()?;
        let registry = Registry::new((&config.registry).into(), runtime.handle().clone());
        let codec = Codec::new(registry.context("schema registry client").or_host()?);
        codec.set_topics(config.topic_schemas());
        let metrics =
            app.metrics.unwrap_or_else(|| Metrics::new(&config.app.name, &config.app.hostname));
        let pulses =
            (0..config.app.threads).map(|_| Arc::new(Pulse::new(millis_since(clock)))).collect();
        Ok(Self {
            config,
            consume,
            produce: app.produce,
            install_process: app.install_process,
            stop: app.stop,
            metrics,
            table: app.table,
            lookups: app.lookups,
            tables: app.tables,
            watchdog,
            runtime,
            codec,
            clock,
            pulses,
        })
    }

    /// Runs to the end, and pushes the metrics meanwhile and for a last time after it.
    pub(super) fn run<P: Pattern>(self, pattern: P) -> Outcome {
        self.check_concurrency(P::CONCURRENT)?;
        let tables = self.tables.clone();
        let exposition =
            Exposition::new(&self.metrics, Some(&self.codec)).measuring(move || tables.0.measure());
        let operation = &self.config.operation;
        let last_words = "what is not committed is handled after the restart";
        let shift = Shift::start(
            &self.stop,
            operation.shutdown_timeout,
            operation.health_file.clone(),
            self.install_process.then_some(last_words),
        )?;
        let pushing = start_pushing(&self.config, &exposition).or_host()?;
        let ended = self.run_loops(&exposition, &pattern);
        if let Some(pushing) = pushing {
            let end = if ended.is_ok() { End::Clean } else { End::Failed };
            pushing.finish_within(end, shift.left());
        }
        ended
    }

    /// Refuses a concurrency that the pattern or the table cannot have.
    fn check_concurrency(&self, concurrent: bool) -> Outcome {
        let app = &self.config.app;
        let (most, unordered) = (app.concurrency, app.ordering == nubium_config::Ordering::None);
        match (most > 1, concurrent) {
            (true, false) => Err(Failure::settings(format_args!(
                "{}: NU_APP_CONCURRENCY={most} is for apps that handle one message a call, and \
                 this one takes batches or a pattern of its own: set it to 1",
                Code::NotForThisApp
            ))),
            (true, true) if self.table.is_some() && unordered => {
                Err(Failure::settings(format_args!(
                    "{}: NU_APP_ORDERING=none lets two messages change one table entry at once: \
                     set it to key or partition, or NU_APP_CONCURRENCY to 1",
                    Code::NotForThisApp
                )))
            }
            _ => Ok(()),
        }
    }

    fn run_loops<P: Pattern>(&self, exposition: &Exposition, pattern: &P) -> Outcome {
        let _probes = self.serve_probes(exposition).or_host()?;
        let names = self.consume.iter().chain(self.produce.iter().map(|(topic, _)| topic));
        let names: Vec<&str> = names.map(String::as_str).chain(self.config.routes.all()).collect();
        for warning in self.config.unmapped(names.iter().copied()) {
            tracing::warn!("{warning}");
        }
        let cluster = self.config.cluster_for(names.iter().copied());
        let (name, cluster) = cluster.map_err(|problems| Failure {
            exit: Exit::BadSettings,
            error: anyhow::anyhow!("{problems}"),
        })?;
        tracing::info!(cluster = name, brokers = %cluster.url, topics = ?self.consume,
            threads = self.config.app.threads, "Starting.");
        let Some(encoders) = self.prepare_outputs()? else { return Ok(()) };
        let started = self.start_tables(cluster)?;
        if self.stop.requested() {
            return Ok(());
        }
        let ended = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.config.app.threads)
                .map(|number| {
                    let started = started.as_ref();
                    let encoders = encoders.clone();
                    let name = format!("nubium-loop-{number}");
                    let run = move || self.run_loop(number, cluster, encoders, started, pattern);
                    std::thread::Builder::new().name(name).spawn_scoped(scope, run)
                })
                .collect();
            let join = |thread: std::io::Result<std::thread::ScopedJoinHandle<'_, _>>| {
                let thread = thread.context("loop thread").or_host()?;
                thread.join().unwrap_or_else(|_| Err(Failure::host("a loop panicked")))
            };
            threads.into_iter().map(join).collect::<Vec<_>>()
        });
        ended.into_iter().collect()
    }

    /// One loop from its clients to its end. Its failure stops the others.
    fn run_loop<P: Pattern>(
        &self,
        number: u32,
        cluster: &nubium_config::Cluster,
        encoders: Vec<TopicEncoder>,
        started: Option<&Started>,
        pattern: &P,
    ) -> Outcome {
        let ended = self.make_and_run(number, cluster, encoders, started, pattern);
        if ended.is_err() {
            self.stop.request("a loop failed");
        }
        ended
    }

    fn make_and_run<P: Pattern>(
        &self,
        number: u32,
        cluster: &nubium_config::Cluster,
        encoders: Vec<TopicEncoder>,
        started: Option<&Started>,
        pattern: &P,
    ) -> Outcome {
        let pulse = Arc::clone(&self.pulses[number as usize]);
        let reporter = Arc::new(ClientReporter::new(&self.metrics, Arc::clone(&pulse), self.clock));
        let topics: Vec<&str> = self.consume.iter().map(String::as_str).collect();
        let reset = match self.config.consumer.auto_offset_reset {
            nubium_config::AutoOffsetReset::Earliest => OffsetReset::Earliest,
            nubium_config::AutoOffsetReset::Latest => OffsetReset::Latest,
            nubium_config::AutoOffsetReset::Error => OffsetReset::Error,
        };
        let properties = consumer_properties(&self.config, cluster, number);
        let source = KafkaSource::new(properties.expose(), &topics, reset, reporter.clone())
            .context("Kafka consumer")
            .or_refused()?;
        let properties = producer_properties(&self.config, cluster, number);
        let limit = self.config.producer.transaction_timeout;
        let sink = KafkaSink::new(
            properties.expose().clone(),
            &source,
            reporter,
            self.watchdog.clone(),
            limit,
        );
        let input = self.consume.first().map_or("", String::as_str);
        let made = started
            .map(|table| table.for_loop(&self.config, cluster, input, number, source.waker()))
            .transpose()?;
        let (tables, applier, desk) = match made {
            Some(made) => (Some(made.tables), made.applier, made.desk),
            None => (None, None, None),
        };
        let committer = CommitThread::start(
            &format!("nubium-commit-{number}"),
            Steps::new(sink, limit).with_table(applier),
            source.waker(),
        )
        .context("commit thread")
        .or_host()?;
        let mut bench = Workbench::new(
            self.codec.clone(),
            outputs(encoders),
            self.retry_routes(),
            usize::try_from(self.config.producer.message_max_bytes).unwrap_or(usize::MAX),
        );
        let makes = self.config.errors.missing_headers == nubium_config::MissingHeaders::Make;
        bench.signature = makes.then(|| self.config.app.name.clone());
        (bench.table, bench.lookups) = (desk, started.and_then(Started::lookups));
        let observer = Observer::new(&self.metrics, pulse, self.clock);
        let settings = self.loop_settings(number);
        let _async = self.runtime.enter();
        let engine =
            Engine::new(source, committer, pattern, &bench, settings, observer, self.stop.clone());
        engine.with_tables(tables).start().map_err(|error| match error {
            LoopError::App { .. } => Failure { exit: Exit::AppFailed, error: error.into() },
            LoopError::Table { .. } => Failure { exit: Exit::HostFailed, error: error.into() },
            LoopError::Fenced { .. } | LoopError::Kafka { .. } | LoopError::Stopped(_) => {
                // Errors of the app function were counted with their message.
                self.metrics.inc_message_errors(error.name());
                Failure { exit: Exit::KafkaRefused, error: error.into() }
            }
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
        let Config { app, outbox, errors, consumer, routes, .. } = &self.config;
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        LoopSettings {
            bounds: Bounds {
                count: size(outbox.max_count),
                bytes: size(outbox.max_bytes),
                age: outbox.max_age,
            },
            error_policy: match errors.policy {
                nubium_config::ErrorPolicy::Stop => ErrorPolicy::Stop,
                nubium_config::ErrorPolicy::DeadLetter => ErrorPolicy::DeadLetter,
            },
            error_retries: errors.retry_max,
            backoff: (errors.backoff, errors.backoff_max),
            message_age: consumer.timestamp_offset,
            topic_ages: routes
                .delays
                .iter()
                .zip(&routes.retry)
                .map(|(delay, topic)| (Topic::named(topic), *delay))
                .collect(),
            concurrency: Concurrency {
                most: app.concurrency as usize,
                ordering: match app.ordering {
                    nubium_config::Ordering::Key => Ordering::Key,
                    nubium_config::Ordering::Partition => Ordering::Partition,
                    nubium_config::Ordering::None => Ordering::None,
                },
                window: app.concurrency_window as usize,
                shuffle: None,
            },
            aborts_max: ABORTS_MAX,
            transactional_id: instance_name(&self.config, number),
        }
    }

    /// Registers or looks up the schemas of the outputs. While the registry is away the app waits:
    /// it has consumed nothing yet. `None`: it was stopped meanwhile.
    fn prepare_outputs(&self) -> Outcome<Option<Vec<TopicEncoder>>> {
        let mut encoders = Vec::new();
        for (topic, schema) in &self.produce {
            match self.prepare_output(topic, schema)? {
                None => return Ok(None),
                Some(encoder) => encoders.push(encoder),
            }
        }
        Ok(Some(encoders))
    }

    /// Does so for one topic.
    pub(super) fn prepare_output(
        &self,
        topic: &str,
        schema: &str,
    ) -> Outcome<Option<TopicEncoder>> {
        let register = self.config.registry.auto_register;
        let prepared = self.runtime.block_on(async {
            tokio::select! {
                made = self.codec.prepare_topic(topic, schema, register) => Some(made),
                () = self.stop.wait() => None,
            }
        });
        match prepared {
            None => Ok(None),
            Some(Ok(encoder)) => Ok(Some(encoder)),
            Some(Err(error)) => {
                let error = anyhow::Error::from(error).context(format!("schemas of {topic}"));
                Err(Failure { exit: Exit::KafkaRefused, error })
            }
        }
    }

    fn serve_probes(&self, exposition: &Exposition) -> anyhow::Result<Option<ProbeServer>> {
        let Some(address) = self.config.operation.probe else { return Ok(None) };
        let consumer = &self.config.consumer;
        let mut limits =
            Limits::new(consumer.max_poll_interval, self.config.producer.transaction_timeout);
        limits.broker_gone = self.config.operation.broker_outage_limit.unwrap_or(Duration::MAX);
        let (pulses, clock, codec) = (self.pulses.clone(), self.clock, self.codec.clone());
        let tables = self.tables.clone();
        let health = move || {
            let now = millis_since(clock);
            let reachable =
                codec.registry().is_none_or(|registry| registry.health().is_reachable());
            let snapshots: Vec<_> = pulses
                .iter()
                .map(|pulse| {
                    pulse.registry(reachable, now);
                    pulse.snapshot()
                })
                .collect();
            let mut health = judge(&snapshots, now, &limits);
            health.ready.reasons.extend(tables.0.recovering());
            health
        };
        let (live, ready) = (health.clone(), health);
        let exposition = exposition.clone();
        let probes = Probes::new(
            move || live().live.into(),
            move || ready().ready.into(),
            move || exposition.text(),
        );
        Ok(Some(ProbeServer::start(address, &probes, nubium_host::http::Limits::probes())?))
    }
}

fn outputs(encoders: Vec<TopicEncoder>) -> Vec<Output> {
    let output = |encoder: TopicEncoder| Output { topic: Topic::named(encoder.topic()), encoder };
    encoders.into_iter().map(output).collect()
}

#[cfg(test)]
mod tests {
    use super::every_output_has_a_producer;

    #[test]
    fn an_output_that_nobody_produces_to_is_named() {
        let named =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(every_output_has_a_producer(&named(&[]), &[]).is_ok());
        assert!(every_output_has_a_producer(&named(&["a"]), &["b", "a"]).is_ok());
        let error = every_output_has_a_producer(&named(&["a", "c"]), &["a"]).expect_err("c");
        assert!(error.to_string().contains("names c, to which"), "{error}");
    }
}
