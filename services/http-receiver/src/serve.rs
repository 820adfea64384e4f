//! The running receiver: from its clients to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nubium_core::codec::{Codec, TopicEncoder};
use nubium_core::config::Config;
use nubium_core::metrics::Metrics;
use nubium_core::pusher::{End, Exposition, start_pushing};
use nubium_host::daemon::Shift;
use nubium_host::http::{self, ProbeServer, Probes, Report};
use nubium_host::{Failure, Or as _, Outcome, Stop};
use nubium_mapping::mapping::Mapping;
use nubium_service::schemas;
use nubium_service::start::Start;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::deliver::{Delivery, FATAL};
use crate::gate::{Gate, nothing_since};
use crate::rate::Bucket;
use crate::route::{Output, Route};
use crate::server::body::Bounds;
use crate::server::{App, router};
use crate::settings::{Credential, Settings};
use crate::stopping::Stopping;
use crate::telemetry::Telemetry;
use crate::watch::watch;
use crate::{openapi, page};

/// What an answer may take beyond the time for its body and that for Kafka.
const MARGIN: Duration = Duration::from_secs(5);

/// Serves until `stop`, then lets requests finish. Metrics are pushed meanwhile, and at the end.
///
/// # Errors
/// It cannot start, or Kafka refused for good.
pub fn run(start: &Start<Settings>, mappings: Vec<Option<Mapping>>, stop: &Stop) -> Outcome {
    let config = &start.config;
    let (limit, health) = (config.operation.shutdown_timeout, config.operation.health_file.clone());
    let last_words = "requests in hand were cut off without an answer";
    let shift = Shift::start(stop, limit, health, Some(last_words))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("http-receiver")
        .enable_all()
        .build()
        .context("async runtime")
        .or_host()?;
    let codec = schemas::codec(config, &runtime, |_| {}).or_host()?;
    let metrics = Metrics::new(&config.app.name, &config.app.hostname);
    let exposition = Exposition::new(&metrics, Some(&codec));
    let pushing = start_pushing(config, &exposition).or_host()?;
    let ended = runtime.block_on(serve(start, mappings, &codec, &exposition, stop));
    if let Some(pushing) = pushing {
        let end = if ended.is_ok() { End::Clean } else { End::Failed };
        pushing.finish_within(end, shift.left());
    }
    ended
}

async fn serve(
    start: &Start<Settings>,
    mappings: Vec<Option<Mapping>>,
    codec: &Codec,
    exposition: &Exposition,
    stop: &Stop,
) -> Outcome {
    let (config, settings) = (&start.config, &start.settings);
    let taking = Arc::new(OnceLock::<Arc<App>>::new());
    let asked = Asked { taking: Arc::clone(&taking), stop: stop.clone() };
    let _probes = serve_probes(config, exposition, asked).or_host()?;
    let listener = bind(settings).await.or_host()?;
    let Some(encoders) = encoders(start, codec, stop).await.or_refused()? else {
        return Ok(());
    };
    let app = app(start, mappings, encoders, exposition.metrics(), stop)?;
    let router = router(Arc::clone(&app), settings.cors.as_ref()).or_host()?;
    let closed = Stop::new();
    let server = tokio::spawn(http::serve(listener, router, limits(start), closed.clone()));
    let _ = taking.set(Arc::clone(&app));
    tracing::info!(address = %settings.listen, routes = settings.routes.len(), "Taking records.");
    // Some failures more than one time-out apart are failures in a row.
    let quiet = settings.limits.delivery + MARGIN;
    let watching = tokio::spawn(watch(Arc::clone(&app), quiet));
    stop.wait().await;
    watching.abort();
    let steps = stopping(start);
    drain(steps.delay, stop).await;
    closed.request("drained");
    server.await.context("the server").or_host()?;
    let left = stop.left(config.operation.shutdown_timeout).saturating_sub(steps.last);
    app.delivery.finish(settings.limits.delivery.min(left));
    match stop.why() {
        Some(FATAL) => Err(Failure::refused(format!("{FATAL}; the log says why"))),
        _ => Ok(()),
    }
}

/// Shares the time of a stop out among its steps.
fn stopping(start: &Start<Settings>) -> Stopping {
    let own = &start.settings.limits;
    let requests = own.body_read + own.delivery + MARGIN;
    Stopping::within(start.config.operation.shutdown_timeout, own.drain_delay, requests)
}

/// Not ready any more, but still at work, until load balancers have seen it.
async fn drain(delay: Duration, stop: &Stop) {
    if stop.why() != Some(FATAL) {
        tracing::info!(?delay, "Not ready any more; requests are still taken for a while.");
        tokio::time::sleep(delay).await;
    }
}

async fn bind(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = settings.listen;
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}; choose another `listen`"))
}

/// Registers or looks up the schemas of all topics; waits while the registry is away. `None`: a stop
/// was asked for meanwhile.
async fn encoders(
    start: &Start<Settings>,
    codec: &Codec,
    stop: &Stop,
) -> anyhow::Result<Option<BTreeMap<String, TopicEncoder>>> {
    let register = start.config.registry.auto_register;
    let mut encoders = BTreeMap::new();
    for output in start.settings.outputs() {
        let (topic, schema) = (&output.topic, &output.schema.json);
        let made = tokio::select! {
            made = codec.prepare_topic(topic, schema, register) => made,
            () = stop.wait() => return Ok(None),
        };
        encoders.insert(topic.clone(), made.with_context(|| format!("schemas of {topic}"))?);
    }
    Ok(Some(encoders))
}

fn app(
    start: &Start<Settings>,
    mappings: Vec<Option<Mapping>>,
    encoders: BTreeMap<String, TopicEncoder>,
    metrics: &Metrics,
    stop: &Stop,
) -> Outcome<Arc<App>> {
    let (config, settings) = (&start.config, &start.settings);
    let mut routes = Vec::new();
    for (route, mapping) in settings.routes.iter().zip(mappings) {
        let outputs = route.outputs.iter().filter_map(|output| {
            let encoder = encoders.get(&output.topic)?;
            Some(Output {
                topic: output.topic.clone(),
                schema: output.schema.schema,
                value_id: encoder.value_id(),
                key_id: encoder.key_id(),
                counters: metrics.topic(&output.topic),
            })
        });
        routes.push(Route::new(route, mapping, outputs.collect()).or_settings()?);
    }
    let (name, cluster) = config.cluster_for(settings.topics().into_iter()).or_settings()?;
    tracing::info!(cluster = name, brokers = %cluster.url, "Producing.");
    let limit = settings.limits.delivery;
    let brokers = Arc::new(Gate::default());
    let delivery = Delivery::start(config, cluster, limit, Arc::clone(&brokers), stop.clone());
    let now = Instant::now();
    let caller = |credential: &Credential| {
        (credential.clone(), credential.rate.map(|rate| Bucket::new(rate, now)))
    };
    Ok(Arc::new(App {
        routes,
        callers: settings.credentials.iter().map(caller).collect(),
        bounds: Bounds {
            bytes: settings.limits.body_bytes,
            time: settings.limits.body_read,
            in_flight: Arc::new(Semaphore::new(settings.limits.in_flight_bytes)),
        },
        most_items: settings.limits.items,
        largest_record: usize::try_from(config.producer.message_max_bytes).unwrap_or(usize::MAX),
        last_updated_by: settings.last_updated_by.clone().unwrap_or(config.app.name.clone()),
        delivery: delivery.or_refused()?,
        brokers,
        telemetry: Telemetry::new(metrics).or_host()?,
        stop: stop.clone(),
        openapi: openapi::describe(&config.app.name, settings).to_string(),
        page: settings.page.then(|| page::html(&config.app.name, settings, &examples(start))),
    }))
}

/// Gives an example of each route's items, as text.
fn examples(start: &Start<Settings>) -> Vec<String> {
    let example = |route| {
        let schema = openapi::item_schema(route)?;
        serde_json::to_string_pretty(&openapi::example(schema)).ok()
    };
    start.settings.routes.iter().map(|route| example(route).unwrap_or("{}".into())).collect()
}

fn limits(start: &Start<Settings>) -> http::Limits {
    let own = &start.settings.limits;
    let request = own.body_read + own.delivery + MARGIN;
    http::Limits {
        header_read: own.header_read,
        request,
        // Requests in hand finish within their own limit, if a stop leaves them that long.
        drain: stopping(start).requests,
        // A body is measured by its handler, which counts what it refuses.
        body_bytes: usize::MAX,
        connections: own.connections,
        ..http::Limits::default()
    }
}

/// What the probes look at.
#[derive(Clone)]
struct Asked {
    /// There once records are taken.
    taking: Arc<OnceLock<Arc<App>>>,
    stop: Stop,
}

impl Asked {
    fn away(&self) -> Option<Duration> {
        let app = self.taking.get()?;
        let routes: Vec<_> = app.routes.iter().map(|route| &*route.gate).collect();
        nothing_since(&app.brokers, &routes).map(|since| since.elapsed())
    }

    fn phase(&self) -> Phase {
        match (self.stop.requested(), self.taking.get().is_some()) {
            (true, _) => Phase::Stopping,
            (false, true) => Phase::Taking,
            (false, false) => Phase::Starting,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Taking,
    Stopping,
}

fn serve_probes(
    config: &Config,
    exposition: &Exposition,
    asked: Asked,
) -> anyhow::Result<Option<ProbeServer>> {
    let Some(address) = config.operation.probe else { return Ok(None) };
    let (exposition, for_ready) = (exposition.clone(), asked.clone());
    let outage_limit = config.operation.broker_outage_limit;
    let probes = Probes::new(
        move || live(asked.away(), outage_limit),
        move || ready(for_ready.phase(), for_ready.away()),
        move || exposition.text(),
    );
    Ok(Some(ProbeServer::start(address, &probes, http::Limits::probes())?))
}

fn live(away: Option<Duration>, limit: Option<Duration>) -> Report {
    match (away, limit) {
        (Some(away), Some(limit)) if away > limit => {
            let away = away.as_secs();
            Report::red(format!("Kafka has acknowledged nothing for {away} s"))
        }
        _ => Report::green(),
    }
}

fn ready(phase: Phase, away: Option<Duration>) -> Report {
    match (phase, away) {
        (Phase::Starting, _) => Report::red("schemas are being registered; no record is taken yet"),
        (Phase::Stopping, _) => Report::red("a stop was asked for; requests in hand are finished"),
        (Phase::Taking, Some(away)) => {
            Report::red(format!("Kafka cannot be reached for {} s", away.as_secs()))
        }
        (Phase::Taking, None) => Report::green(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_turns_with_a_stop_and_an_outage_and_liveness_with_a_long_one() {
        let seconds = Duration::from_secs;
        for (phase, away, is_ready, is_live) in [
            (Phase::Starting, None, false, true),
            (Phase::Taking, None, true, true),
            (Phase::Stopping, None, false, true),
            (Phase::Taking, Some(seconds(1)), false, true),
            (Phase::Taking, Some(seconds(301)), false, false),
        ] {
            assert_eq!(ready(phase, away).ok, is_ready, "{phase:?} {away:?}");
            assert_eq!(live(away, Some(seconds(300))).ok, is_live, "{away:?}");
            assert!(live(away, None).ok, "no limit");
        }
    }
}
