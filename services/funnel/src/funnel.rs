//! The app function: maps a message and produces what comes of it.

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use nubium_core::codec::SchemaId;
use nubium_core::error::MessageError;
use nubium_core::metrics::{CounterFamily, Metrics};
use nubium_core::{Consumed, Exception, Record, Transaction};

use crate::start;
use nubium_mapping::mapping::{Envelope, Key, Made, Mapper, Mapping, MappingError, Plan, Verdict};

/// Runs a mapping as an app function; shared by all loops.
pub struct Funnel {
    mapping: Arc<Mapping>,
    dropped: CounterFamily,
}

thread_local! {
    /// Each loop has a thread, and each thread its mapper and its plans.
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

impl Funnel {
    /// Makes the app function of a mapping; what it drops is counted in `metrics`.
    ///
    /// # Errors
    /// When the metrics have another metric of that name.
    pub fn new(mapping: Arc<Mapping>, metrics: &Metrics) -> Result<Self> {
        let help = "Messages that the mapping program dropped with abort.";
        let dropped = metrics.counter("messages_dropped", help, &["topic"])?;
        Ok(Self { mapping, dropped })
    }

    /// Handles one message: its records are produced, or it is dropped, or it goes to the failure
    /// topic.
    ///
    /// # Errors
    /// When it cannot be mapped and there is no failure topic, or a record cannot be produced.
    pub fn handle(&self, transaction: &Transaction<'_>) -> Result<()> {
        WORKER.with_borrow_mut(|worker| {
            let ours = |worker: &&mut Worker| Arc::ptr_eq(&worker.mapping, &self.mapping);
            if worker.as_mut().filter(ours).is_none() {
                *worker = Some(Worker::new(&self.mapping));
            }
            match worker {
                Some(worker) => worker.handle(self, transaction),
                None => Err(anyhow!("the loop's mapper is gone")),
            }
        })
    }
}

struct Worker {
    mapping: Arc<Mapping>,
    mapper: Mapper,
    plans: Vec<PlanFor>,
}

struct PlanFor {
    topic: &'static str,
    schema: SchemaId,
    plan: Plan,
}

impl Worker {
    fn new(mapping: &Arc<Mapping>) -> Self {
        Self {
            mapping: Arc::clone(mapping),
            mapper: Mapper::new(Arc::clone(mapping)),
            plans: Vec::new(),
        }
    }

    fn handle(&mut self, funnel: &Funnel, transaction: &Transaction<'_>) -> Result<()> {
        let message = transaction.message();
        match self.map(message) {
            Ok(Verdict::Drop(reason)) => {
                funnel.dropped.with(&[message.topic()])?.inc();
                tracing::debug!(
                    topic = message.topic(),
                    partition = message.partition(),
                    offset = message.offset(),
                    reason,
                    "dropped by the mapping program"
                );
                Ok(())
            }
            Ok(Verdict::Produce) => {
                self.mapper.made().iter().try_for_each(|made| self.produce(transaction, made))
            }
            Err(error) => fail(transaction, error),
        }
    }

    fn map(&mut self, message: Consumed<'_>) -> Result<Verdict> {
        let (schema, datum) = message.datum()?;
        let known = |plan: &PlanFor| plan.schema == schema && plan.topic == message.topic();
        let index = match self.plans.iter().position(known) {
            Some(index) => index,
            None => self.plan(message, schema)?,
        };
        Ok(self.mapper.map(&self.plans[index].plan, &Carried { message, datum })?)
    }

    /// Plans for a schema that this loop has not met yet.
    fn plan(&mut self, message: Consumed<'_>, schema: SchemaId) -> Result<usize> {
        let topic = message.topic();
        let input = self.mapping.input(topic);
        let input = input.with_context(|| format!("{topic} is no input of the settings"))?;
        let writer = message.schema()?;
        let plan = self
            .mapping
            .plan(input, start::parse(writer)?)
            .with_context(|| format!("schema {schema} of {topic}"))?;
        self.plans.push(PlanFor { topic, schema, plan });
        Ok(self.plans.len() - 1)
    }

    fn produce(&self, transaction: &Transaction<'_>, made: &Made) -> Result<()> {
        let topic = &self.mapping.outputs()[made.output].topic;
        let mut record = Record::to(topic).datum(self.mapper.value(made));
        record = match &made.key {
            Key::Keep => record,
            Key::Text(text) => record.key(text),
            Key::None => record.no_key(),
        };
        for (name, value) in self.mapper.headers() {
            record = match value {
                Some(value) => record.header(name, value),
                None => record.drop_header(name),
            };
        }
        transaction.produce(record)
    }
}

/// Sends the message to the failure topic; where there is none, the error policy decides.
fn fail(transaction: &Transaction<'_>, error: anyhow::Error) -> Result<()> {
    let name = match error.downcast_ref::<MappingError>() {
        Some(_) => "MappingError".to_owned(),
        None => Exception::of(&error).name,
    };
    let exception = Exception::new(name, format!("{error:#}"));
    match transaction.produce_failure(Some(&exception)) {
        Err(nowhere) if is_nowhere(&nowhere) => Err(anyhow::Error::new(exception)),
        answer => answer,
    }
}

fn is_nowhere(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(MessageError::NoFailureTopic))
}

/// A consumed message, as a mapping sees it.
struct Carried<'a> {
    message: Consumed<'a>,
    datum: &'a [u8],
}

impl Envelope for Carried<'_> {
    fn topic(&self) -> &str {
        self.message.topic()
    }

    fn partition(&self) -> i32 {
        self.message.partition()
    }

    fn offset(&self) -> i64 {
        self.message.offset()
    }

    fn timestamp_ms(&self) -> Option<i64> {
        self.message.timestamp()
    }

    fn key(&self) -> Result<Option<&str>, String> {
        self.message.key().map_err(|error| format!("the key: {error:#}"))
    }

    fn headers(&self, each: &mut dyn FnMut(&str, Option<&[u8]>)) {
        self.message.headers().for_each(|(name, value)| each(name, value));
    }

    fn datum(&self) -> &[u8] {
        self.datum
    }
}
