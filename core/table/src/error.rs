//! What can go wrong with a table, by what the caller must do.

use std::io;
use std::path::{Path, PathBuf};

use nubium_host::errors::Code;

/// Why a table cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The app has no table.
    #[error("this app has no table: add .table() to it")]
    NoTable,
    /// The consumed message has no key.
    #[error("the message has no key, and a table entry needs one; its producer must set it")]
    NoKey,
    /// A value cannot be written as JSON.
    #[error("the value cannot be written as JSON: {0}")]
    Encode(String),
    /// An entry's JSON text does not fit the type it is read as.
    #[error("the table entry of key {key:?} cannot be read as asked: {error}")]
    Decode {
        /// The key.
        key: String,
        /// Where it does not fit.
        error: serde_json::Error,
    },
    /// The store of the partition is not open on this instance, or not up to date yet.
    #[error("the table of partition {0} is not ready on this instance")]
    NotReady(i32),
    /// The changelog is not among those that are looked up.
    #[error("{0} is not looked up by this app: declare it with .lookup(…)")]
    NotLookedUp(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The volume has no space left. Nothing is damaged, and nothing is lost: it goes on from the
    /// changelog.
    #[error(
        "{}: no space left for the table's store {}: enlarge the volume",
        Code::StoreFull,
        path.display()
    )]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// Another process, or another loop of this one, holds the store.
    #[error(
        "{}: the table's store {} is held by another instance",
        Code::StoreBusy,
        path.display()
    )]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// What lies there cannot be used.
    #[error(
        "{}: the table's store {} cannot be used: {why}",
        Code::StoreUnusable,
        path.display()
    )]
    Unusable {
        /// The store.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The system or LMDB refuses.
    #[error("{}: the table's store {}: {error}", Code::StoreFailed, path.display())]
    Failed {
        /// The store.
        path: PathBuf,
        /// Why.
        error: heed::Error,
    },
}

impl StoreError {
    /// Sorts an error of LMDB.
    pub fn of(path: &Path, error: heed::Error) -> Self {
        let path = path.to_owned();
        let full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        let damaged = |error: &heed::MdbError| {
            use heed::MdbError as M;
            matches!(
                error,
                M::Corrupted | M::Invalid | M::VersionMismatch | M::PageNotFound | M::Panic
            )
        };
        match error {
            heed::Error::Io(io) if full(&io) || is_short_write(&path, &io) => Self::Full { path },
            heed::Error::Mdb(mdb) if damaged(&mdb) => Self::Unusable { path, why: mdb.to_string() },
            heed::Error::EnvAlreadyOpened => Self::Busy { path },
            error => Self::Failed { path, error },
        }
    }

    /// Names what the system refused at a path.
    pub fn io(path: &Path, error: io::Error) -> Self {
        Self::of(path, heed::Error::Io(error))
    }
}

/// LMDB calls a write that was cut short by a full volume an input/output error, as it does a
/// broken disk; the space that is left tells the two apart.
fn is_short_write(path: &Path, error: &io::Error) -> bool {
    // More than LMDB writes at once: 64 pages (MDB_COMMIT_PAGES in mdb.c).
    const LEFT: u64 = 1 << 20;
    let input_output = rustix::io::Errno::IO.raw_os_error();
    error.raw_os_error() == Some(input_output)
        && rustix::fs::statvfs(path).is_ok_and(|volume| volume.f_bavail * volume.f_frsize < LEFT)
}
