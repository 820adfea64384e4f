//! `/livez`, `/readyz` and `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{io, thread};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::limits::Limits;
use super::server::serve;
use crate::stop::Stop;

/// Content type of Prometheus' text format, version 0.0.4.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Green (200) or red (503).
    pub ok: bool,
    /// Why it is red, or what to know while it is green. Sentences for the operator.
    pub reasons: Vec<String>,
}

impl Report {
    /// Makes a green report with nothing to say.
    #[must_use]
    pub fn green() -> Self {
        Self { ok: true, reasons: Vec::new() }
    }

    /// Makes a red report for one reason.
    #[must_use]
    pub fn red(reason: impl Into<String>) -> Self {
        Self { ok: false, reasons: vec![reason.into()] }
    }
}

type Ask<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// Holds what the probes ask. The closures must return at once: they run on the server's thread.
#[derive(Clone)]
pub struct Probes {
    live: Ask<Report>,
    ready: Ask<Report>,
    metrics: Ask<String>,
}

impl Probes {
    /// Takes the three answers: is it alive, does it work, and the metrics in text format 0.0.4.
    pub fn new(
        live: impl Fn() -> Report + Send + Sync + 'static,
        ready: impl Fn() -> Report + Send + Sync + 'static,
        metrics: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self { live: Arc::new(live), ready: Arc::new(ready), metrics: Arc::new(metrics) }
    }

    /// Returns the three routes, to serve alone or to merge into a larger router.
    ///
    /// Anything else is 404, another method 405. `/livez` and `/readyz` answer 200 or 503 with
    /// `{"status": "ok" | "failing", "reasons": [...]}`.
    pub fn router(&self) -> Router {
        let Self { live, ready, metrics } = self.clone();
        Router::new()
            .route("/livez", get(async move || report(live())))
            .route("/readyz", get(async move || report(ready())))
            .route(
                "/metrics",
                get(async move || ([(header::CONTENT_TYPE, TEXT_FORMAT)], metrics())),
            )
    }
}

fn report(report: Report) -> Response {
    let (code, status) = match report.ok {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    let body = axum::Json(json!({ "status": status, "reasons": report.reasons }));
    (code, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// Serves [`Probes`] from a thread of its own, for programs that are plain threads.
///
/// Dropping it stops the server. Keep it until the very end, so that probes are answered while
/// the program drains.
#[derive(Debug)]
pub struct ProbeServer {
    address: SocketAddr,
    stop: Stop,
    thread: Option<thread::JoinHandle<()>>,
}

impl ProbeServer {
    /// Binds the address (port 0 picks a free one) and starts to serve.
    ///
    /// # Errors
    /// Fails when the address cannot be bound, naming it, or the thread cannot be started.
    pub fn start(address: SocketAddr, probes: &Probes, limits: Limits) -> io::Result<Self> {
        let name_it = |error: io::Error| {
            let text = format!("cannot serve probes on {address}: {error}; choose another port");
            io::Error::new(error.kind(), text)
        };
        let listener = std::net::TcpListener::bind(address).map_err(name_it)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, router) = (Stop::new(), probes.router());
        let stopped = stop.clone();
        let run = async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, router, limits, stopped).await,
                Err(error) => tracing::error!(%error, "Probes are not served."),
            }
        };
        let thread = thread::Builder::new()
            .name("nubium-probes".into())
            .spawn(move || runtime.block_on(run))?;
        tracing::info!(%address, "Serving /livez, /readyz and /metrics.");
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Returns the address that is served, with the port that was picked.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ProbeServer {
    fn drop(&mut self) {
        self.stop.request("the program ends");
        if let Some(thread) = self.thread.take() {
            // Bounded by Limits::drain.
            let _ = thread.join();
        }
    }
}
