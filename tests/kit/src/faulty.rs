//! A broker of one's own behind a [`kproxy`](crate::kproxy): to be hurt at an exact request,
//! killed and restarted, without a word to the tests on the shared broker.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Result;
use tempfile::TempDir;

use crate::broker::{Broker, Options};
use crate::kproxy::Proxy;
use crate::reaper;
use crate::scenario::Cluster;
use crate::services::{installed, shared};

/// A private broker and the proxy in front of it.
#[derive(Debug)]
pub struct Faulty {
    /// The broker.
    pub broker: Broker,
    /// The proxy, which apps are to bootstrap from.
    pub proxy: Proxy,
    _dir: TempDir,
}

impl Faulty {
    /// Starts a broker with a proxy in front.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("nubium-faulty-").tempdir()?;
        reaper::clean(dir.path())?;
        let proxy = Proxy::listen()?;
        let options = Options { advertise: Some(proxy.port()), ..Options::default() };
        let broker = Broker::start(&installed()?, dir.path(), &options)?;
        proxy.forward_to(broker.proxied_port());
        Ok(Self { broker, proxy, _dir: dir })
    }

    /// The one that wire-point tests share, one at a time: rules act on every client there.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn take_turns() -> MutexGuard<'static, Self> {
        static SHARED: OnceLock<Mutex<Faulty>> = OnceLock::new();
        let faulty = SHARED
            .get_or_init(|| Mutex::new(Self::start().unwrap_or_else(|error| panic!("{error:#}"))));
        let faulty = faulty.lock().unwrap_or_else(PoisonError::into_inner);
        faulty.proxy.clear();
        faulty.proxy.mend();
        faulty
    }

    /// The addresses: the test's own clients go to the broker, the app through the proxy.
    pub fn cluster(&self) -> Cluster {
        Cluster {
            bootstrap: self.broker.bootstrap(),
            app_bootstrap: self.proxy.bootstrap(),
            registry: shared().registry.clone(),
        }
    }
}
