//! Writes uniquely numbered inputs and remembers every one: the left side of the checker's sum.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::registry::RegistryClient;
use crate::topics;
use crate::wait::{Look, eventually};
use crate::wire::Writer;

mod transactions;

pub use transactions::Ending;

/// The schema of the inputs, as [`Ledger`] writes them.
pub const INPUT_SCHEMA: &str = r#"{"type":"record","name":"LedgerInput","fields":[
    {"name":"seq","type":"long"},{"name":"key","type":"string"},
    {"name":"fate","type":"string"},{"name":"filler","type":"string"}]}"#;

/// A later version of it, which readers of the first can read.
const EVOLVED_SCHEMA: &str = r#"{"type":"record","name":"LedgerInput","fields":[
    {"name":"seq","type":"long"},{"name":"key","type":"string"},
    {"name":"fate","type":"string"},{"name":"filler","type":"string"},
    {"name":"version","type":"long","default":0}]}"#;

/// The schema of the copies that the app under test makes.
pub const OUTPUT_SCHEMA: &str = r#"{"type":"record","name":"LedgerOutput","fields":[
    {"name":"source_topic","type":"string"},{"name":"source_partition","type":"int"},
    {"name":"source_offset","type":"long"},{"name":"seq","type":"long"}]}"#;

/// The schema of every key, in the spelling that Python clients register.
pub const KEY_SCHEMA: &str = r#"{"type":"string"}"#;

const FILLER: &str = "................................................................";
const FLUSH_DEADLINE: Duration = Duration::from_secs(120);

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub number: i32,
}

impl Partition {
    /// Names a partition.
    pub fn new(topic: &str, number: i32) -> Self {
        Self { topic: topic.to_owned(), number }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.number)
    }
}

/// What the app under test is to do with an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Copy it to the output.
    Copy,
    /// Produce nothing for it.
    Drop,
    /// Copy it, with one header overridden, one added and one dropped.
    Headers,
    /// Send it to be retried, every time.
    Retry,
    /// Send it to the failure topic.
    Failure,
}

impl Fate {
    /// Says whether the output holds a record for it.
    pub fn is_copied(self) -> bool {
        matches!(self, Self::Copy | Self::Headers)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Drop => "drop",
            Self::Headers => "headers",
            Self::Retry => "retry",
            Self::Failure => "failure",
        }
    }
}

/// One input as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its offset.
    pub offset: i64,
    /// Its number, unique over the whole ledger.
    pub seq: i64,
    /// Its key; all inputs of one key are in one partition.
    pub key: String,
    /// What is to become of it.
    pub fate: Fate,
}

/// How a ledger is filled.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed of keys and fates.
    pub seed: u64,
    /// How many different keys there are.
    pub keys: u32,
    /// One in how many inputs is dropped by the app; 0 for none.
    pub drop_one_in: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: 1, keys: 5_000, drop_one_in: 0 }
    }
}

/// Every input of a test, by partition and in offset order.
pub struct Ledger {
    partitions: Vec<Partition>,
    rows: BTreeMap<Partition, Vec<Input>>,
    /// Where the logs end: rows, and in a transactional ledger what readers do not see.
    log_ends: BTreeMap<Partition, i64>,
    plan: Plan,
    rng: StdRng,
    next: i64,
    producer: BaseProducer,
    key_schema: u32,
    schemas: BTreeMap<String, u32>,
    evolved: bool,
}

impl Ledger {
    /// Prepares to write to empty topics, given by name and partition count.
    ///
    /// # Errors
    /// The registry refuses a schema, or the producer cannot be made.
    pub fn create(
        bootstrap: &str,
        registry: &str,
        topics: &[(&str, i32)],
        plan: Plan,
    ) -> Result<Self> {
        let registry = RegistryClient::new(registry)?;
        let mut schemas = BTreeMap::new();
        let mut partitions = Vec::new();
        let mut key_schema = 0;
        for (topic, count) in topics {
            key_schema = registry.register(&format!("{topic}-key"), KEY_SCHEMA)?;
            let schema = registry.register(&format!("{topic}-value"), INPUT_SCHEMA)?;
            schemas.insert((*topic).to_owned(), schema);
            partitions.extend((0..*count).map(|number| Partition::new(topic, number)));
        }
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "20")
            .create()?;
        let rng = StdRng::seed_from_u64(plan.seed);
        let rows = BTreeMap::new();
        Ok(Self {
            partitions,
            rows,
            log_ends: BTreeMap::new(),
            plan,
            rng,
            next: 0,
            producer,
            key_schema,
            schemas,
            evolved: false,
        })
    }

    /// Writes `count` more inputs, and returns once the broker has them all.
    ///
    /// # Errors
    /// The broker refuses one, or a topic holds records that are not the ledger's.
    pub fn write(&mut self, count: u32) -> Result<()> {
        for _ in 0..count {
            self.write_drawn()?;
        }
        self.flush()
    }

    /// Draws a key and a fate, and writes an input of them.
    fn write_drawn(&mut self) -> Result<()> {
        let key = self.rng.random_range(0..self.plan.keys);
        let drops =
            self.plan.drop_one_in > 0 && self.rng.random_range(0..self.plan.drop_one_in) == 0;
        let partition = self.partitions[key as usize % self.partitions.len()].clone();
        let fate = if drops { Fate::Drop } else { Fate::Copy };
        self.write_one(&partition, format!("key-{key}"), fate)
    }

    /// Writes one input of each fate to the partition, and returns once the broker has them.
    ///
    /// # Errors
    /// As [`Ledger::write`].
    pub fn write_fates(&mut self, partition: &Partition, fates: &[Fate]) -> Result<()> {
        for fate in fates {
            self.write_one(partition, format!("key-{}", self.next), *fate)?;
        }
        self.flush()
    }

    /// Writes an input of this key, and returns once the broker has it.
    ///
    /// # Errors
    /// As [`Ledger::write`].
    pub fn write_key(&mut self, partition: &Partition, key: &str, fate: Fate) -> Result<()> {
        self.write_one(partition, key.to_owned(), fate)?;
        self.flush()
    }

    /// Writes any bytes as an input that the app is to leave out of its output.
    ///
    /// # Errors
    /// As [`Ledger::write`].
    pub fn write_bytes(&mut self, partition: &Partition, value: &[u8]) -> Result<()> {
        let key = format!("key-{}", self.next);
        let framed_key = Writer::framed(self.key_schema).string(&key).finish();
        self.send(partition, &framed_key, value, Some(&format!("guid-{}", self.next)))?;
        self.remember(partition, key, Fate::Failure);
        self.flush()
    }

    /// Writes an input without a `guid`, which the app is to leave out of its output.
    ///
    /// # Errors
    /// As [`Ledger::write`].
    pub fn write_without_guid(&mut self, partition: &Partition) -> Result<()> {
        let key = format!("key-{}", self.next);
        let (framed_key, value) = self.framed(partition, &key, Fate::Copy);
        self.send(partition, &framed_key, &value, None)?;
        self.remember(partition, key, Fate::Failure);
        self.flush()
    }

    /// Writes from now on with a schema of more fields, which the registry has to be asked for.
    ///
    /// # Errors
    /// The registry refuses it.
    pub fn evolve(&mut self, registry: &str) -> Result<()> {
        let registry = RegistryClient::new(registry)?;
        for (topic, schema) in &mut self.schemas {
            *schema = registry.register(&format!("{topic}-value"), EVOLVED_SCHEMA)?;
        }
        self.evolved = true;
        Ok(())
    }

    /// Gives a topic more partitions, and writes to them, too, from now on. Keys stay where they
    /// are: only new ones go to the new partitions.
    ///
    /// # Errors
    /// The cluster refuses.
    pub fn grow(&mut self, bootstrap: &str, topic: &str, partitions: i32) -> Result<()> {
        let known = self.partitions.iter().filter(|known| known.topic == topic).count();
        topics::grow(bootstrap, topic, partitions)?;
        // The producer has to hear of them, too.
        eventually("the new partitions to be known", FLUSH_DEADLINE, || {
            let found = self.producer.client().fetch_metadata(Some(topic), FLUSH_DEADLINE);
            let found = found
                .map(|found| found.topics().iter().map(|t| t.partitions().len()).sum::<usize>());
            match found {
                Ok(count) if count == partitions as usize => Look::Ready(()),
                found => Look::NotYet(format!("{found:?}")),
            }
        })?;
        let new = i32::try_from(known)?..partitions;
        self.partitions.extend(new.map(|number| Partition::new(topic, number)));
        Ok(())
    }

    fn write_one(&mut self, partition: &Partition, key: String, fate: Fate) -> Result<()> {
        let (framed_key, value) = self.framed(partition, &key, fate);
        self.send(partition, &framed_key, &value, Some(&format!("guid-{}", self.next)))?;
        self.remember(partition, key, fate);
        Ok(())
    }

    /// Returns the bytes of the next input's key and value.
    fn framed(&self, partition: &Partition, key: &str, fate: Fate) -> (Vec<u8>, Vec<u8>) {
        let value = Writer::framed(self.schemas[&partition.topic])
            .long(self.next)
            .string(key)
            .string(fate.as_str())
            .string(FILLER);
        let value = if self.evolved { value.long(0) } else { value };
        (Writer::framed(self.key_schema).string(key).finish(), value.finish())
    }

    fn remember(&mut self, partition: &Partition, key: String, fate: Fate) {
        let (seq, end) = (self.next, self.log_ends.entry(partition.clone()).or_default());
        let offset = *end;
        (self.next, *end) = (seq + 1, offset + 1);
        self.rows.entry(partition.clone()).or_default().push(Input { offset, seq, key, fate });
    }

    fn send(&self, to: &Partition, key: &[u8], value: &[u8], guid: Option<&str>) -> Result<()> {
        loop {
            let headers = OwnedHeaders::new();
            let headers = match guid {
                Some(guid) => headers.insert(Header { key: "guid", value: Some(guid) }),
                None => headers,
            };
            let headers = headers
                .insert(Header { key: "last_updated_by", value: Some("ledger") })
                .insert(Header { key: "unwanted", value: Some("x") });
            let record = BaseRecord::to(&to.topic)
                .partition(to.number)
                .key(key)
                .payload(value)
                .headers(headers);
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => return Err(error).context("cannot write an input"),
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "not in a transaction, and in no hurry")]
    fn flush(&self) -> Result<()> {
        self.producer.flush(FLUSH_DEADLINE).context("the broker does not take the inputs")?;
        self.check_ends()
    }

    /// Checks that the logs end where this ledger's records do.
    fn check_ends(&self) -> Result<()> {
        for (partition, written) in &self.log_ends {
            // A transaction's last record, its marker, comes a moment after the commit.
            eventually(&format!("{partition} to end at {written}"), FLUSH_DEADLINE, || {
                let client = self.producer.client();
                let (topic, number) = (&partition.topic, partition.number);
                match client.fetch_watermarks(topic, number, Duration::from_secs(30)) {
                    Ok((_, end)) if end < *written => Look::NotYet(format!("it ends at {end}")),
                    ended => Look::Ready(ended),
                }
            })?
            .map_err(anyhow::Error::from)
            .and_then(|(_, end)| {
                ensure!(end == *written, "{partition} ends at {end}, {written} were written");
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The inputs by partition; offsets count from 0, without gaps unless it is transactional.
    pub fn rows(&self) -> &BTreeMap<Partition, Vec<Input>> {
        &self.rows
    }

    /// Every partition that inputs may be in, also the empty ones.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Leaves out the inputs before these offsets: the app is not to see them.
    pub fn forget_before(&mut self, starts: &BTreeMap<Partition, i64>) {
        for (partition, rows) in &mut self.rows {
            let start = starts.get(partition).copied().unwrap_or(0);
            rows.retain(|input| input.offset >= start);
        }
    }

    /// The offset after the last input of every partition that has one.
    pub fn ends(&self) -> BTreeMap<Partition, i64> {
        let end = |rows: &[Input]| rows.last().map_or(0, |last| last.offset + 1);
        self.rows.iter().map(|(partition, rows)| (partition.clone(), end(rows))).collect()
    }
}
