//! The services a test run shares: one broker and one registry, started at the first use, or an
//! existing cluster named by `NUBIUM_TEST_BOOTSTRAP` and `NUBIUM_TEST_REGISTRY`.

use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use tempfile::TempDir;

use crate::broker::{Broker, Options, answers};
use crate::install::{Installed, ensure_installed};
use crate::reaper;
use crate::registry::{Registry, RegistryClient};

/// Names an existing cluster to test against.
pub const BOOTSTRAP: &str = "NUBIUM_TEST_BOOTSTRAP";
/// Names the existing registry that goes with it.
pub const REGISTRY: &str = "NUBIUM_TEST_REGISTRY";

/// A broker and a registry that every test may use and none may break.
#[derive(Debug)]
pub struct Services {
    /// The broker's address.
    pub bootstrap: String,
    /// The address of the registry's Confluent-compatible API.
    pub registry: String,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    broker: Broker,
    registry: Registry,
    dir: TempDir,
}

impl Services {
    /// Uses the cluster that the environment names, or else starts one.
    ///
    /// # Errors
    /// Only one of the two is named, one named does not answer, or one does not start.
    pub fn start() -> Result<Self> {
        match (env::var(BOOTSTRAP).ok(), env::var(REGISTRY).ok()) {
            (Some(bootstrap), Some(registry)) => {
                answers(&bootstrap).with_context(|| format!("{BOOTSTRAP}={bootstrap}"))?;
                RegistryClient::new(&registry)?
                    .subjects()
                    .with_context(|| format!("{REGISTRY}={registry}"))?;
                Ok(Self { bootstrap, registry, own: None })
            }
            (None, None) => Self::start_own(),
            _ => bail!("set both {BOOTSTRAP} and {REGISTRY}, or neither"),
        }
    }

    fn start_own() -> Result<Self> {
        let installed = ensure_installed()?;
        let dir = tempfile::Builder::new().prefix("nubium-services-").tempdir()?;
        let (broker, registry) = thread::scope(|scope| {
            let registry = scope.spawn(|| Registry::start(&installed, dir.path()));
            let options = Options { heap_mb: 1024, ..Options::default() };
            let broker = Broker::start(&installed, &dir.path().join("broker"), &options);
            (broker, registry.join())
        });
        let registry = registry.map_err(|_| anyhow!("the registry's start panicked"))??;
        let broker = broker?;
        Ok(Self {
            bootstrap: broker.bootstrap(),
            registry: registry.url().to_owned(),
            own: Some(Own { broker, registry, dir }),
        })
    }

    /// Lets services started here outlive this process; returns their directory, the broker's
    /// process id and the registry's.
    ///
    /// # Errors
    /// They were not started here.
    pub fn detach(self) -> Result<(PathBuf, u32, u32)> {
        let own = self.own.context("the environment names a cluster: nothing was started")?;
        Ok((own.dir.keep(), own.broker.detach()?, own.registry.detach()))
    }
}

/// Returns the services of this test process; the first caller starts them.
///
/// They end with the process.
///
/// # Panics
/// They cannot be started: a test without its broker fails, it is never skipped.
pub fn shared() -> &'static Services {
    static SHARED: OnceLock<Services> = OnceLock::new();
    SHARED.get_or_init(|| {
        let services = Services::start().unwrap_or_else(|error| panic!("{error:#}"));
        if let Some(own) = &services.own {
            // Without it a directory is left behind, no more.
            let _ = reaper::clean(own.dir.path());
        }
        services
    })
}

/// Returns the parts that private brokers and registries are started from.
///
/// # Errors
/// Java or Maven is missing; see [`ensure_installed`]. A named cluster does not change that: a
/// test that restarts a broker needs one of its own.
pub fn installed() -> Result<Installed> {
    ensure_installed().context("this test needs a broker of its own")
}
