//! The running receiver: from its clients to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use nubium_core::codec::{Codec, TopicEncoder};
use nubium_core::config::Config;
use nubium_core::metrics::Metrics;
use nubium_core::pusher::{End, Exposition, start_pushing};
use nubium_host::http::{self, ProbeServer, Probes, Report};
use nubium_host::{Exit, HealthFile, Stop};
use nubium_mapping::mapping::Mapping;
use nubium_service::schemas;
use nubium_service::start::Start;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::deliver::{Delivery, FATAL};
use crate::gate::Gate;
use crate::rate::Bucket;
use crate::route::{Output, Route};
use crate::server::body::Bounds;
use crate::server::{App, router};
use crate::settings::{Credential, Settings};
use crate::telemetry::Telemetry;
use crate::{openapi, page};

/// What an answer may take beyond the time for its body and that for Kafka.
const MARGIN: Duration = Duration::from_secs(5);

/// Why the receiver cannot run, and the code it ends with.
pub struct Failed {
    /// The code.
    pub exit: Exit,
    /// Why.
    pub error: anyhow::Error,
}

fn host(error: anyhow::Error) -> Failed {
    Failed { exit: Exit::HostFailed, error }
}

fn refused(error: anyhow::Error) -> Failed {
    Failed { exit: Exit::KafkaRefused, error }
}

/// Serves until `stop`, then lets requests finish. Metrics are pushed meanwhile, and at the end.
///
/// # Errors
/// It cannot start, or Kafka refused for good.
pub fn run(
    start: &Start<Settings>,
    mappings: Vec<Option<Mapping>>,
    stop: &Stop,
) -> Result<(), Failed> {
    let config = &start.config;
    let health = config.operation.health_file.clone();
    let _health =
        health.map(HealthFile::create).transpose().context("health file").map_err(host)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("http-receiver")
        .enable_all()
        .build()
        .context("async runtime")
        .map_err(host)?;
    let codec = schemas::codec(config, &runtime, |_| {}).map_err(host)?;
    let metrics = Metrics::new(&config.app.name, &config.app.hostname);
    let exposition = Exposition::new(&metrics, Some(&codec));
    let pushing = start_pushing(config, &exposition).map_err(host)?;
    let ended = runtime.block_on(serve(start, mappings, &codec, &exposition, stop));
    if let Some(pushing) = pushing {
        pushing.finish(if ended.is_ok() { End::Clean } else { End::Failed });
    }
    ended
}

async fn serve(
    start: &Start<Settings>,
    mappings: Vec<Option<Mapping>>,
    codec: &Codec,
    exposition: &Exposition,
    stop: &Stop,
) -> Result<(), Failed> {
    let (config, settings) = (&start.config, &start.settings);
    let gate = Arc::new(Gate::default());
    let _probes = serve_probes(config, exposition, &gate, stop).map_err(host)?;
    let listener = bind(settings).await.map_err(host)?;
    let Some(encoders) = encoders(start, codec, stop).await.map_err(refused)? else {
        return Ok(());
    };
    let app = app(start, mappings, encoders, exposition.metrics(), gate, stop)?;
    let router = router(Arc::clone(&app), settings.cors.as_ref()).map_err(host)?;
    let closed = Stop::new();
    let server = tokio::spawn(http::serve(listener, router, limits(start), closed.clone()));
    tracing::info!(address = %settings.listen, routes = settings.routes.len(), "Taking records.");
    stop.wait().await;
    drain(start, stop).await;
    closed.request("drained");
    server.await.context("the server").map_err(host)?;
    app.delivery.finish(settings.limits.delivery);
    match stop.why() {
        Some(FATAL) => Err(refused(anyhow!("{FATAL}; the log says why"))),
        _ => Ok(()),
    }
}

/// Not ready any more, but still at work, until load balancers have seen it.
async fn drain(start: &Start<Settings>, stop: &Stop) {
    if stop.why() != Some(FATAL) {
        let delay = start.settings.limits.drain_delay;
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
    gate: Arc<Gate>,
    stop: &Stop,
) -> Result<Arc<App>, Failed> {
    let (config, settings) = (&start.config, &start.settings);
    let bad = |error: anyhow::Error| Failed { exit: Exit::BadSettings, error };
    let mut routes = Vec::new();
    for (route, mapping) in settings.routes.iter().zip(mappings) {
        let outputs = route.outputs.iter().filter_map(|output| {
            let encoder = encoders.get(&output.topic)?;
            Some(Output {
                topic: output.topic.clone(),
                schema: Arc::clone(&output.schema.schema),
                value_id: encoder.value_id(),
                key_id: encoder.key_id(),
                counters: metrics.topic(&output.topic),
            })
        });
        routes.push(Route::new(route, mapping, outputs.collect()).map_err(bad)?);
    }
    let (name, cluster) = config
        .cluster_for(settings.topics().into_iter())
        .map_err(|problems| bad(anyhow!("{problems}")))?;
    tracing::info!(cluster = name, brokers = %cluster.url, "Producing.");
    let limit = settings.limits.delivery;
    let delivery = Delivery::start(config, cluster, limit, Arc::clone(&gate), stop.clone());
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
        delivery: delivery.map_err(refused)?,
        gate,
        telemetry: Telemetry::new(metrics).map_err(host)?,
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
        // Requests in hand finish: they end by themselves within their own limit.
        drain: request,
        // A body is measured by its handler, which counts what it refuses.
        body_bytes: usize::MAX,
        connections: own.connections,
        ..http::Limits::default()
    }
}

fn serve_probes(
    config: &Config,
    exposition: &Exposition,
    gate: &Arc<Gate>,
    stop: &Stop,
) -> anyhow::Result<Option<ProbeServer>> {
    let Some(address) = config.operation.probe else { return Ok(None) };
    let (exposition, stop) = (exposition.clone(), stop.clone());
    let (for_live, for_ready) = (Arc::clone(gate), Arc::clone(gate));
    let outage_limit = config.operation.broker_outage_limit;
    let probes = Probes::new(
        move || live(for_live.away_since().map(|since| since.elapsed()), outage_limit),
        move || ready(stop.requested(), for_ready.away_since().map(|since| since.elapsed())),
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

fn ready(stopping: bool, away: Option<Duration>) -> Report {
    match (stopping, away) {
        (true, _) => Report::red("a stop was asked for; requests in hand are finished"),
        (false, Some(away)) => {
            Report::red(format!("Kafka cannot be reached for {} s", away.as_secs()))
        }
        (false, None) => Report::green(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_turns_with_a_stop_and_an_outage_and_liveness_with_a_long_one() {
        let seconds = Duration::from_secs;
        for (stopping, away, is_ready, is_live) in [
            (false, None, true, true),
            (true, None, false, true),
            (false, Some(seconds(1)), false, true),
            (false, Some(seconds(301)), false, false),
        ] {
            assert_eq!(ready(stopping, away).ok, is_ready, "{stopping} {away:?}");
            assert_eq!(live(away, Some(seconds(300))).ok, is_live, "{away:?}");
            assert!(live(away, None).ok, "no limit");
        }
    }
}
