//! Runs a mapping on the messages of a loop.

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use nubium_core::codec::SchemaId;
use nubium_core::error::MessageError;
use nubium_core::{Consumed, Exception, Record, Transaction};
use nubium_mapping::mapping::{
    Envelope, Key, Made, Mapper, Mapping, MappingError, Plan, Previous, Stored, Verdict,
};

/// Maps messages, with a plan for each schema that they were written with.
pub struct Worker {
    mapping: Arc<Mapping>,
    mapper: Mapper,
    plans: Vec<PlanFor>,
}

struct PlanFor {
    topic: &'static str,
    schema: SchemaId,
    plan: Plan,
}

thread_local! {
    /// Each loop has a thread, and each thread its mapper and its plans.
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// Calls `work` with this thread's worker for `mapping`, made at the first call.
///
/// # Errors
/// What `work` answers.
pub fn with<T>(mapping: &Arc<Mapping>, work: impl FnOnce(&mut Worker) -> Result<T>) -> Result<T> {
    WORKER.with_borrow_mut(|worker| {
        let ours = |worker: &&mut Worker| Arc::ptr_eq(&worker.mapping, mapping);
        if worker.as_mut().filter(ours).is_none() {
            *worker = Some(Worker::new(mapping));
        }
        match worker {
            Some(worker) => work(worker),
            None => Err(anyhow!("the loop's mapper is gone")),
        }
    })
}

impl Worker {
    /// Makes a worker.
    pub fn new(mapping: &Arc<Mapping>) -> Self {
        Self {
            mapping: Arc::clone(mapping),
            mapper: Mapper::new(Arc::clone(mapping)),
            plans: Vec::new(),
        }
    }

    /// Maps one message; [`Self::produce`] then produces what came of it.
    ///
    /// # Errors
    /// When it cannot be mapped: give the error to [`fail`].
    pub fn map(&mut self, message: Consumed<'_>) -> Result<Verdict> {
        self.map_entry(message, None)
    }

    /// Maps one message of a table by its key's entry; [`Self::stored`] then says what becomes of
    /// that.
    ///
    /// # Errors
    /// When it cannot be mapped: give the error to [`fail`].
    pub fn map_entry(
        &mut self,
        message: Consumed<'_>,
        previous: Option<Previous>,
    ) -> Result<Verdict> {
        let (schema, datum) = message.datum()?;
        let known = |plan: &PlanFor| plan.schema == schema && plan.topic == message.topic();
        let index = match self.plans.iter().position(known) {
            Some(index) => index,
            None => self.plan(message, schema)?,
        };
        let carried = Carried { message, datum };
        Ok(self.mapper.map_entry(&self.plans[index].plan, &carried, previous)?)
    }

    /// Says what becomes of the table's entry after the last message.
    pub fn stored(&self) -> &Stored {
        self.mapper.stored()
    }

    /// Plans for a schema that this loop has not met yet.
    fn plan(&mut self, message: Consumed<'_>, schema: SchemaId) -> Result<usize> {
        let topic = message.topic();
        let input = self.mapping.input(topic);
        let input = input.with_context(|| format!("{topic} is no input of the settings"))?;
        let writer = message.schema()?;
        let plan = self
            .mapping
            .plan(input, writer)
            .with_context(|| format!("schema {schema} of {topic}"))?;
        self.plans.push(PlanFor { topic, schema, plan });
        Ok(self.plans.len() - 1)
    }

    /// Produces every record that the last message became.
    ///
    /// # Errors
    /// When one cannot be produced.
    pub fn produce(&self, transaction: &Transaction<'_>) -> Result<()> {
        self.mapper.made().iter().try_for_each(|made| self.produce_one(transaction, made))
    }

    fn produce_one(&self, transaction: &Transaction<'_>, made: &Made) -> Result<()> {
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

/// Notes that the program dropped a message, in the log.
pub fn log_drop(message: Consumed<'_>, reason: Option<&str>) {
    tracing::debug!(
        topic = message.topic(),
        partition = message.partition(),
        offset = message.offset(),
        reason,
        "Dropped by the mapping program."
    );
}

/// Sends the message to the failure topic; where there is none, the error policy decides.
///
/// # Errors
/// `error` itself, where there is no failure topic; or why the record cannot be produced.
pub fn fail(transaction: &Transaction<'_>, error: anyhow::Error) -> Result<()> {
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
        let key = match self.message.key() {
            Ok(key) => return Ok(key),
            Err(error) => format!("the key: {error:#}"),
        };
        // Plain text, as clients without Avro write it.
        let text = self.message.key_bytes().map(std::str::from_utf8);
        match text {
            Some(Ok(text)) if !text.contains(char::is_control) => Ok(Some(text)),
            _ => Err(key),
        }
    }

    fn headers(&self, each: &mut dyn FnMut(&str, Option<&[u8]>)) {
        self.message.headers().for_each(|(name, value)| each(name, value));
    }

    fn datum(&self) -> &[u8] {
        self.datum
    }
}
