//! From the flags to a server that runs, and back down.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use clap::CommandFactory as _;
use nubium_host::http::{Limits, serve, serve_with};
use nubium_host::{Or as _, Outcome, Stop};
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cli::Cli;
use crate::replica::Peers;
use crate::route::Paths;
use crate::server::{App, Shared, router};
use crate::store::{Store, now};
use crate::telemetry::{self, Telemetry};
use crate::upkeep;
use crate::web::Web;

const LARGE_AT_A_TIME: usize = 2;

/// Runs until a stop is asked for, then writes the file and returns.
pub(crate) fn run(cli: Cli, stop: &Stop) -> Outcome {
    let web = cli.web_config.path().map(Web::load).transpose().or_settings()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("metrics-cache")
        .build()
        .context("cannot start the threads")?;
    let peers = runtime.block_on(async { Peers::from_flags(&cli) }).or_settings()?;
    let app = app(&cli, web, stop);
    runtime.block_on(serve_all(&cli, &app, peers, stop))?;
    if let Some(file) = cli.file.path() {
        upkeep::save(&app, file);
    }
    tracing::info!(why = stop.why().unwrap_or_default(), "Stopped.");
    Ok(())
}

fn app(cli: &Cli, web: Option<Web>, stop: &Stop) -> Shared {
    Arc::new(App {
        store: Store::new(cli.push_limits(), telemetry::names().collect()),
        telemetry: Telemetry::new(),
        paths: Paths {
            prefix: cli.prefix(),
            telemetry: cli.telemetry_path.clone(),
            admin: cli.admin_api,
        },
        external_prefix: cli.external_prefix(),
        lifecycle: cli.lifecycle,
        unchecked: cli.unchecked,
        expire_after: cli.expire_after,
        ready: AtomicBool::new(false),
        replicated: cli.peers.is_some(),
        instance: format!("{:x}-{:x}", std::process::id(), now()),
        in_flight: AtomicUsize::new(0),
        in_flight_limit: cli.in_flight,
        flags: flags(),
        started: now(),
        stop: stop.clone(),
        saving: Mutex::default(),
        large: Semaphore::new(LARGE_AT_A_TIME),
        web,
    })
}

/// Returns every flag with its value as given or by default.
fn flags() -> Json {
    let matches = Cli::command().get_matches();
    let flags = Cli::command();
    let flags = flags.get_arguments().filter_map(|flag| {
        let name = flag.get_long()?;
        let given = matches.get_raw(flag.get_id().as_str())?;
        let values: Vec<_> = given.map(|value| value.to_string_lossy()).collect();
        Some((name.to_owned(), Json::from(values.join(","))))
    });
    flags.collect::<serde_json::Map<_, _>>().into()
}

async fn serve_all(
    cli: &Cli,
    app: &Shared,
    peers: Option<Peers>,
    stop: &Stop,
) -> anyhow::Result<()> {
    let mut servers = JoinSet::new();
    for address in &cli.listen {
        let listener = bind(*address).await?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "Listening.");
        servers.spawn(serve_one(listener, app.clone(), limits(cli), stop.clone()));
    }
    if let Some(file) = cli.file.path() {
        // Requests are answered meanwhile; those that were pushed by now are newer and stay.
        let (shared, path) = (app.clone(), file.to_owned());
        tokio::task::spawn_blocking(move || upkeep::restore(&shared, &path)).await??;
    }
    if let Some(peers) = peers {
        tokio::select! {
            () = peers.fetch(app, cli.peers_timeout) => {}
            () = stop.wait() => {}
        }
    }
    app.store.settle();
    app.ready.store(true, Ordering::Release);
    let mut upkeep = JoinSet::new();
    if let Some(file) = cli.file.path() {
        upkeep.spawn(upkeep::persist(app.clone(), file.to_owned(), cli.persist_interval));
    }
    upkeep.spawn(upkeep::expire(app.clone()));
    while servers.join_next().await.is_some() {}
    Ok(())
}

async fn serve_one(listener: TcpListener, app: Shared, limits: Limits, stop: Stop) {
    let router = router(app.clone());
    let tls = app.web.as_ref().is_some_and(|web| web.current().tls.is_some());
    if !tls {
        return serve(listener, router, limits, stop).await;
    }
    let handshake = move |stream| {
        let app = app.clone();
        async move {
            let web = app.web.as_ref().ok_or_else(|| std::io::Error::other("no TLS"))?;
            web.handshake(stream).await
        }
    };
    serve_with(listener, handshake, router, limits, stop).await;
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        // A host without IPv6: all of IPv4 is then what "all addresses" means.
        Err(_) if address.ip().is_unspecified() && address.is_ipv6() => {
            let address = SocketAddr::from(([0, 0, 0, 0], address.port()));
            TcpListener::bind(address).await
        }
        bound => bound,
    }
    .with_context(|| format!("cannot listen on {address}; choose another --web.listen-address"))
}

fn limits(cli: &Cli) -> Limits {
    // A push is measured by its handler, which counts what it refuses. Nothing else reads a body,
    // but for one small form.
    Limits { body_bytes: usize::MAX, connections: cli.connections, ..Limits::default() }
}
