//! How a message ends, and what the outbox takes in.

use super::{Call, Ended, Stage};
use crate::engine::Engine;
use crate::engine::commit::Committer;
use crate::engine::unit::bury;
use crate::error::{Exception, LoopError};
use crate::kafka::Source;
use crate::pattern::Pattern;
use crate::transaction::{Grown, Messages, Transaction};
use nubium_kafka::message::Message;
use nubium_table_store::key_text;
use nubium_topic::TopicPartition;
use std::time::Duration;

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Acts on the end of a wait.
    pub(super) fn ended(
        &mut self,
        at: TopicPartition,
        ticket: u64,
        ended: Ended,
    ) -> Result<(), LoopError> {
        match ended {
            Ended::Waited => self.hand.lanes.come_back(at, ticket),
            Ended::Fetched(..) if self.stopping() => {}
            Ended::Fetched(id, answer) => {
                let call = self.hand.lanes.value(at, ticket);
                let Some(message) = call.and_then(|call| call.message.take()) else {
                    return Ok(());
                };
                let came = self.schema_came(&message, id, answer);
                self.stay(at, ticket, Stage::Waits, Some(message));
                match came {
                    Ok(()) => return self.begin(at, ticket),
                    Err(error) => self.give_up_on(at, ticket, error),
                }
            }
            Ended::Ran(message, answer) => {
                if let Some(call) = self.hand.lanes.value(at, ticket) {
                    self.observer.ran(1, call.since.elapsed());
                }
                match answer {
                    Ok(()) => self.done(at, ticket, message),
                    Err(error) => return self.failed(at, ticket, message, error),
                }
            }
        }
        Ok(())
    }

    /// A message has failed: it is tried again, given up, or ends the loop.
    pub(super) fn failed(
        &mut self,
        at: TopicPartition,
        ticket: u64,
        message: Message,
        error: anyhow::Error,
    ) -> Result<(), LoopError> {
        let Some(call) = self.hand.lanes.value(at, ticket) else { return Ok(()) };
        call.attempts += 1;
        let (attempt, unit) = (call.attempts, [message]);
        let exception = Exception::of(&error);
        self.observer.failed(&exception.name);
        if self.tries_again(&unit, attempt, &error) {
            tracing::warn!(error = %exception, %at, offset = unit[0].offset(), attempt,
                "The app function failed, trying again.");
            let [message] = unit;
            self.wait_aside(at, ticket, message, self.settings.wait_before(attempt));
            return Ok(());
        }
        let part = self.part_of(at, ticket, &unit[0]);
        let none = Grown::default();
        let buried = self.condemn(&unit, error).and_then(|error| {
            let transaction = Transaction::apart(self.bench, &part, Messages::new(&unit, &none));
            bury(&transaction, &unit, error, &exception)
        });
        let [message] = unit;
        match buried {
            Ok(()) => self.done(at, ticket, message),
            Err(error) => {
                self.stay(at, ticket, Stage::Waits, Some(message));
                self.give_up_on(at, ticket, error);
            }
        }
        Ok(())
    }

    /// The loop ends with this message, as soon as all before it are done.
    fn give_up_on(&mut self, at: TopicPartition, ticket: u64, error: LoopError) {
        if let Some(call) = self.hand.lanes.value(at, ticket) {
            call.failed = Some(error);
        }
        self.hand.lanes.step_aside(at, ticket);
    }

    /// A message is done. The next of its lane may begin, and sees what it wrote.
    fn done(&mut self, at: TopicPartition, ticket: u64, message: Message) {
        let mut unit = [message];
        let part = self.hand.lanes.value(at, ticket).and_then(|call| call.part.clone());
        let mut size = 0;
        if let Some(part) = part {
            part.outbox.borrow_mut().keep(&mut unit);
            size = part.outbox.borrow().size();
            if self.bench.table.is_some()
                && let Some(key) = unit[0].key_bytes()
                && let Some(write) = part.written()
                && let Some(calls) = self.hand.lanes.rest(at)
            {
                calls.written.insert(key_text(key).0.into_owned(), (ticket, write));
            }
        }
        let [message] = unit;
        self.stay(at, ticket, Stage::Waits, Some(message));
        self.hand.lanes.finish(at, ticket, size);
    }

    /// Takes in what is done, from the front of each partition, as far as there is room. Answers
    /// whether some is left for want of it.
    ///
    /// # Errors
    /// A message that failed for good is the next of its partition.
    pub(super) fn gather(&mut self) -> Result<bool, LoopError> {
        while self.hand.lanes.has_complete() {
            if self.bounds().full(self.filling()) {
                if !self.can_submit() {
                    return Ok(true);
                }
                self.submit();
                self.settle()?;
            } else if let Some((at, ticket, call)) = self.hand.lanes.complete() {
                self.take_in(at, ticket, call);
            }
        }
        match self.hand.lanes.fronts().find_map(|call| call.failed.take()) {
            Some(error) => Err(error),
            None => Ok(false),
        }
    }

    fn take_in(&mut self, at: TopicPartition, ticket: u64, call: Call) {
        let (Some(part), Some(message)) = (call.part, call.message) else { return };
        self.bench.outbox.borrow_mut().absorb(&mut part.outbox.borrow_mut());
        if let Some(key) = message.key_bytes().filter(|_| self.bench.table.is_some())
            && let Some(calls) = self.hand.lanes.rest(at)
        {
            let key = key_text(key).0;
            if calls.written.get(&*key).is_some_and(|(last, _)| *last == ticket) {
                calls.written.remove(&*key);
            }
        }
        self.observer.handled(std::slice::from_ref(&message));
        if let Some(abreast) = &mut self.abreast {
            abreast.spare.push(part);
        }
    }

    /// Takes in all that is done, waiting for room where there is none. With one message at a time
    /// there is nothing to take in.
    pub(in crate::engine) fn gather_all(&mut self) -> Result<(), LoopError> {
        while self.gather()? {
            self.await_outcome()?;
        }
        Ok(())
    }

    /// The app is to stop: functions that run do so to their end, and nothing else begins. Who
    /// waits on purpose, or for the loop, is handled after the restart.
    pub(in crate::engine) fn end_calls(&mut self) -> Result<(), LoopError> {
        while self.abreast.is_some() && self.in_function() {
            self.pump()?;
            self.poll_calls()?;
            self.gather()?;
            self.note_calls();
            if self.is_due() {
                self.submit();
            }
            if self.in_function() {
                self.park(Duration::from_millis(20));
            }
        }
        self.gather_all()
    }
}
