//! One partition's rows on disk: an LMDB environment with the data and the changelog position.
//!
//! Data and position change in one LMDB transaction, so a killed process finds both as they were
//! after some commit. Nothing is synced on the way: see [`super::place`] for what follows when the
//! machine went down.

use super::error::StoreError;
use super::place::Owner;
use super::row::{self, Row};
use crate::lmdb::{LmdbMode, open_lmdb};
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, RoTxn, WithoutTls};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// The format of what is written here; a store of a later one is not opened.
pub(super) const FORMAT: u32 = 1;
/// How much a store may hold before its map grows, in bytes. Address space, not memory or disk.
pub(crate) const MAP_SIZE: usize = 1 << 30;

pub(super) type Bytewise = Database<'static, Bytes, Bytes>;

/// Whose rows a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The app.
    pub app: String,
    /// The changelog.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The id that the cluster gave the changelog when it was made; empty where it is not known.
    pub topic_id: String,
}

/// A store that is open.
pub struct Store {
    // Before the lock: the environment is closed when another may open it.
    pub(super) env: Env<WithoutTls>,
    pub(super) data: Bytewise,
    pub(super) meta: Bytewise,
    /// Held for reading by every transaction, for writing while the map grows.
    pub(super) gate: RwLock<()>,
    pub(super) position: AtomicI64,
    pub(super) foreign: AtomicBool,
    pub(super) identity: Identity,
    pub(super) path: PathBuf,
    pub(super) owner: Option<Owner>,
}

/// A row as it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// The key's text.
    pub key: String,
    /// The value: JSON text.
    pub text: String,
    /// Milliseconds since the epoch, of the changelog record.
    pub timestamp: i64,
}

/// What a look at some rows has found.
#[derive(Debug)]
pub struct Looked {
    /// The last key that was looked at; none where it came to the end.
    pub last: Option<Vec<u8>>,
    /// The earliest time of a row that was not taken, in milliseconds since the epoch.
    pub oldest: i64,
}

impl Store {
    /// Opens a store to look at it, beside the app that owns it or without one.
    ///
    /// # Errors
    /// There is none, it is damaged, or of a later format.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        if !path.join("data.mdb").is_file() {
            return Err(StoreError::Unusable {
                path: path.into(),
                why: "no data.mdb there".into(),
            });
        }
        if let Some(why) = super::place::damage(path).map_err(|e| StoreError::io(path, e))? {
            return Err(StoreError::Unusable { path: path.into(), why });
        }
        let env = open_lmdb(path, LmdbMode::Read).map_err(|e| StoreError::of(path, e))?;
        let databases = || {
            let txn = env.read_txn()?;
            env.open_databases_and_commit(txn, |opener, txn| {
                let data = opener.open_database::<Bytes, Bytes>(txn, Some("data"))?;
                let meta = opener.open_database::<Bytes, Bytes>(txn, Some("meta"))?;
                Ok::<_, heed::Error>(match data.zip(meta) {
                    Some(both) => CommitOrAbort::Commit(both),
                    None => CommitOrAbort::Abort(()),
                })
            })
        };
        let opened = databases().map_err(|error| StoreError::of(path, error))?.commit();
        let Some((data, meta)) = opened else {
            let why = "it is an LMDB file, but no table".into();
            return Err(StoreError::Unusable { path: path.into(), why });
        };
        Self::with(env, data, meta, path, None)
    }

    /// Opens or makes a store to write it.
    pub(super) fn open(path: &Path, map_size: usize, owner: Owner) -> Result<Self, StoreError> {
        let env = open_lmdb(path, LmdbMode::Write { map_size });
        let env = env.map_err(|error| StoreError::of(path, error))?;
        let databases = || {
            let txn = env.write_txn()?;
            env.create_databases_and_commit(txn, |opener, txn| {
                let data = opener.create_database::<Bytes, Bytes>(txn, Some("data"))?;
                let meta = opener.create_database::<Bytes, Bytes>(txn, Some("meta"))?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit((data, meta)))
            })
        };
        let (data, meta) =
            databases().map_err(|error| StoreError::of(path, error))?.unwrap_commit();
        Self::with(env, data, meta, path, Some(owner))
    }

    fn with(
        env: Env<WithoutTls>,
        data: Bytewise,
        meta: Bytewise,
        path: &Path,
        owner: Option<Owner>,
    ) -> Result<Self, StoreError> {
        let mut store = Self {
            env,
            data,
            meta,
            gate: RwLock::new(()),
            position: AtomicI64::new(0),
            foreign: AtomicBool::new(false),
            identity: Identity::default(),
            path: path.to_owned(),
            owner,
        };
        store.read_meta()?;
        Ok(store)
    }

    fn read_meta(&mut self) -> Result<(), StoreError> {
        let read = |name: &str| -> Result<Option<Vec<u8>>, StoreError> {
            let txn = self.env.read_txn().map_err(|error| self.failed(error))?;
            let found = self.meta.get(&txn, name.as_bytes()).map_err(|error| self.failed(error))?;
            Ok(found.map(<[u8]>::to_vec))
        };
        let text = |name: &str| -> Result<String, StoreError> {
            Ok(read(name)?.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default())
        };
        let number = |name: &str| -> Result<Option<i64>, StoreError> {
            Ok(read(name)?.and_then(|b| b.try_into().ok()).map(i64::from_le_bytes))
        };
        let format = number("format")?;
        if let Some(format) = format.filter(|format| *format > i64::from(FORMAT)) {
            let why = format!("its format is {format}, and this version knows {FORMAT} at most");
            return Err(StoreError::Unusable { path: self.path.clone(), why });
        }
        let identity = Identity {
            app: text("app")?,
            topic: text("topic")?,
            partition: number("partition")?.and_then(|p| i32::try_from(p).ok()).unwrap_or(-1),
            topic_id: text("topic_id")?,
        };
        let (position, foreign) = (number("position")?, number("foreign")?);
        self.identity = identity;
        *self.position.get_mut() = position.unwrap_or(0);
        *self.foreign.get_mut() = foreign.unwrap_or(0) != 0;
        Ok(())
    }

    /// Whose rows it holds; without a topic while it is new.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The changelog offset up to which every committed record is in it; more may be.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position.load(Ordering::Acquire)
    }

    /// When the position was written last, in milliseconds since the epoch.
    ///
    /// # Errors
    /// LMDB fails.
    pub fn saved_at(&self) -> Result<Option<i64>, StoreError> {
        self.reading(|txn| {
            let found = self.meta.get(txn, b"saved")?;
            Ok(found.and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes))
        })
    }

    /// Whether changelog keys were seen that are framed with another schema id than ours.
    pub fn has_foreign_keys(&self) -> bool {
        self.foreign.load(Ordering::Relaxed)
    }

    /// How many rows it holds.
    ///
    /// # Errors
    /// LMDB fails.
    pub fn rows(&self) -> Result<u64, StoreError> {
        self.reading(|txn| self.data.len(txn))
    }

    /// How many bytes its file takes.
    ///
    /// # Errors
    /// The system refuses.
    pub fn size(&self) -> Result<u64, StoreError> {
        self.env.real_disk_size().map_err(|error| self.failed(error))
    }

    /// Reads the row of a key.
    ///
    /// # Errors
    /// LMDB fails, or the row is damaged.
    pub fn get(&self, key: &str) -> Result<Option<StoredRow>, StoreError> {
        let store_key = row::key(key);
        self.view(&store_key, |row| StoredRow {
            key: key.to_owned(),
            text: row.text.to_owned(),
            timestamp: row.timestamp,
        })
    }

    /// Lets `look` see a row without a copy.
    pub fn view<R>(
        &self,
        store_key: &[u8],
        look: impl FnOnce(Row<'_>) -> R,
    ) -> Result<Option<R>, StoreError> {
        self.reading(|txn| {
            let Some(bytes) = self.data.get(txn, store_key)? else { return Ok(None) };
            let row = row::read(bytes).ok_or(heed::Error::Mdb(heed::MdbError::Corrupted))?;
            Ok(Some(look(row)))
        })
    }

    /// Walks over rows in the order of their keys, from the first with this prefix that comes
    /// behind `after`; `each` says whether to go on.
    ///
    /// # Errors
    /// LMDB fails, or a row is damaged.
    pub fn walk(
        &self,
        prefix: &str,
        after: Option<&str>,
        mut each: impl FnMut(StoredRow) -> bool,
    ) -> Result<(), StoreError> {
        let (start, after) = (row::key_prefix(prefix), after.map(row::key));
        let from = match &after {
            Some(after) if *after >= start => Bound::Excluded(after.as_slice()),
            _ => Bound::Included(start.as_slice()),
        };
        self.reading(|txn| {
            for found in self.data.range(txn, &(from, Bound::<&[u8]>::Unbounded))? {
                let (store_key, bytes) = found?;
                if !store_key.starts_with(&start) {
                    break;
                }
                let row = row::read(bytes);
                let read = row.and_then(|row| Some((row::key_text(store_key, &row)?, row)));
                let (key, row) = read.ok_or(heed::Error::Mdb(heed::MdbError::Corrupted))?;
                let (key, text) = (key.to_owned(), row.text.to_owned());
                let fits = key.starts_with(prefix);
                if fits && !each(StoredRow { key, text, timestamp: row.timestamp }) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Finds the keys of rows written before `before`, with their schema ids, among up to `limit`
    /// rows behind `after`; `take` says whether it has taken one.
    ///
    /// # Errors
    /// LMDB fails, or a row is damaged.
    pub fn written_before(
        &self,
        before: i64,
        after: Option<&[u8]>,
        limit: usize,
        mut take: impl FnMut(&str, u32) -> bool,
    ) -> Result<Looked, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.reading(|txn| {
            let mut looked = Looked { last: None, oldest: i64::MAX };
            let rows = self.data.range(txn, &(from, Bound::<&[u8]>::Unbounded))?;
            for (count, entry) in rows.take(limit).enumerate() {
                let (store_key, bytes) = entry?;
                let row = row::read(bytes);
                let read = row.and_then(|row| Some((row::key_text(store_key, &row)?, row)));
                let (key, row) = read.ok_or(heed::Error::Mdb(heed::MdbError::Corrupted))?;
                if row.timestamp >= before || !take(key, row.key_id) {
                    looked.oldest = looked.oldest.min(row.timestamp);
                }
                if count + 1 == limit {
                    looked.last = Some(store_key.to_vec());
                }
            }
            Ok(looked)
        })
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// The system refuses.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.env.force_sync().map_err(|error| self.failed(error))
    }

    /// Says that the store is whole even if the machine goes down from now on: nothing may be
    /// written after it.
    pub fn seal(&self) -> Result<(), StoreError> {
        self.sync()?;
        match &self.owner {
            Some(owner) => owner.seal().map_err(|error| StoreError::io(&self.path, error)),
            None => Ok(()),
        }
    }

    pub(super) fn shared(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading<R>(
        &self,
        read: impl FnOnce(&RoTxn<'_, WithoutTls>) -> heed::Result<R>,
    ) -> Result<R, StoreError> {
        let _gate = self.shared();
        let read = self.env.read_txn().and_then(|txn| read(&txn));
        read.map_err(|error| self.failed(error))
    }

    pub(super) fn failed(&self, error: heed::Error) -> StoreError {
        StoreError::of(&self.path, error)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let position = self.position();
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("position", &position)
            .finish_non_exhaustive()
    }
}
