//! Tables from outside: what a changelog says, read and written apart from the product.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nubium_table_store::Store;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use crate::ledger::{KEY_SCHEMA, Ledger};
use crate::reader::read_all;
use crate::registry::RegistryClient;
use crate::topics;
use crate::wire::{Reader, Writer};

const DEADLINE: Duration = Duration::from_secs(60);

/// The rows of a table by partition and key, as JSON text.
pub type Rows = BTreeMap<(i32, String), String>;

/// Reads what a changelog says: the last text of every key, deletes left out.
///
/// # Errors
/// The cluster does not answer, or a record is none of a table app.
pub fn changelog_rows(bootstrap: &str, changelog: &str) -> Result<Rows> {
    let mut rows = Rows::new();
    for record in read_all(bootstrap, &[changelog])? {
        let text = |bytes: &[u8]| -> Result<String> {
            let (_, mut reader) = Reader::framed(bytes)?;
            let text = reader.string()?.to_owned();
            reader.end()?;
            Ok(text)
        };
        let key = text(record.key.as_deref().context("a record without a key")?)?;
        let at = (record.partition.number, key);
        match record.value.as_deref().map(text).transpose()? {
            Some(text) if !text.contains("-DELETED-") => rows.insert(at, text),
            _ => rows.remove(&at),
        };
    }
    Ok(rows)
}

/// Reads the stores of an app under a table path.
///
/// # Errors
/// One of them cannot be read.
pub fn store_rows(path: &Path, app: &str, changelog: &str, partitions: i32) -> Result<Rows> {
    let mut rows = Rows::new();
    for partition in 0..partitions {
        let store = Store::open_read_only(path.join(app).join(format!("{changelog}-{partition}")))?;
        store.walk("", None, |row| {
            rows.insert((partition, row.key), row.text);
            true
        })?;
    }
    Ok(rows)
}

/// Computes what the table of the app under test must hold: count and sum of every key's inputs.
pub fn expected_rows(ledger: &Ledger) -> BTreeMap<(i32, String), Value> {
    let mut sums: BTreeMap<(i32, String), (i64, i64)> = BTreeMap::new();
    for (partition, inputs) in ledger.rows() {
        for input in inputs {
            let at = (partition.number, input.key.clone());
            let (count, sum) = sums.entry(at).or_default();
            (*count, *sum) = (*count + 1, *sum + input.seq);
        }
    }
    let entry = |(count, sum)| json!({ "count": count, "sum": sum });
    sums.into_iter().map(|(at, sums)| (at, entry(sums))).collect()
}

/// Checks a table row by row: against the inputs, and one reading of it against another.
///
/// # Errors
/// A row differs: names the first.
pub fn compare(ledger: &Ledger, changelog: &Rows, stores: &Rows) -> Result<()> {
    let expected = expected_rows(ledger);
    for (at, entry) in &expected {
        let text = changelog.get(at).with_context(|| format!("{at:?} is not in the changelog"))?;
        let found: Value = serde_json::from_str(text)?;
        ensure!(found == *entry, "the changelog has {found} for {at:?}, and it should be {entry}");
    }
    ensure!(changelog.len() == expected.len(), "the changelog has rows that no input has");
    for (at, text) in changelog {
        let found = stores.get(at).with_context(|| format!("{at:?} is not in a store"))?;
        ensure!(found == text, "a store has {found} for {at:?}, the changelog has {text}");
    }
    ensure!(stores.len() == changelog.len(), "a store has rows that the changelog has not");
    Ok(())
}

/// Writes a changelog as nubium-utils does, in transactions: keys and values Avro strings framed
/// with registered ids, deletes as `-DELETED-`.
pub struct OriginalWriter {
    producer: BaseProducer,
    topic: String,
    key_schema: u32,
    value_schema: u32,
}

impl OriginalWriter {
    /// Registers the schemas that the Python clients register.
    ///
    /// # Errors
    /// Registry or broker refuse.
    pub fn new(bootstrap: &str, registry: &str, topic: &str) -> Result<Self> {
        let registry = RegistryClient::new(registry)?;
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("transactional.id", topics::unique("original"))
            .create()?;
        producer.init_transactions(DEADLINE)?;
        Ok(Self {
            producer,
            topic: topic.to_owned(),
            key_schema: registry.register(&format!("{topic}-key"), KEY_SCHEMA)?,
            value_schema: registry.register(&format!("{topic}-value"), KEY_SCHEMA)?,
        })
    }

    /// Frames keys with another schema id from now on.
    pub fn frame_keys_with(&mut self, schema: u32) {
        self.key_schema = schema;
    }

    /// Writes rows in one transaction that ends as told: partition, key, text, `None` a delete.
    ///
    /// # Errors
    /// The broker refuses.
    pub fn write(&self, rows: &[(i32, &str, Option<&str>)], commit: bool) -> Result<()> {
        self.begin(rows)?;
        self.end(commit)
    }

    /// Begins a transaction, writes rows in it, and leaves it open.
    ///
    /// # Errors
    /// The broker refuses.
    #[expect(clippy::disallowed_methods, reason = "the test's own producer, and in no hurry")]
    pub fn begin(&self, rows: &[(i32, &str, Option<&str>)]) -> Result<()> {
        self.producer.begin_transaction()?;
        for (partition, key, text) in rows {
            let key = Writer::framed(self.key_schema).string(key).finish();
            let value = Writer::framed(self.value_schema);
            let value = value.string(text.unwrap_or("-DELETED-")).finish();
            let record =
                BaseRecord::to(&self.topic).partition(*partition).key(&key).payload(&value);
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        Ok(self.producer.flush(DEADLINE)?)
    }

    /// Ends the transaction that is open.
    ///
    /// # Errors
    /// The broker refuses.
    #[expect(clippy::disallowed_methods, reason = "the test's own producer, and in no hurry")]
    pub fn end(&self, commit: bool) -> Result<()> {
        if commit {
            self.producer.commit_transaction(DEADLINE)?;
        } else {
            self.producer.abort_transaction(DEADLINE)?;
        }
        Ok(())
    }
}
