//! One unit of work: checks, the app function, and what an error leads to.

use super::commit::Committer;
use super::drive::Driven;
use super::recovery::wake;
use super::{Engine, ErrorPolicy, Held, due_in, now_millis};
use crate::codec::{DecodeError, RegistryError, wire};
use crate::error::{Exception, LoopError, MessageError};
use crate::headers::{GUID, given};
use crate::kafka::Source;
use crate::message::Message;
use crate::pattern::Pattern;
use crate::transaction::{Request, Transaction};
use futures::FutureExt;
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
        if !self.settings.message_age.is_zero() && self.hold_young(count) {
            return Ok(());
        }
        let mut unit = std::mem::take(&mut self.unit);
        unit.extend(self.inbox.drain(..count));
        let handled = self.handle(&mut unit);
        unit.clear();
        self.unit = unit;
        handled
    }

    fn handle(&mut self, unit: &mut [Message]) -> Result<(), LoopError> {
        let mut attempt = 0;
        loop {
            self.bench.request.set(Request::None);
            let error = match self.run_function(unit)? {
                Ran::Done => {
                    self.observer.handled(unit);
                    self.keep(unit);
                    return Ok(());
                }
                Ran::Cancelled => {
                    self.bench.outbox.borrow_mut().cut();
                    return Ok(());
                }
                Ran::Failed(error) => error,
            };
            self.bench.outbox.borrow_mut().cut();
            if self.bench.request.get() == Request::Committed {
                return Err(app_error(unit, error));
            }
            attempt += 1;
            let exception = Exception::of(&error);
            self.observer.failed(&exception.name);
            if attempt <= self.settings.error_retries && !poisonous(&error) && !self.stopping() {
                tracing::warn!(error = %exception, at = %unit[0].topic_partition(),
                    offset = unit[0].offset(), attempt, "the app function failed, trying again");
                let wait = self.settings.wait_before(attempt);
                if let Driven::Cancelled = self.sleep(wait, unit)? {
                    return Ok(());
                }
                continue;
            }
            return self.give_in(unit, error, &exception);
        }
    }

    /// Completes the unit, unless the function has committed it by itself.
    fn keep(&mut self, unit: &mut [Message]) {
        if self.bench.request.get() == Request::Committed {
            self.bench.outbox.borrow_mut().cut();
        } else {
            self.bench.outbox.borrow_mut().keep(unit);
        }
    }

    /// Follows the error policy. What cannot be decoded goes to the failure topic whenever there is
    /// one: trying again cannot help, and stopping would stop at the same message for ever.
    fn give_in(
        &mut self,
        unit: &mut [Message],
        error: anyhow::Error,
        exception: &Exception,
    ) -> Result<(), LoopError> {
        let has_topic = self.bench.retry.failure().is_some();
        let dead_letter = self.settings.error_policy == ErrorPolicy::DeadLetter;
        if !(has_topic && (dead_letter || poisonous(&error))) {
            return Err(app_error(unit, error));
        }
        tracing::error!(error = %exception, at = %unit[0].topic_partition(),
            offset = unit[0].offset(), "to the failure topic");
        let sent = {
            let transaction = Transaction::new(self.bench, unit);
            (0..unit.len()).try_for_each(|i| transaction.produce_failure_from(i, Some(exception)))
        };
        if let Err(second) = sent {
            self.bench.outbox.borrow_mut().cut();
            return Err(app_error(unit, error.context(format!("and not sent to it: {second:#}"))));
        }
        self.observer.handled(unit);
        self.bench.outbox.borrow_mut().keep(unit);
        Ok(())
    }

    fn run_function(&mut self, unit: &[Message]) -> Result<Ran, LoopError> {
        if self.settings.require_guid
            && unit.iter().any(|message| !given(message.last_header(GUID)))
        {
            return Ok(Ran::Failed(MessageError::MissingHeader("guid").into()));
        }
        if let Driven::Cancelled = self.fetch_schemas(unit)? {
            return Ok(Ran::Cancelled);
        }
        let transaction = Transaction::new(self.bench, unit);
        let function = pin!(guarded(self.pattern.run(&transaction)));
        Ok(match self.drive(function, unit)? {
            Driven::Ready(Ok(())) => Ran::Done,
            Driven::Ready(Err(error)) => Ran::Failed(error),
            Driven::Cancelled => Ran::Cancelled,
        })
    }

    /// Sees to it that the values' schemas are at hand, so that decoding never waits. An outage of
    /// the registry is waited out here; an id that the registry does not know is left to the
    /// decoder to report.
    fn fetch_schemas(&mut self, unit: &[Message]) -> Result<Driven<()>, LoopError> {
        for message in unit {
            let Some(Ok((id, _))) = message.value_bytes().map(wire::split) else { continue };
            if self.last_schema == Some(id) || self.bench.codec.cached(id).is_some() {
                self.last_schema = Some(id);
                continue;
            }
            if self.unknown_schemas.get(&id).is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
                continue;
            }
            let codec = self.bench.codec.clone();
            let fetch = pin!(async move { codec.ensure(id).await.map(|_| ()) });
            match self.drive(fetch, unit)? {
                Driven::Cancelled => return Ok(Driven::Cancelled),
                Driven::Ready(Ok(())) => self.last_schema = Some(id),
                Driven::Ready(Err(RegistryError::UnknownSchema { .. })) => {
                    self.unknown_schemas.insert(id, Instant::now());
                }
                Driven::Ready(Err(error)) => {
                    let error = anyhow::Error::from(error)
                        .context(format!("schema {id} of the value could not be fetched"));
                    return Err(app_error(unit, error));
                }
            }
        }
        Ok(Driven::Ready(()))
    }

    fn sleep(&mut self, wait: Duration, unit: &[Message]) -> Result<Driven<()>, LoopError> {
        let sleep = pin!(async move { tokio::time::sleep(wait).await });
        self.drive(sleep, unit)
    }

    /// Pauses the partition of the first message that is too young, and lets go of what was fetched
    /// from it: the pause would drop the rest of it anyway. Answers whether the unit must wait.
    fn hold_young(&mut self, count: usize) -> bool {
        let age = i64::try_from(self.settings.message_age.as_millis()).unwrap_or(i64::MAX);
        let now = now_millis();
        let young = self.inbox.iter().take(count).find_map(|message| {
            let until = message.timestamp()?.saturating_add(age);
            (until > now).then_some((message.topic_partition(), message.offset(), until))
        });
        let Some((at, offset, until)) = young else { return false };
        self.inbox.retain(|message| message.topic_partition() != at);
        let paused = self
            .source
            .pause(at)
            .and_then(|()| self.source.seek(&std::iter::once((at, offset)).collect()));
        if let Err(error) = paused {
            tracing::warn!(%error, %at, "could not pause a partition for a young message");
        }
        tracing::debug!(%at, offset, wait = ?due_in(until), "too young, waiting");
        self.observer.waits(due_in(until));
        self.held.push(Held { at, until });
        true
    }

    /// Fetches the partitions again whose first message is old enough now.
    pub(super) fn resume_due(&mut self) {
        let now = now_millis();
        let source = &mut self.source;
        self.held.retain(|held| {
            if held.until > now {
                return true;
            }
            wake(source, held.at);
            false
        });
    }
}

/// Tells an error that comes from the message's own bytes.
fn poisonous(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<DecodeError>())
}

fn app_error(unit: &[Message], error: anyhow::Error) -> LoopError {
    LoopError::App { at: unit[0].topic_partition(), offset: unit[0].offset(), error }
}

/// Turns a panic of the app function into its error: no unit is left half done, and the group is
/// left in order.
async fn guarded(function: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    match AssertUnwindSafe(function).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(MessageError::Panic(text.unwrap_or_else(|| "without a text".into())).into())
        }
    }
}
