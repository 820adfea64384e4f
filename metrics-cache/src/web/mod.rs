//! The web configuration file: TLS, basic auth and headers, in the format of Prometheus'
//! exporter-toolkit.
//!
//! The file, the certificate and the key are looked at again while the cache runs, so that
//! certificates rotate and users change without a restart. What turns out bad then is logged, and
//! the last good configuration stays.

mod auth;
mod file;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use file::Loaded;

/// How long a look at the files counts.
const FRESH: Duration = Duration::from_secs(1);

/// The configuration in force.
pub(crate) struct Web {
    path: PathBuf,
    current: Mutex<Current>,
    auth: auth::Verifier,
}

struct Current {
    loaded: Arc<Loaded>,
    looked: Instant,
    /// When each file was changed last, as of that look.
    changed: Vec<Option<SystemTime>>,
}

impl Web {
    /// Reads the file.
    ///
    /// # Errors
    /// Names the file, and the field where it is one.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let loaded = Arc::new(file::load(path).with_context(|| where_(path))?);
        let changed = changed(path, &loaded);
        let current = Mutex::new(Current { loaded, looked: Instant::now(), changed });
        Ok(Self { path: path.to_owned(), current, auth: auth::Verifier::new() })
    }

    /// Returns the configuration in force, after a look at the files if the last one is old.
    pub(crate) fn current(&self) -> Arc<Loaded> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() < FRESH {
            return Arc::clone(&current.loaded);
        }
        current.looked = Instant::now();
        let changed = changed(&self.path, &current.loaded);
        if changed != current.changed {
            current.changed = changed;
            match file::load(&self.path) {
                Ok(loaded) if loaded.tls.is_some() != current.loaded.tls.is_some() => {
                    tracing::error!(
                        file = %self.path.display(),
                        "TLS cannot be switched on or off while the cache runs; restart it."
                    );
                }
                Ok(loaded) => {
                    current.changed = self::changed(&self.path, &loaded);
                    current.loaded = Arc::new(loaded);
                    tracing::info!(file = %self.path.display(), "Read the web configuration anew.");
                }
                Err(error) => tracing::error!(
                    file = %self.path.display(),
                    error = format!("{error:#}"),
                    "The web configuration is bad now; the last good one stays in force."
                ),
            }
        }
        Arc::clone(&current.loaded)
    }

    /// Does the TLS handshake on a new connection.
    ///
    /// # Errors
    /// When the client speaks no TLS, or lacks the certificate it needs.
    pub(crate) async fn handshake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.current().tls.clone();
        let config = config.ok_or_else(|| io::Error::other("TLS is not configured"))?;
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Checks the user of a request.
    ///
    /// # Errors
    /// 401 when it is nobody who may.
    pub(crate) async fn authorize(&self, headers: &HeaderMap) -> Result<(), StatusCode> {
        let loaded = self.current();
        match loaded.users.is_empty() {
            true => Ok(()),
            false => self.auth.check(&loaded.users, headers).await,
        }
    }
}

fn where_(path: &Path) -> String {
    format!("bad web configuration file {}", path.display())
}

fn changed(path: &Path, loaded: &Loaded) -> Vec<Option<SystemTime>> {
    let files = std::iter::once(path).chain(loaded.files.iter().map(PathBuf::as_path));
    files.map(|file| std::fs::metadata(file).and_then(|data| data.modified()).ok()).collect()
}
