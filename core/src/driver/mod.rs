//! Runs an app in memory, without a broker: feed messages, read outputs, committed offsets and
//! errors, and inject an abort, a fencing, a rebalance or a crash at any step.
//!
//! The loop is the real one; only Kafka behind it is played. Everything happens on the calling
//! thread, step by step, so a test with faults is as repeatable as one without.
//!
//! ```
//! use nubium_core::driver::{Driver, Fault, Step};
//! use nubium_core::{Record, Single, Transaction};
//!
//! let copy = Single(async |tx: &Transaction<'_>| {
//!     let name: String = tx.value()?;
//!     tx.produce(Record::to("out").value(&name.to_uppercase()))
//! });
//! let mut driver = Driver::new(copy).unwrap();
//! driver.input("in", 1, r#""string""#).unwrap();
//! driver.output("out", 1, r#""string""#).unwrap();
//! driver.send("in", 0, "key", "ada").unwrap();
//! driver.fail(Step::Commit, 1, Fault::Abort);
//! driver.run().unwrap();
//! assert_eq!(driver.values::<String>("out").unwrap(), ["ADA"]);
//! assert_eq!(driver.committed("in", 0), Some(1));
//! ```

mod broker;
mod fault;
mod group;
mod sink;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub use crate::engine::{Concurrency, Ordering};
pub use fault::{Fault, Step};

use crate::engine::{
    Bounds, Engine, ErrorPolicy, InlineCommitter, LoopSettings, Observer, Steps, Tables,
};
use crate::error::LoopError;
use crate::liveness::Pulse;
use crate::pattern::Pattern;
use crate::retry::RetryRoutes;
use crate::transaction::{Output, Workbench};
use anyhow::Context as _;
use broker::Broker;
use nubium_config::MissingHeaders;
use nubium_host::Stop;
use nubium_kafka::headers::Header;
use nubium_kafka::message::MessageBody;
use nubium_metrics::Metrics;
use nubium_registry::Encode;
use nubium_registry::{Codec, TopicEncoder};
use nubium_table_store::Applier;
use nubium_topic::{Topic, TopicPartition};
use serde::de::DeserializeOwned;
use sink::MemorySink;
use source::MemorySource;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Turns without anything left to do are the end; this many with something left are a loop without
/// progress.
const TURNS: usize = 100_000;

/// A record as it lies in an output topic after its transaction was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Where it lies.
    pub at: TopicPartition,
    /// Its bytes.
    pub body: MessageBody,
}

impl Delivered {
    /// Reads the last header of a name as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.body.headers.iter().rev().find(|header| header.name == name)?;
        std::str::from_utf8(found.value.as_deref()?).ok()
    }
}

/// The real loop on the broker in memory.
type MemoryEngine<'e, P> = Engine<'e, MemorySource, InlineCommitter<MemorySink>, P>;

/// An app in memory.
pub struct Driver<P> {
    pattern: P,
    broker: Rc<RefCell<Broker>>,
    codec: Codec,
    runtime: tokio::runtime::Runtime,
    inputs: Vec<String>,
    encoders: BTreeMap<String, TopicEncoder>,
    outputs: Vec<(String, String)>,
    latest: bool,
    metrics: Metrics,
    table: Option<table::TableHome>,
    /// What becomes of headers that are missing; change it before [`Self::run`].
    pub missing_headers: MissingHeaders,
    /// Retry and failure routing; change it before [`Self::run`].
    pub retry: RetryRoutes,
    /// The loop's settings; change them before [`Self::run`].
    pub settings: LoopSettings,
}

impl<P: Pattern> Driver<P> {
    /// Makes a driver for a pattern; `Single(function)` for the plain app.
    ///
    /// # Errors
    /// No runtime for asynchronous functions can be had.
    pub fn new(pattern: P) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("no runtime")?;
        Ok(Self {
            pattern,
            broker: Rc::default(),
            codec: Codec::in_memory(),
            runtime,
            inputs: Vec::new(),
            encoders: BTreeMap::new(),
            outputs: Vec::new(),
            latest: false,
            metrics: Metrics::new("driver", "driver"),
            table: None,
            missing_headers: MissingHeaders::Make,
            retry: RetryRoutes::default(),
            settings: LoopSettings {
                bounds: Bounds { count: 10_000, bytes: 8 << 20, age: Duration::from_millis(100) },
                error_policy: ErrorPolicy::Stop,
                error_retries: 0,
                backoff: (Duration::from_micros(1), Duration::from_micros(1)),
                message_age: Duration::ZERO,
                topic_ages: Vec::new(),
                concurrency: Concurrency::ONE,
                aborts_max: 20,
                transactional_id: "driver".into(),
            },
        })
    }

    /// Adds an input topic.
    ///
    /// # Errors
    /// The schema is none.
    pub fn input(&mut self, topic: &str, partitions: i32, schema: &str) -> anyhow::Result<()> {
        let encoder = self.prepare(topic, partitions, schema)?;
        self.encoders.insert(topic.to_owned(), encoder);
        self.inputs.push(topic.to_owned());
        Ok(())
    }

    /// Adds an output topic.
    ///
    /// # Errors
    /// The schema is none.
    pub fn output(&mut self, topic: &str, partitions: i32, schema: &str) -> anyhow::Result<()> {
        self.prepare(topic, partitions, schema)?;
        self.outputs.push((topic.to_owned(), schema.to_owned()));
        Ok(())
    }

    fn prepare(&self, topic: &str, partitions: i32, schema: &str) -> anyhow::Result<TopicEncoder> {
        self.broker.borrow_mut().create(topic, partitions);
        let prepared = self.runtime.block_on(self.codec.prepare_topic(topic, schema, true));
        prepared.with_context(|| format!("schema of {topic}"))
    }

    /// Starts where nothing is committed at the end of the topics, as `auto.offset.reset=latest`
    /// does.
    pub fn start_at_latest(&mut self) {
        self.latest = true;
    }

    /// Feeds a message with the required headers; answers its offset.
    ///
    /// # Errors
    /// The topic is no input, or the value does not fit its schema.
    pub fn send<V: Encode + ?Sized>(
        &mut self,
        topic: &str,
        partition: i32,
        key: &str,
        value: &V,
    ) -> anyhow::Result<i64> {
        let encoder =
            self.encoders.get_mut(topic).with_context(|| format!("{topic} is no input"))?;
        let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        encoder.encode_key(key, &mut key_bytes);
        encoder.encode_value(value, &mut value_bytes)?;
        let headers = vec![
            Header::new("guid", format!("{topic}-{partition}-{key}")),
            Header::new("last_updated_by", "driver"),
        ];
        let (key, value) = (Some(key_bytes), Some(value_bytes));
        let body = MessageBody { key, value, headers, timestamp: Some(0) };
        Ok(self.send_raw(topic, partition, body))
    }

    /// Feeds a message as it is; answers its offset.
    pub fn send_raw(&mut self, topic: &str, partition: i32, body: MessageBody) -> i64 {
        self.broker.borrow_mut().append(TopicPartition::new(topic, partition), body)
    }

    /// Lets so many messages be in the function at once, and polls their functions in an order by
    /// `seed`: whatever one of them waits for comes sooner or later than what another waits for.
    pub fn interleave(&mut self, most: usize, seed: u64) {
        let known = self.settings.concurrency;
        self.settings.concurrency = Concurrency { most, shuffle: Some(seed), ..known };
    }

    /// Lets a step go wrong: the `nth` of its kind from now on, counted from 1.
    pub fn fail(&mut self, step: Step, nth: u64, fault: Fault) {
        self.broker.borrow_mut().inject(step, nth, fault);
    }

    /// Lets the broker refuse records for what they are, as one that is larger than its topic
    /// allows: by topic and record.
    pub fn refuse(&mut self, refuses: fn(&str, &MessageBody) -> bool) {
        self.broker.borrow_mut().refuses = Some(refuses);
    }

    /// Starts the app and lets it run until everything is handled, then stops it. A crash that was
    /// injected ends it early; the next call starts it anew, as a restart does.
    ///
    /// # Errors
    /// The app ended with an error, or makes no progress.
    pub fn run(&mut self) -> anyhow::Result<()> {
        self.broker.borrow_mut().start(0, &self.inputs);
        let mut bench = self.workbench()?;
        let (tables, applier) = self.table_parts(0, &mut bench)?;
        let stop = Stop::new();
        let _runtime = self.runtime.enter();
        let mut engine = self.engine(0, &bench, tables, applier, &stop);
        let ended = engine.init().and_then(|()| Self::turns(&mut engine, &self.broker));
        if self.broker.borrow().members[0].crashed {
            return Ok(());
        }
        match ended {
            Ok(true) => {
                stop.request("all is handled");
                Ok(engine.run()?)
            }
            Ok(false) => anyhow::bail!("no progress after {TURNS} turns"),
            Err(error) => {
                stop.request("failed");
                if matches!(error, LoopError::App { .. }) {
                    engine.run()?;
                }
                Err(error.into())
            }
        }
    }

    fn table_parts(
        &self,
        me: usize,
        bench: &mut Workbench,
    ) -> anyhow::Result<(Option<Tables>, Option<Applier>)> {
        let Some(table) = self.run_table(me, &self.metrics)? else { return Ok((None, None)) };
        bench.table = Some(table.desk);
        Ok((Some(table.tables), Some(table.applier)))
    }

    /// Puts the loop of one member together.
    fn engine<'e>(
        &'e self,
        me: usize,
        bench: &'e Workbench,
        tables: Option<Tables>,
        applier: Option<Applier>,
        stop: &Stop,
    ) -> MemoryEngine<'e, P> {
        let source = MemorySource { broker: Rc::clone(&self.broker), me, latest: self.latest };
        let steps = Steps::new(MemorySink::new(&self.broker, me), Duration::from_millis(1));
        let pulse = Arc::new(Pulse::new(0));
        self.broker.borrow_mut().pulse = cfg!(test).then(|| Arc::clone(&pulse));
        let observer = Observer::new(&self.metrics, pulse, Instant::now());
        let committer = InlineCommitter::new(steps.with_table(applier));
        let settings = self.settings.clone();
        Engine::new(source, committer, &self.pattern, bench, settings, observer, stop.clone())
            .with_tables(tables)
    }

    fn turns(
        engine: &mut MemoryEngine<'_, P>,
        broker: &Rc<RefCell<Broker>>,
    ) -> Result<bool, LoopError> {
        for _ in 0..TURNS {
            engine.turn()?;
            if engine.idle() && broker.borrow().drained() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn workbench(&self) -> anyhow::Result<Workbench> {
        let mut outputs = Vec::new();
        for (topic, schema) in &self.outputs {
            let encoder = self.runtime.block_on(self.codec.prepare_topic(topic, schema, true))?;
            outputs.push(Output { topic: Topic::named(topic), encoder });
        }
        let mut bench = Workbench::new(self.codec.clone(), outputs, self.retry.clone(), 1 << 20);
        let makes = self.missing_headers == MissingHeaders::Make;
        bench.signature = makes.then(|| "driver".to_owned());
        Ok(bench)
    }

    /// Everything that was committed to a topic, in order within each partition.
    #[must_use]
    pub fn delivered(&self, topic: &str) -> Vec<Delivered> {
        let broker = self.broker.borrow();
        broker.log(topic).map(|(at, body)| Delivered { at, body: body.clone() }).collect()
    }

    /// Decodes everything that was committed to a topic.
    ///
    /// # Errors
    /// A value is null or does not fit `T`.
    pub fn values<T: DeserializeOwned>(&self, topic: &str) -> anyhow::Result<Vec<T>> {
        let decode = |d: &Delivered| {
            let bytes = d.body.value.as_deref().context("a tombstone")?;
            Ok(self.codec.decode::<T>(bytes)?)
        };
        self.delivered(topic).iter().map(decode).collect()
    }

    /// The offset the group has committed for a partition.
    #[must_use]
    pub fn committed(&self, topic: &str, partition: i32) -> Option<i64> {
        self.broker.borrow().committed.get(&TopicPartition::new(topic, partition)).copied()
    }

    /// The metrics that the app has counted, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.text()
    }

    /// How many transactions were committed and how many aborted.
    #[must_use]
    pub fn transactions(&self) -> (u64, u64) {
        let broker = self.broker.borrow();
        (broker.transactions, broker.aborts)
    }
}
