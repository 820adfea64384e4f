//! The two calls of LMDB that heed leaves to the caller's care: a mapped file is only as good as
//! what happens to the file.
#![allow(unsafe_code)]

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};
use std::path::Path;

/// Readers at a time: threads of the process and off-line tools.
const READERS: u32 = 256;

/// How an environment is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LmdbMode {
    /// To write. Nothing is synced by itself: see [`Env::force_sync`].
    Write {
        /// The most it may hold for now, in bytes, a multiple of the page size.
        map_size: usize,
    },
    /// To read alone.
    Read,
}

/// Opens the environment in a directory.
///
/// # Errors
/// It is damaged, of another format, open in this process already, or the system refuses.
pub(crate) fn open_lmdb(path: &Path, mode: LmdbMode) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.max_dbs(2).max_readers(READERS);
    let flags = match mode {
        LmdbMode::Write { map_size } => {
            options.map_size(map_size);
            EnvFlags::NO_SYNC
        }
        LmdbMode::Read => EnvFlags::READ_ONLY,
    };
    // SAFETY: the file is mapped, so nobody may change it but LMDB. The store's owner lock keeps
    // other writers out, and a file that was cut short is made whole before it is opened. NO_SYNC
    // may damage the file when the machine goes down; a store from before that is never opened.
    unsafe { options.flags(flags).open(path) }
}

/// Lets an environment hold more.
///
/// # Errors
/// The address space is used up.
///
/// # Panics
/// A transaction of the caller's is open: the caller keeps all of them out by a lock of its own.
pub(crate) fn resize_lmdb(env: &Env<WithoutTls>, size: usize) -> heed::Result<()> {
    // SAFETY: no transaction is open in this process, by the contract above. Those of other
    // processes are no matter: the map is this process's.
    unsafe { env.resize(size) }
}
