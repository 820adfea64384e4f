//! Serves look-ups from a thread of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{RawQuery, State as FromState};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use nubium_host::Stop;
use nubium_host::http::{Limits, serve};
use serde_json::json;

use super::access::Door;
use super::directory::Directory;
use super::query::Query;
use super::state::State;
use super::view::View;
use super::{answer, page, scan};
use crate::settings::Lookups;

/// Serves look-ups until it is dropped.
pub struct LookupServer {
    address: std::net::SocketAddr,
    stop: Stop,
    broken: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl LookupServer {
    /// Binds the address and starts to serve; `app` and `instance` are NU_APP_NAME and NU_HOSTNAME.
    ///
    /// # Errors
    /// When the address cannot be bound, or the machine has no thread left.
    pub fn start(
        settings: &Lookups,
        app: &str,
        instance: &str,
        view: Arc<dyn View>,
        app_stop: Stop,
    ) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(settings.listen)
            .with_context(|| format!("look-ups cannot listen on {}", settings.listen))?;
        Self::start_on(listener, settings, app, instance, view, app_stop)
    }

    /// Starts to serve on a listener that is bound already.
    pub(super) fn start_on(
        listener: std::net::TcpListener,
        settings: &Lookups,
        app: &str,
        instance: &str,
        view: Arc<dyn View>,
        app_stop: Stop,
    ) -> anyhow::Result<Self> {
        let door = Door::new(&settings.access);
        let instance: Arc<str> = instance.into();
        let directory = Directory::new(
            settings.peers.clone(),
            settings.advertised.as_ref(),
            instance.clone(),
            door.clone(),
        )?;
        let state = State { view, directory: directory.into(), door, instance, app: app.into() };
        listener.set_nonblocking(true).context("look-ups")?;
        let address = listener.local_addr().context("look-ups")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("nubium-lookups")
            .enable_all()
            .build()
            .context("async runtime of look-ups")?;
        let stop = Stop::new();
        let (stopped, watched) = (stop.clone(), stop.clone());
        let run = async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, router(state), limits(), stopped).await,
                Err(error) => tracing::error!(%error, "Look-ups are not served."),
            }
        };
        let broken = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&broken);
        let thread = thread::Builder::new()
            .name("nubium-lookups".into())
            .spawn(move || {
                if ends_by_itself(|| runtime.block_on(run), &watched) {
                    noted.store(true, Ordering::Release);
                    app_stop.request("look-ups are not served any more");
                }
            })
            .context("thread of look-ups")?;
        Ok(Self { address, stop, broken, thread: Some(thread) })
    }

    /// Says whether it ended although nobody asked it to.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Gives the address that is served.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }
}

impl Drop for LookupServer {
    fn drop(&mut self) {
        self.stop.request("the table ends");
        if let Some(thread) = self.thread.take() {
            // Bounded by Limits::drain.
            let _ = thread.join();
        }
    }
}

/// Runs the server. Answers whether it ended, by a panic too, although it was not to stop: a table
/// that looks alive and answers nobody is worse than one that is started anew.
fn ends_by_itself(run: impl FnOnce(), stop: &Stop) -> bool {
    let ended = std::panic::catch_unwind(AssertUnwindSafe(run));
    let broken = !stop.requested();
    if broken {
        let panicked = ended.is_err();
        tracing::error!(panicked, "Look-ups are not served any more; the table ends.");
    }
    broken
}

fn limits() -> Limits {
    Limits { body_bytes: 1024, request: Duration::from_secs(15), ..Limits::default() }
}

fn router(state: State) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/style.css", get(page::style))
        .route("/table", get(scan::scan))
        .route("/table/{*key}", get(super::get::get))
        .route("/partitions", get(partitions))
        .fallback(async || {
            let text = "there are /table/{key}, /table?prefix=, /partitions, and / to browse";
            answer::error(StatusCode::NOT_FOUND, text)
        })
        .with_state(state)
}

/// `GET /partitions`: how it stands with the partitions, here and on the other instances.
async fn partitions(
    FromState(state): FromState<State>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = state.door.check(&headers) {
        return refused;
    }
    let local = Query::parse(query.as_deref(), &["local"]).and_then(|query| query.flag("local"));
    let here = state.here();
    match local {
        Err(wrong) => answer::error(StatusCode::BAD_REQUEST, &wrong),
        Ok(true) => answer::document(&here),
        Ok(false) => {
            let others = state.directory.snapshot().await;
            answer::document(&json!({
                "instance": here.instance,
                "url": here.url,
                "partition_count": here.partition_count,
                "partitions": here.partitions,
                "other_instances": others.instances,
                "silent_instances": others.silent,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_nobody_asked_for_is_told() {
        let stop = Stop::new();
        assert!(ends_by_itself(|| panic!("as told"), &stop));
        assert!(ends_by_itself(|| {}, &stop));
        stop.request("the table ends");
        assert!(!ends_by_itself(|| {}, &stop));
    }
}
