//! Serves the Confluent schema registry API from memory.

mod compatibility;
mod fault;
mod routes;
mod server;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::oneshot;

pub use fault::Fault;
use fault::Faults;
use store::Store;

/// Holds a running in-memory schema registry on 127.0.0.1.
///
/// It offers the routes that clients and tools of the Confluent registry use, with its error codes
/// and its compatibility levels (`BACKWARD` unless set otherwise). [`Registry::inject`] makes the
/// next answers fail, which is how clients are tested. Subject names containing `/` arrive
/// percent-encoded, as clients send them.
///
/// JSON Schema and Protobuf are kept with their references, and are not compared. Not offered:
/// contexts, modes other than `READWRITE`, references of Avro schemas.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the handle and the server's tasks have in common.
#[derive(Debug, Default)]
struct Shared {
    store: Mutex<Store>,
    faults: Mutex<Faults>,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Starts a registry on a free port.
    ///
    /// # Errors
    /// When no port can be opened or no thread started.
    pub fn start() -> Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts a registry on the given address, for instance the one of a registry that was dropped.
    ///
    /// # Errors
    /// When the port cannot be opened or no thread started.
    pub fn start_on(address: SocketAddr) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let listener = std::net::TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr().context("the listener has no address")?;
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("local-registry".into())
            .spawn(move || server::run(listener, state, stopped))
            .context("cannot start the registry's thread")?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns the base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the next `times` requests that are not yet spoken for end in `fault`.
    pub fn inject(&self, fault: Fault, times: usize) {
        self.shared.faults().queue(&fault, times);
    }

    /// Makes every request end in `fault`, after the injected ones, until [`Registry::heal`].
    pub fn break_down(&self, fault: Fault) {
        self.shared.faults().always = Some(fault);
    }

    /// Takes back every fault that has not happened yet.
    pub fn heal(&self) {
        self.shared.faults().clear();
    }

    /// Waits before every answer.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.faults().delay = delay;
    }

    /// Demands HTTP basic authentication from now on; others get 401.
    pub fn require_login(&self, username: &str, password: &str) {
        self.shared.faults().login = Some((username.into(), password.into()));
    }

    /// Returns `METHOD /path` of every request so far, also of those that ended in a fault.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.faults().seen.clone()
    }

    /// Registers a schema without a request and without a compatibility check; returns its id.
    ///
    /// # Errors
    /// When `schema` is no Avro schema.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        self.shared.store().force(subject, schema).map_err(|error| anyhow::anyhow!("{error}"))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
