//! One unit of work: checks, the app function, and what an error leads to.

use super::commit::Committer;
use super::drive::{Driven, Waiter};
use super::growth::name;
use super::{Engine, ErrorPolicy, due_in, now_millis};
use crate::error::{Exception, LoopError, MessageError};
use crate::kafka::Source;
use crate::pattern::Pattern;
use crate::transaction::{Grown, Messages, Request, Transaction};
use futures::FutureExt;
use nubium_host::errors::Code;
use nubium_host::mutant;
use nubium_kafka::message::Message;
use nubium_registry::{DecodeError, RegistryError, SchemaId};
use nubium_table_store::TableError;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::{Duration, Instant};

/// How long the registry's word counts that it does not know a schema: each question takes its
/// grace time.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How one run of the app function ended.
enum Ran {
    Done,
    Failed(anyhow::Error),
    Cancelled,
}

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Handles the first `count` messages of the inbox.
    pub(super) fn unit(&mut self, count: usize) -> Result<(), LoopError> {
        if self.settings.waits_for_age() && self.hold_young(count) {
            return Ok(());
        }
        let mut unit = std::mem::take(&mut self.unit);
        unit.extend(self.hand.inbox.drain(..count));
        let handled = self.handle(&mut unit);
        if unit.len() > 1 {
            // What is left has waited for its turn, and now begins to wait for more of its kind.
            self.waiting_since = Instant::now();
        }
        unit.clear();
        self.unit = unit;
        handled
    }

    fn handle(&mut self, unit: &mut Vec<Message>) -> Result<(), LoopError> {
        let makes = self.bench.signature.is_some();
        let refusals = &self.hand.refusals;
        let alone =
            unit.iter_mut().position(|message| !name(message, makes) || refusals.has(message));
        if let Some(index) = alone.filter(|_| unit.len() > 1) {
            self.hand.bisection.isolate(index, unit.len());
            self.put_back(unit);
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            self.bench.slate.wipe(self.hand.bisection.next().is_some());
            let error = match self.run_function(unit, alone.is_some())? {
                Ran::Done => {
                    self.observer.handled(unit);
                    if P::BATCH {
                        self.observer.batch(unit.len());
                    }
                    self.hand.bisection.succeeded();
                    self.keep(unit);
                    return Ok(());
                }
                Ran::Cancelled => {
                    self.bench.outbox.borrow_mut().cut();
                    return Ok(());
                }
                Ran::Failed(_) if mutant!("error-is-swallowed") => {
                    self.bench.outbox.borrow_mut().cut();
                    self.keep(unit);
                    return Ok(());
                }
                Ran::Failed(error) => error,
            };
            self.bench.outbox.borrow_mut().cut();
            if self.bench.slate.get() == Request::Committed {
                return Err(app_error(unit, error));
            }
            attempt += 1;
            let exception = Exception::of(&error);
            self.observer.failed(&exception.name);
            if self.tries_again(unit, attempt, &error) {
                tracing::warn!(error = %exception, at = %unit[0].topic_partition(),
                    offset = unit[0].offset(), messages = unit.len(), attempt,
                    "The app function failed, trying again.");
                let wait = self.settings.wait_before(attempt);
                if let Driven::Cancelled = self.sleep(wait, unit)? {
                    return Ok(());
                }
                continue;
            }
            if unit.len() > 1 && self.halves(&error) {
                tracing::warn!(error = %exception, at = %unit[0].topic_partition(),
                    offset = unit[0].offset(), messages = unit.len(),
                    "The batch failed, looking for the messages to blame by halves.");
                self.hand.bisection.failed(unit.len());
                self.put_back(unit);
                return Ok(());
            }
            return self.give_in(unit, error, &exception);
        }
    }

    /// Decides whether a unit that failed is tried again as it is. A part of a failed batch is not:
    /// it is halved until one message is left.
    pub(super) fn tries_again(
        &self,
        unit: &[Message],
        attempt: u32,
        error: &anyhow::Error,
    ) -> bool {
        let part = self.hand.bisection.next().is_some() && unit.len() > 1;
        attempt <= self.settings.error_retries && !part && !poisonous(error) && !self.stopping()
    }

    /// Decides whether a failed batch is halved. What cannot be decoded is always looked for: its
    /// neighbours are not to blame, and trying again cannot help.
    fn halves(&self, error: &anyhow::Error) -> bool {
        self.hand.bisection.next().is_some() || self.pattern.bisects() || poisonous(error)
    }

    /// Puts the unit back to the front of the inbox, to be handled in parts.
    fn put_back(&mut self, unit: &mut Vec<Message>) {
        unit.drain(..).rev().for_each(|message| self.hand.inbox.push_front(message));
    }

    /// Completes the unit, unless the function has committed it by itself.
    fn keep(&mut self, unit: &mut [Message]) {
        if self.bench.slate.get() == Request::Committed {
            self.bench.outbox.borrow_mut().cut();
        } else {
            self.bench.outbox.borrow_mut().keep(unit);
        }
    }

    /// Decides whether a unit that failed for good goes to the failure topic; `Err` ends the loop.
    pub(super) fn condemn(
        &self,
        unit: &[Message],
        error: anyhow::Error,
    ) -> Result<anyhow::Error, LoopError> {
        if let Some(TableError::Store(store)) = error.downcast_ref() {
            // Not the message's fault: it is handled after the restart.
            let (what, error) = (unit[0].topic_partition().to_string(), store.to_string());
            return Err(LoopError::Table { what, error });
        }
        let has_topic = self.bench.retry.failure().is_some();
        let dead_letter = self.settings.error_policy == ErrorPolicy::DeadLetter;
        if has_topic && (dead_letter || poisonous(&error)) {
            return Ok(error);
        }
        Err(app_error(unit, error))
    }

    /// Follows the error policy. What cannot be decoded, or lacks what it must have, goes to the
    /// failure topic whenever there is one: trying again cannot help, and stopping would stop at the
    /// same message for ever.
    fn give_in(
        &mut self,
        unit: &mut [Message],
        error: anyhow::Error,
        exception: &Exception,
    ) -> Result<(), LoopError> {
        let error = self.condemn(unit, error)?;
        let none = Grown::default();
        let transaction = Transaction::new(self.bench, Messages::new(unit, &none));
        if let Err(error) = bury(&transaction, unit, error, exception) {
            self.bench.outbox.borrow_mut().cut();
            return Err(error);
        }
        self.observer.handled(unit);
        self.hand.bisection.failed(1);
        self.bench.outbox.borrow_mut().keep(unit);
        Ok(())
    }

    /// Runs the function once. Messages that came while it ran are in the unit afterwards.
    fn run_function(&mut self, unit: &mut Vec<Message>, bad: bool) -> Result<Ran, LoopError> {
        if bad {
            let refusal = self.hand.refusals.of(&unit[0]);
            let error = refusal.unwrap_or(MessageError::MissingHeader("guid"));
            return Ok(Ran::Failed(error.into()));
        }
        let grown = Grown::default();
        let messages = Messages::new(unit, &grown);
        if let Driven::Cancelled = self.fetch_schemas(messages)? {
            return Ok(Ran::Cancelled);
        }
        let driven = {
            let transaction = Transaction::new(self.bench, messages);
            let function = pin!(guarded(self.pattern.run(&transaction)));
            self.drive(function, messages, Waiter::Function)?
        };
        if grown.len() > 0 {
            unit.extend(grown.into_messages());
        }
        Ok(match driven {
            Driven::Ready(Ok(())) => Ran::Done,
            Driven::Ready(Err(error)) => Ran::Failed(error),
            Driven::Cancelled => Ran::Cancelled,
        })
    }

    /// Sees to it that the values' schemas are at hand, so that decoding never waits. An outage of
    /// the registry is waited out here; an id that the registry does not know is left to the
    /// decoder to report.
    pub(super) fn fetch_schemas(&mut self, unit: Messages<'_>) -> Result<Driven<()>, LoopError> {
        for message in unit.iter() {
            while let Some(id) = self.missing_schema(message) {
                let codec = self.bench.codec.clone();
                let fetch = pin!(async move { codec.ensure(id).await.map(|_| ()) });
                match self.drive(fetch, unit, Waiter::Loop)? {
                    Driven::Cancelled => return Ok(Driven::Cancelled),
                    Driven::Ready(answer) => self.schema_came(message, id, answer)?,
                }
            }
        }
        Ok(Driven::Ready(()))
    }

    /// The id of a schema that decoding a message needs, where it is to be fetched first.
    pub(super) fn missing_schema(&mut self, message: &Message) -> Option<SchemaId> {
        let codec = &self.bench.codec;
        let mut missing = None;
        for id in codec.needed(message.topic(), message.key_bytes(), message.value_bytes()) {
            if self.last_schema == Some(id) || codec.cached(id).is_some() {
                self.last_schema = Some(id);
                continue;
            }
            let asked = self.unknown_schemas.get(&id);
            if asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN) {
                missing = Some(id);
                break;
            }
        }
        missing
    }

    /// The registry has answered.
    pub(super) fn schema_came(
        &mut self,
        message: &Message,
        id: SchemaId,
        answer: Result<(), RegistryError>,
    ) -> Result<(), LoopError> {
        match answer {
            Ok(()) => self.last_schema = Some(id),
            Err(error) if error.is_of_schema() => {
                self.unknown_schemas.retain(|_, asked| asked.elapsed() < ASK_AGAIN);
                self.unknown_schemas.insert(id, Instant::now());
            }
            Err(error) => {
                let error = anyhow::Error::from(error)
                    .context(format!("schema {id} of the value could not be fetched"));
                let (at, offset) = (message.topic_partition(), message.offset());
                return Err(LoopError::App { at, offset, count: 1, error });
            }
        }
        Ok(())
    }

    fn sleep(&mut self, wait: Duration, unit: &[Message]) -> Result<Driven<()>, LoopError> {
        self.observer.waits(wait);
        let sleep = pin!(async move { tokio::time::sleep(wait).await });
        let none = Grown::default();
        self.drive(sleep, Messages::new(unit, &none), Waiter::Loop)
    }

    /// Holds the partition of the first message that is too young, and lets go of what was fetched
    /// of it from there on. Answers whether the unit must be chosen anew.
    pub(super) fn hold_young(&mut self, count: usize) -> bool {
        let settings = &self.settings;
        let now = now_millis();
        let young = self.hand.inbox.iter().take(count).find_map(|message| {
            let age = settings.age_of(message.topic_partition().topic).as_millis();
            let age = i64::try_from(age).unwrap_or(i64::MAX);
            let until = message.timestamp()?.saturating_add(age);
            (until > now).then_some((message.topic_partition(), message.offset(), until))
        });
        let Some((at, offset, until)) = young else { return false };
        self.hand.hold_young(at, offset, until);
        tracing::debug!(%at, offset, wait = ?due_in(until), "Too young, waiting.");
        self.observer.waits(due_in(until));
        true
    }
}

/// Sends a unit that failed to the failure topic.
pub(super) fn bury(
    transaction: &Transaction<'_>,
    unit: &[Message],
    error: anyhow::Error,
    exception: &Exception,
) -> Result<(), LoopError> {
    tracing::error!(error = %exception, at = %unit[0].topic_partition(),
        offset = unit[0].offset(), messages = unit.len(),
        "{}: Sent to the failure topic.", Code::ToFailureTopic);
    let sent =
        (0..unit.len()).try_for_each(|i| transaction.produce_failure_from(i, Some(exception)));
    sent.map_err(|second| app_error(unit, error.context(format!("and not sent to it: {second:#}"))))
}

/// Tells an error that comes from what the message is or becomes: the same at every try.
fn poisonous(error: &anyhow::Error) -> bool {
    use MessageError::{MissingHeader, NullValue, RecordRefused, RecordTooLarge};
    let of_message = |error: &MessageError| {
        matches!(error, MissingHeader(_) | NullValue | RecordRefused { .. } | RecordTooLarge { .. })
    };
    error.chain().any(|cause| {
        cause.is::<DecodeError>()
            || cause.downcast_ref().is_some_and(of_message)
            || matches!(cause.downcast_ref(), Some(TableError::NoKey))
    })
}

pub(super) fn app_error(unit: &[Message], error: anyhow::Error) -> LoopError {
    let (first, count) = (&unit[0], unit.len());
    LoopError::App { at: first.topic_partition(), offset: first.offset(), count, error }
}

/// Turns a panic of the app function into its error: no unit is left half done, and the group is
/// left in order.
pub(super) async fn guarded(
    function: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    match AssertUnwindSafe(function).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(MessageError::Panic(text.unwrap_or_else(|| "without a text".into())).into())
        }
    }
}
