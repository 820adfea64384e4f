//! Changes to a store.

use super::error::StoreError;
use super::store::{FORMAT, Identity, Store};
use crate::lmdb::resize_lmdb;
use heed::{PutFlags, RwTxn};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl Store {
    /// Makes a new store of it that belongs to `identity`.
    pub(super) fn claim(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.update(|edit| {
            edit.write_meta("format", &i64::from(FORMAT).to_le_bytes())?;
            edit.write_meta("app", identity.app.as_bytes())?;
            edit.write_meta("topic", identity.topic.as_bytes())?;
            edit.write_meta("topic_id", identity.topic_id.as_bytes())?;
            edit.write_meta("partition", &i64::from(identity.partition).to_le_bytes())
        })?;
        self.identity = identity.clone();
        Ok(())
    }

    /// Drops all rows: the store begins anew.
    pub fn clear(&self, identity: &Identity) -> Result<(), StoreError> {
        self.update(|edit| {
            self.data.clear(&mut edit.txn)?;
            edit.write_meta("topic_id", identity.topic_id.as_bytes())?;
            edit.position(0, super::now_millis())
        })
    }

    /// Changes rows and position in one LMDB transaction. `change` may be called again, when the
    /// map has to grow first; it sees none of what it did before.
    pub fn update(
        &self,
        mut change: impl FnMut(&mut Edit<'_>) -> heed::Result<()>,
    ) -> Result<(), StoreError> {
        loop {
            match self.try_update(&mut change) {
                Ok(()) => return Ok(()),
                Err(heed::Error::Mdb(heed::MdbError::MapFull)) => self.grow()?,
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn try_update(
        &self,
        change: &mut impl FnMut(&mut Edit<'_>) -> heed::Result<()>,
    ) -> heed::Result<()> {
        let _gate = self.shared();
        let mut edit =
            Edit { txn: self.env.write_txn()?, store: self, position: None, foreign: false };
        change(&mut edit)?;
        let Edit { txn, position, foreign, .. } = edit;
        txn.commit()?;
        if let Some(position) = position {
            self.position.store(position, Ordering::Release);
        }
        if foreign {
            self.foreign.store(true, Ordering::Relaxed);
        }
        self.fill_file()
    }

    /// Makes the file as long as LMDB's own book says. LMDB leaves out free pages at the end; then
    /// a file that was cut short could not be told from a good one.
    fn fill_file(&self) -> heed::Result<()> {
        let page_size = u64::from(self.env.unnamed_database_stat().page_size);
        let needed = (self.env.info().last_page_number as u64 + 1) * page_size;
        if self.env.real_disk_size()? < needed {
            let file = std::fs::File::options().write(true).open(self.path.join("data.mdb"))?;
            // Never shorter: only this thread writes.
            if file.metadata()?.len() < needed {
                file.set_len(needed)?;
            }
        }
        Ok(())
    }

    fn grow(&self) -> Result<(), StoreError> {
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let size = self.env.info().map_size.saturating_mul(2);
        tracing::info!(store = %self.path.display(), size, "The store's map grows.");
        resize_lmdb(&self.env, size).map_err(|error| self.failed(error))
    }
}

/// An LMDB transaction that changes a store.
pub struct Edit<'s> {
    txn: RwTxn<'s>,
    store: &'s Store,
    position: Option<i64>,
    foreign: bool,
}

impl Edit<'_> {
    /// Writes a row.
    pub fn put(&mut self, store_key: &[u8], row: &[u8]) -> heed::Result<()> {
        self.store.data.put(&mut self.txn, store_key, row)
    }

    /// Writes a row whose key comes behind all others; many times as fast.
    pub fn append(&mut self, store_key: &[u8], row: &[u8]) -> heed::Result<()> {
        self.store.data.put_with_flags(&mut self.txn, PutFlags::APPEND, store_key, row)
    }

    /// Deletes a row, if it is there.
    pub fn delete(&mut self, store_key: &[u8]) -> heed::Result<()> {
        self.store.data.delete(&mut self.txn, store_key).map(drop)
    }

    /// Says whether there is no row.
    pub fn is_empty(&self) -> heed::Result<bool> {
        self.store.data.is_empty(&self.txn)
    }

    /// Sets the changelog offset up to which everything is in the store.
    pub fn position(&mut self, position: i64, now: i64) -> heed::Result<()> {
        self.position = Some(position);
        self.write_meta("saved", &now.to_le_bytes())?;
        self.write_meta("position", &position.to_le_bytes())
    }

    /// Remembers that the changelog has keys framed with another schema id.
    pub fn foreign_keys(&mut self) -> heed::Result<()> {
        self.foreign = true;
        self.write_meta("foreign", &1_i64.to_le_bytes())
    }

    pub(super) fn write_meta(&mut self, name: &str, value: &[u8]) -> heed::Result<()> {
        self.store.meta.put(&mut self.txn, name.as_bytes(), value)
    }
}
