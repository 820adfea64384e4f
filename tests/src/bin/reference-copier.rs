//! Copies the ledger with plain rdkafka, right or with a planted bug: the harness's own test.
//!
//! It shows that the end-to-end tests pass for an app that is right, and fail for each of the
//! classic ways of getting it wrong (`LEDGER_MUTANT`). It is slow and simple on purpose.

#![expect(clippy::disallowed_methods, reason = "rdkafka as it is: slow, but right")]

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nubium_test_kit::registry::RegistryClient;
use nubium_test_kit::wire::{Reader, Writer};
use rand::Rng;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(20);
const BATCH: usize = 500;
const BATCH_AGE: Duration = Duration::from_millis(100);

/// Remembers that partitions went away, so that what was read of them is given up.
#[derive(Clone, Default)]
struct Rebalances(Arc<AtomicBool>);

impl ClientContext for Rebalances {}
impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) {
            self.0.store(true, Ordering::Release);
        }
    }
}

struct Copier {
    consumer: BaseConsumer<Rebalances>,
    producer: BaseProducer,
    rebalanced: Rebalances,
    output: String,
    schema: u32,
    mutant: String,
    fail_one_in: u32,
    batch: usize,
}

fn main() -> Result<()> {
    let copier = Copier::new()?;
    loop {
        copier.round()?;
    }
}

fn setting(name: &str) -> Result<String> {
    env::var(name).with_context(|| name.to_owned())
}

impl Copier {
    fn new() -> Result<Self> {
        let bootstrap = setting("LEDGER_BOOTSTRAP")?;
        let output = setting("LEDGER_OUTPUT")?;
        let mutant = env::var("LEDGER_MUTANT").unwrap_or_default();
        let registry = RegistryClient::new(&setting("LEDGER_REGISTRY")?)?;
        let schema =
            registry.register(&format!("{output}-value"), &setting("LEDGER_OUTPUT_SCHEMA")?)?;
        let mut id = setting("NU_HOSTNAME")?;
        if mutant == "random-transactional-id" {
            id = format!("{id}-{}", rand::random::<u64>());
        }
        let rebalanced = Rebalances::default();
        let consumer: BaseConsumer<Rebalances> = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap)
            .set("group.id", setting("NU_APP_NAME")?)
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1000")
            .create_with_context(rebalanced.clone())?;
        let timeout = setting("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS")?;
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap)
            .set("transactional.id", id)
            .set("transaction.timeout.ms", format!("{timeout}000"))
            .set("partitioner", "murmur2_random")
            .create()?;
        producer.init_transactions(TIMEOUT)?;
        let inputs = setting("LEDGER_INPUTS")?;
        consumer.subscribe(&inputs.split(',').collect::<Vec<_>>())?;
        let batch = env::var("LEDGER_BATCH").map_or(Ok(BATCH), |text| text.parse::<usize>())?;
        let fail_one_in =
            env::var("LEDGER_FAIL_ONE_IN").map_or(Ok(0), |text| text.parse::<u32>())?;
        Ok(Self { consumer, producer, rebalanced, output, schema, mutant, fail_one_in, batch })
    }

    fn is(&self, mutant: &str) -> bool {
        self.mutant == mutant
    }

    /// Reads a batch and copies it in one transaction.
    fn round(&self) -> Result<()> {
        let batch = self.read()?;
        let Some(batch) = batch.filter(|batch| !batch.is_empty()) else { return Ok(()) };
        self.producer.begin_transaction()?;
        let outcome = self.copy(&batch);
        match outcome {
            Ok(()) => Ok(self.producer.commit_transaction(TIMEOUT)?),
            Err(_) if self.is("swallowed-error") => {
                self.send_offsets(&batch)?;
                Ok(self.producer.commit_transaction(TIMEOUT)?)
            }
            Err(_) => {
                self.producer.flush(TIMEOUT)?;
                self.producer.abort_transaction(TIMEOUT)?;
                if self.is("no-rewind") { Ok(()) } else { self.rewind(&batch) }
            }
        }
    }

    fn read(&self) -> Result<Option<Vec<OwnedMessage>>> {
        let (start, mut batch) = (Instant::now(), Vec::new());
        while batch.len() < self.batch && start.elapsed() < BATCH_AGE {
            match self.consumer.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => batch.push(message.detach()),
                Some(Err(KafkaError::MessageConsumption(code))) => bail!("cannot read: {code}"),
                Some(Err(error)) => return Err(error.into()),
                None => {}
            }
            if self.rebalanced.0.swap(false, Ordering::AcqRel) && !self.is("keeps-revoked") {
                self.rewind(&batch)?;
                return Ok(None);
            }
        }
        Ok(Some(batch))
    }

    fn copy(&self, batch: &[OwnedMessage]) -> Result<()> {
        for message in batch {
            if self.fail_one_in > 0 && rand::rng().random_range(0..self.fail_one_in) == 0 {
                bail!("the function fails, as it was told");
            }
            let (_, mut input) = Reader::framed(message.payload().context("no value")?)?;
            let (seq, _, fate) = (input.long()?, input.string()?, input.string()?);
            if fate == "drop" {
                continue;
            }
            let value = Writer::framed(self.schema)
                .string(message.topic())
                .long(message.partition().into())
                .long(message.offset())
                .long(seq)
                .finish();
            let record =
                BaseRecord::to(&self.output).key(message.key().unwrap_or_default()).payload(&value);
            self.producer.send(record).map_err(|(error, _)| error)?;
            self.producer.poll(Duration::ZERO);
        }
        self.send_offsets(batch)
    }

    fn send_offsets(&self, batch: &[OwnedMessage]) -> Result<()> {
        let plus = if self.is("offset-without-plus-one") { 0 } else { 1 };
        let offsets = positions(batch, |last, offset| last.max(offset), plus)?;
        if self.is("plain-commit") {
            return Ok(self.consumer.commit(&offsets, CommitMode::Sync)?);
        }
        let group = self.consumer.group_metadata().context("no group yet")?;
        Ok(self.producer.send_offsets_to_transaction(&offsets, &group, TIMEOUT)?)
    }

    /// Goes back to the first offset of every partition of the batch that is still assigned.
    fn rewind(&self, batch: &[OwnedMessage]) -> Result<()> {
        let assigned = self.consumer.assignment()?;
        let firsts = positions(batch, i64::min, 0)?;
        let mut sought = TopicPartitionList::new();
        for element in firsts.elements() {
            if assigned.find_partition(element.topic(), element.partition()).is_some() {
                let (topic, partition) = (element.topic(), element.partition());
                sought.add_partition_offset(topic, partition, element.offset())?;
            }
            if self.is("rewinds-one-partition") {
                break;
            }
        }
        if sought.count() > 0 {
            for element in self.consumer.seek_partitions(sought, TIMEOUT)?.elements() {
                element.error()?;
            }
        }
        Ok(())
    }
}

/// One offset for each partition of the batch, chosen by `pick`, plus `plus`.
fn positions(
    batch: &[OwnedMessage],
    pick: fn(i64, i64) -> i64,
    plus: i64,
) -> Result<TopicPartitionList> {
    let mut offsets = BTreeMap::<_, i64>::new();
    for message in batch {
        let place = offsets.entry((message.topic(), message.partition()));
        place.and_modify(|o| *o = pick(*o, message.offset())).or_insert(message.offset());
    }
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in offsets {
        list.add_partition_offset(topic, partition, Offset::Offset(offset + plus))?;
    }
    Ok(list)
}
