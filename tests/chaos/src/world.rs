//! The services that the cells share, started when the first of them asks.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow};
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::install::{Installed, ensure_installed};
use nubium_test_kit::registry::Registry;
use nubium_test_kit::scenario::Cluster;
use nubium_test_kit::services::REGISTRY;
use nubium_test_kit::trio::Trio;
use tempfile::TempDir;

/// The services that all share, and which apps run on them.
#[derive(Clone)]
pub(crate) struct World {
    inner: Arc<Inner>,
    binaries: PathBuf,
    mutant: Option<&'static str>,
}

struct Inner {
    installed: Installed,
    registry_url: String,
    _registry: Option<Registry>,
    shared: OnceLock<Faulty>,
    own: Mutex<Option<Faulty>>,
    trio: Mutex<Option<Trio>>,
    _dir: TempDir,
}

impl World {
    /// Fetches what is needed and starts a registry, unless the environment names one.
    pub(crate) fn start() -> Result<Self> {
        let installed = ensure_installed()?;
        let dir = tempfile::Builder::new().prefix("nubium-chaos-").tempdir()?;
        let (registry_url, registry) = match std::env::var(REGISTRY) {
            Ok(url) => (url, None),
            Err(_) => {
                let registry = Registry::start(&installed, dir.path())?;
                (registry.url().to_owned(), Some(registry))
            }
        };
        let here = std::env::current_exe()?;
        let binaries = here.parent().context("this program is nowhere")?.to_owned();
        let inner = Inner {
            installed,
            registry_url,
            _registry: registry,
            shared: OnceLock::new(),
            own: Mutex::default(),
            trio: Mutex::default(),
            _dir: dir,
        };
        Ok(Self { inner: Arc::new(inner), binaries, mutant: None })
    }

    /// The same services, and apps with a planted bug.
    pub(crate) fn with_mutant(&self, mutant: &'static str) -> Self {
        Self { mutant: Some(mutant), ..self.clone() }
    }

    /// The planted bug, as the apps are told; blank: none.
    pub(crate) fn mutant(&self) -> &'static str {
        self.mutant.unwrap_or_default()
    }

    /// Where the apps are.
    pub(crate) fn binaries(&self) -> PathBuf {
        self.binaries.clone()
    }

    /// Takes the apps from elsewhere.
    pub(crate) fn take_apps_from(&mut self, binaries: &std::path::Path) {
        self.binaries = binaries.to_owned();
    }

    /// The broker that everybody may use behind its proxy, and nobody may break. Rules are to name
    /// their client.
    pub(crate) fn shared(&self) -> Result<&Faulty> {
        if let Some(faulty) = self.inner.shared.get() {
            return Ok(faulty);
        }
        // Two at once would be two brokers, of which one is dropped again.
        let _turn = lock(&self.inner.own);
        if self.inner.shared.get().is_none() {
            let _ = self.inner.shared.set(Faulty::start()?);
        }
        self.inner.shared.get().ok_or_else(|| anyhow!("no broker"))
    }

    /// The broker that may be hurt, by one cell at a time.
    pub(crate) fn own(&self) -> Result<Turn<'_, Faulty>> {
        let mut place = lock(&self.inner.own);
        if place.is_none() {
            *place = Some(Faulty::start()?);
        }
        let turn = Turn(place);
        turn.get().proxy.clear();
        turn.get().proxy.mend();
        Ok(turn)
    }

    /// The three brokers, for one cell at a time; whole again.
    pub(crate) fn trio(&self) -> Result<Turn<'_, Trio>> {
        let mut place = lock(&self.inner.trio);
        if place.is_none() {
            *place = Some(Trio::start(&self.inner.installed)?);
        }
        let mut turn = Turn(place);
        for index in 0..3 {
            turn.get().proxy(index).clear();
            turn.get().proxy(index).mend();
            if turn.get().process(index).is_err() {
                turn.get_mut().start_again(index)?;
            }
        }
        turn.get().until_whole()?;
        Ok(turn)
    }

    /// The addresses of a broker behind its proxy.
    pub(crate) fn cluster(&self, faulty: &Faulty) -> Cluster {
        Cluster {
            bootstrap: faulty.broker.bootstrap(),
            app_bootstrap: faulty.proxy.bootstrap(),
            registry: self.inner.registry_url.clone(),
        }
    }

    /// The addresses of the three behind their proxies.
    pub(crate) fn cluster_of(&self, trio: &Trio) -> Cluster {
        Cluster {
            bootstrap: trio.bootstrap(),
            app_bootstrap: trio.proxied(),
            registry: self.inner.registry_url.clone(),
        }
    }
}

/// Services that one cell has for itself.
pub(crate) struct Turn<'w, T>(MutexGuard<'w, Option<T>>);

impl<T> Turn<'_, T> {
    pub(crate) fn get(&self) -> &T {
        self.0.as_ref().unwrap_or_else(|| unreachable!("filled when the turn was taken"))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.as_mut().unwrap_or_else(|| unreachable!("filled when the turn was taken"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
