//! What follows an outcome: go on, rewind, or make a new producer and ask the group how far it got.

use super::Engine;
use super::commit::{Committer, Done, Outcome, Work};
use super::hand::Flight;
use crate::error::{LoopError, MessageError};
use crate::kafka::{Class, SinkError, Source};
use crate::pattern::Pattern;
use nubium_host::mutant;
use nubium_topic::{Offsets, TopicPartition};
use std::time::{Duration, Instant};

/// Two fencings within this time mean another instance with the same id, and not a pause of our
/// own.
const FENCING_WINDOW: Duration = Duration::from_secs(300);
/// How long one question to the group may take; it is asked again.
pub(super) const QUESTION: Duration = Duration::from_secs(5);

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Acts on the outcome of the batch in flight. Answers whether it was committed.
    pub(super) fn finish(&mut self, done: Done) -> Result<bool, LoopError> {
        let flight = self.hand.flight.take();
        self.observer.finished(&done);
        self.spare = done.batch;
        self.settle_tables(done.store_failed)?;
        let (error, overdue) = match (done.outcome, &flight) {
            (Outcome::Committed, Some(flight)) => {
                self.aborts = 0;
                if !mutant!("committed-is-forgotten") {
                    self.hand.landed(flight);
                }
                return Ok(true);
            }
            (Outcome::Committed | Outcome::Initialized, _) => return Ok(true),
            (Outcome::Aborted { error, committing, refused }, _) => {
                tracing::warn!(%error, "Transaction aborted, replaying.");
                let known = self.blame(&error, refused, flight.as_ref());
                self.rewind();
                if !known? {
                    self.count_abort("transaction", &error)?;
                }
                if committing {
                    self.ask_group(flight.as_ref())?;
                }
                self.align()?;
                return Ok(false);
            }
            (Outcome::Unknown { error, overdue }, _) => (error, overdue),
        };
        tracing::warn!(%error, overdue,
            "Transaction in doubt, making a new producer and asking the group.");
        self.rewind();
        self.renew(error, overdue)?;
        self.ask_group(flight.as_ref())?;
        self.align()?;
        Ok(false)
    }

    /// Finds out which message a refused record is of: at once in a careful batch, otherwise by
    /// taking care from now on. Answers whether that brings the loop further.
    ///
    /// # Errors
    /// A message was refused before, and what is refused now is its way to the failure topic.
    fn blame(
        &mut self,
        error: &SinkError,
        refused: Option<usize>,
        flight: Option<&Flight>,
    ) -> Result<bool, LoopError> {
        let (Some(index), Some(flight)) = (refused, flight) else { return Ok(false) };
        if !self.spare.careful {
            self.hand.refusals.take_care(&flight.next);
            return Ok(true);
        }
        let Some(record) = self.spare.records.get(index) else { return Ok(false) };
        let Some((at, offset)) = record.source else { return Ok(false) };
        let topic = record.topic.name().to_owned();
        let refusal = MessageError::RecordRefused { topic, why: error.text.clone() };
        if self.hand.refusals.blame((at, offset), refusal.clone()) {
            return Ok(true);
        }
        let why = "it failed, and the failure topic does not take it either; look at that topic's \
            max.message.bytes and cleanup.policy";
        let error = anyhow::Error::from(refusal).context(why);
        Err(LoopError::App { at, offset, count: 1, error })
    }

    /// Drops the outbox and all that is in hand; the consumer is to go back to what is committed.
    pub(super) fn rewind(&mut self) {
        self.bench.outbox.borrow_mut().clear();
        if !mutant!("no-rewind") {
            self.hand.rewind();
        }
        self.sweep_anew();
        self.keep_guesses();
    }

    /// Asks the group where every partition stands after a transaction in doubt: nothing may be
    /// handled before that is known. Comes after a rewind.
    fn ask_group(&mut self, in_doubt: Option<&Flight>) -> Result<(), LoopError> {
        let ours = self.hand.ours();
        if ours.is_empty() || mutant!("group-is-not-asked") {
            return Ok(());
        }
        let committed = self.committed(&ours)?;
        self.hand.believe(&committed);
        // The outbox holds first positions alone: one that the group knows would take later offsets
        // back.
        self.bench.outbox.borrow_mut().clear();
        self.keep_guesses();
        let Some(flight) = in_doubt else { return Ok(()) };
        // Only now: whatever had been pending is decided, and lies before the log's end.
        self.catch_up_tables(&flight.first);
        let done = |(at, next)| committed.get(at).is_some_and(|found| found >= next);
        if !flight.next.is_empty() && flight.next.iter().all(done) {
            self.observer.confirmed();
        }
        Ok(())
    }

    /// Puts first positions that the group does not know yet into the next batch.
    pub(super) fn keep_guesses(&mut self) {
        let mut outbox = self.bench.outbox.borrow_mut();
        self.hand.guesses().for_each(|(at, start)| outbox.keep_first(at, start));
    }

    /// Counts a failure in a row, sets the back-off, and gives up when there were too many.
    fn count_abort(&mut self, step: &'static str, error: &SinkError) -> Result<(), LoopError> {
        self.aborts += 1;
        if self.aborts >= self.settings.aborts_max {
            let what = format!("{} times in a row, giving up", self.aborts);
            return Err(LoopError::Kafka { step, what, error: error.to_string() });
        }
        let wait = self.settings.wait_before(self.aborts);
        self.hold_off = Some(Instant::now() + wait);
        self.observer.waits(wait);
        Ok(())
    }

    /// Makes a new producer after a fatal error or an unknown outcome; the second fencing in a row
    /// ends the app.
    fn renew(&mut self, error: SinkError, overdue: bool) -> Result<(), LoopError> {
        if error.class == Class::Fenced && !overdue {
            let again = self.last_fencing.is_some_and(|at| at.elapsed() < FENCING_WINDOW);
            if again {
                let id = self.settings.transactional_id.clone();
                return Err(LoopError::Fenced { id, error: error.to_string() });
            }
            self.last_fencing = Some(Instant::now());
        }
        self.count_abort("transaction", &error)?;
        self.observer.renewed();
        self.init()
    }

    /// Makes a producer and waits for it.
    pub(crate) fn init(&mut self) -> Result<(), LoopError> {
        loop {
            self.committer.submit(Work::Init);
            let done = loop {
                if let Some(done) = self.committer.wait(super::LOOK_AROUND) {
                    break done;
                }
                self.beat();
            };
            let Outcome::Unknown { error, .. } = done.outcome else { return Ok(()) };
            match error.class {
                Class::Fenced => {
                    let id = self.settings.transactional_id.clone();
                    return Err(LoopError::Fenced { id, error: error.to_string() });
                }
                Class::Retriable if self.stopping() => {
                    return Err(LoopError::Stopped("init_transactions"));
                }
                Class::Retriable => {
                    self.count_abort("init_transactions", &error)?;
                    self.linger(self.settings.wait_before(self.aborts));
                }
                _ => {
                    let (step, what) = ("init_transactions", "for a new producer".to_owned());
                    return Err(LoopError::Kafka { step, what, error: error.to_string() });
                }
            }
        }
    }

    /// Asks the group how far it got, until it answers: without an answer nothing may be handled.
    pub(super) fn committed(&mut self, of: &[TopicPartition]) -> Result<Offsets, LoopError> {
        self.ask("committed offsets", |source| source.committed(of, QUESTION))
    }

    /// Repeats a question to the group or broker until it is answered or the app is to stop.
    pub(super) fn ask<T>(
        &mut self,
        step: &'static str,
        mut question: impl FnMut(&mut S) -> Result<T, crate::kafka::SourceError>,
    ) -> Result<T, LoopError> {
        let mut attempt = 0;
        loop {
            self.beat();
            match question(&mut self.source) {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    if self.stopping() {
                        return Err(LoopError::Stopped(step));
                    }
                    attempt += 1;
                    if error.permanent || attempt >= self.settings.aborts_max {
                        let what = format!("{attempt} times in a row");
                        return Err(LoopError::Kafka { step, what, error: error.to_string() });
                    }
                    tracing::warn!(%error, step, "No answer, asking again.");
                    self.linger(self.settings.wait_before(attempt));
                }
            }
        }
    }
}
