//! The table entry of the message at hand, and look-ups in other tables.

use super::Transaction;
use crate::error::MessageError;
use nubium_kafka::headers::GUID;
use nubium_table_store::{
    Entry, Framing, Shared, StoreError, TableError, Write, is_expired, key_text, now_millis,
    read_json, store_key, write_json,
};
use nubium_topic::{Topic, TopicPartition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What a table app's transactions work with.
pub(crate) struct TableDesk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) changelog: Topic,
    pub(crate) framing: Framing,
    pub(crate) ttl: Option<Duration>,
    /// The header `last_updated_by` of changelog records.
    pub(crate) app: String,
}

impl Transaction<'_> {
    /// Reads the table entry of the consumed message's key; `None` where there is none. Sees what
    /// earlier messages wrote, committed or not.
    ///
    /// # Errors
    /// The app has no table, the message has no key, or the entry does not fit `T`.
    pub fn read_table_entry<T: DeserializeOwned>(&self) -> anyhow::Result<Option<T>> {
        Ok(self.with_entry(|text, _| read_json(text))?.transpose().map_err(|error| {
            let key = self.table_key().unwrap_or_default().into_owned();
            TableError::Decode { key, error }
        })?)
    }

    /// Reads the same entry as text with the time it was written.
    ///
    /// # Errors
    /// The app has no table, or the message has no key.
    pub fn table_entry(&self) -> anyhow::Result<Option<Entry>> {
        let partition = self.message().partition();
        let key = self.table_key()?.into_owned();
        self.with_entry(|text, timestamp| Entry {
            key,
            value: text.to_owned(),
            timestamp,
            partition,
        })
    }

    /// Writes the table entry of the consumed message's key. It is committed with everything else
    /// that the message produces, or not at all.
    ///
    /// The value is kept as JSON text; a string is kept bare, as nubium-utils does.
    ///
    /// # Errors
    /// The app has no table, the message has no key, the value is no JSON, or it is too large.
    pub fn update_table_entry<T: Serialize + ?Sized>(&self, value: &T) -> anyhow::Result<()> {
        let text = write_json(value)?;
        self.check_open()?;
        let (key, limit) = (self.table_key()?, self.bench.record_limit);
        let size = key.len() + text.len() + super::RECORD_OVERHEAD;
        if size > limit {
            let topic = self.desk()?.changelog.name().to_owned();
            return Err(MessageError::RecordTooLarge { topic, size, limit }.into());
        }
        Ok(self.put_entry(&key, Some(text))?)
    }

    /// Deletes the table entry of the consumed message's key; no matter if there is none.
    ///
    /// # Errors
    /// The app has no table, or the message has no key.
    pub fn delete_table_entry(&self) -> anyhow::Result<()> {
        self.check_open()?;
        Ok(self.put_entry(&self.table_key()?, None)?)
    }

    /// Reads an entry of another app's table that was declared with
    /// [`App::lookup`](crate::app::App::lookup): as it was a moment ago.
    ///
    /// # Errors
    /// The changelog is not declared, or the entry does not fit `T`.
    pub fn look_up<T: DeserializeOwned>(
        &self,
        changelog: &str,
        key: &str,
    ) -> anyhow::Result<Option<T>> {
        let shared = self.bench.lookups.as_ref();
        let stores = shared.map(|shared| shared.stores(changelog)).unwrap_or_default();
        if stores.is_empty() {
            return Err(TableError::NotLookedUp(changelog.to_owned()).into());
        }
        let store_key = store_key(key);
        for (_, _, store) in stores {
            if let Some(read) = store.view(&store_key, |row| read_json(row.text)).map_err(table)? {
                let decode = |error| TableError::Decode { key: key.to_owned(), error };
                return Ok(Some(read.map_err(decode)?));
            }
        }
        Ok(None)
    }

    fn desk(&self) -> Result<&TableDesk, TableError> {
        self.bench.table.as_ref().ok_or(TableError::NoTable)
    }

    /// The text of the message's key in the table, whatever its bytes are.
    fn table_key(&self) -> Result<Cow<'_, str>, TableError> {
        self.desk()?;
        let bytes = self.message().key_bytes().ok_or(TableError::NoKey)?;
        Ok(key_text(bytes).0)
    }

    fn with_entry<R>(&self, look: impl FnOnce(&str, i64) -> R) -> anyhow::Result<Option<R>> {
        let (desk, key) = (self.desk()?, self.table_key()?);
        let at = TopicPartition { topic: desk.changelog, partition: self.message().partition() };
        let expired =
            |timestamp| desk.ttl.is_some() && is_expired(timestamp, desk.ttl, now_millis());
        let own = self.part.map(|part| (part.outbox.borrow(), part.before.borrow()));
        let own = own.as_ref().and_then(|(outbox, before)| {
            outbox.table().get(at.partition, &key).or(before.as_ref())
        });
        let outbox = self.bench.outbox.borrow();
        if let Some(write) = own.or_else(|| outbox.table().get(at.partition, &key)) {
            let text = write.text.as_deref().filter(|_| !expired(write.timestamp));
            return Ok(text.map(|text| look(text, write.timestamp)));
        }
        let mut store_key_buffer = self.bench.key_buffer.borrow_mut();
        store_key_buffer.clear();
        nubium_table_store::put_store_key(&key, &mut store_key_buffer);
        let read = desk.shared.with_ready(at, |store| {
            store.view(&store_key_buffer, |row| {
                (!expired(row.timestamp)).then(|| look(row.text, row.timestamp))
            })
        })?;
        Ok(read.flatten())
    }

    fn put_entry(&self, key: &str, text: Option<String>) -> Result<(), TableError> {
        let desk = self.desk()?;
        let at = TopicPartition { topic: desk.changelog, partition: self.message().partition() };
        if let Some(bytes) = self.message().key_bytes() {
            desk.shared.note_spelling(key_text(bytes).1);
        }
        let old_key_id = desk.old_key_id(at, key)?;
        let message = self.messages.first();
        let guid = message.last_header(GUID).flatten().unwrap_or_default().into();
        let source = Some(message.place());
        let write = Write { text, timestamp: now_millis(), old_key_id, source, guid };
        self.outbox.borrow_mut().table_mut().put(at.partition, key, write);
        Ok(())
    }
}

impl TableDesk {
    /// The schema id of an entry's changelog key, where it is not ours: written by an app that
    /// spells its key schema otherwise.
    fn old_key_id(&self, at: TopicPartition, key: &str) -> Result<Option<u32>, TableError> {
        self.shared.with_ready(at, |store| {
            if !store.has_foreign_keys() {
                return Ok(None);
            }
            let id = store.view(&store_key(key), |row| row.key_id)?;
            Ok(id.filter(|id| *id != self.framing.key.0))
        })
    }
}

fn table(error: StoreError) -> TableError {
    error.into()
}
