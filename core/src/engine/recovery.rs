//! What follows an outcome: go on, rewind, or make a new producer and ask the group how far it got.

use super::commit::{Committer, Done, Outcome, Work};
use super::{Engine, rewind};
use crate::error::LoopError;
use crate::kafka::{Class, SinkError, Source};
use crate::pattern::Pattern;
use crate::topic::{Offsets, TopicPartition};
use std::time::{Duration, Instant};

/// Two fencings within this time mean another instance with the same id, and not a pause of our
/// own.
const FENCING_WINDOW: Duration = Duration::from_secs(300);
/// How long one question to the group may take; it is asked again.
pub(super) const QUESTION: Duration = Duration::from_secs(5);

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Acts on the outcome of the batch in flight. Answers whether it was committed.
    pub(super) fn finish(&mut self, done: Done) -> Result<bool, LoopError> {
        let in_flight = self.in_flight.take().unwrap_or_default();
        self.observer.finished(&done);
        self.spare = done.batch;
        self.settle_tables(done.store_failed)?;
        match done.outcome {
            Outcome::Committed | Outcome::Initialized => {
                self.aborts = 0;
                self.uncommitted_starts.retain(|at| in_flight.get(at).is_none());
                Ok(true)
            }
            Outcome::Aborted { error, committing } => {
                tracing::warn!(%error, first = %in_flight, "transaction aborted, replaying");
                let mut plan = self.drop_in_hand(&in_flight);
                self.count_abort("transaction", &error)?;
                let mut committed = Offsets::default();
                if committing {
                    committed = self.committed_of(&plan)?;
                    plan = rewind::to_committed(&plan, &committed);
                    self.catch_up_tables(&in_flight);
                }
                self.keep_starts(&committed);
                self.seek(&plan)?;
                Ok(false)
            }
            Outcome::Unknown { error, overdue } => {
                tracing::warn!(%error, overdue, first = %in_flight,
                    "transaction in doubt, making a new producer and asking the group");
                let plan = self.drop_in_hand(&in_flight);
                self.renew(error, overdue)?;
                let committed = self.committed_of(&plan)?;
                // Only now: whatever had been pending is decided, and lies before the log's end.
                self.catch_up_tables(&in_flight);
                self.keep_starts(&committed);
                self.seek(&rewind::to_committed(&plan, &committed))?;
                Ok(false)
            }
        }
    }

    /// Drops the outbox, the inbox and the unit at hand, and answers where they started.
    pub(super) fn drop_in_hand(&mut self, in_flight: &Offsets) -> Offsets {
        let plan = {
            let outbox = self.bench.outbox.borrow();
            let parts = [in_flight, &outbox.batch().first, &self.current];
            rewind::plan(&parts, &self.inbox, |at| self.assigned.contains(&at))
        };
        self.bench.outbox.borrow_mut().clear();
        self.inbox.clear();
        self.bisection.clear();
        self.epoch += 1;
        plan
    }

    /// Puts first positions back into the next batch whose transaction failed. Those the group
    /// knows of by now must not be: they would take later offsets back.
    fn keep_starts(&mut self, committed: &Offsets) {
        self.uncommitted_starts.retain(|at| committed.get(at).is_none());
        let mut outbox = self.bench.outbox.borrow_mut();
        self.uncommitted_starts.iter().for_each(|(at, start)| outbox.keep_start(at, start));
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
                self.observer.turn();
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
                    std::thread::sleep(self.settings.wait_before(self.aborts));
                }
                _ => {
                    let (step, what) = ("init_transactions", "for a new producer".to_owned());
                    return Err(LoopError::Kafka { step, what, error: error.to_string() });
                }
            }
        }
    }

    /// Asks the group how far it got, until it answers: without an answer nothing may be handled.
    fn committed_of(&mut self, plan: &Offsets) -> Result<Offsets, LoopError> {
        let partitions: Vec<TopicPartition> = plan.iter().map(|(at, _)| at).collect();
        self.committed(&partitions)
    }

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
            self.observer.turn();
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
                    tracing::warn!(%error, step, "no answer, asking again");
                    std::thread::sleep(self.settings.wait_before(attempt));
                }
            }
        }
    }

    /// Moves the consumer back. A partition that cannot be moved (its fetcher has not started, or
    /// it was just taken away) is tried again while the group is served; being revoked settles it
    /// too.
    pub(super) fn seek(&mut self, plan: &Offsets) -> Result<(), LoopError> {
        // A partition may have been paused for a young message; after the move that is judged anew.
        let paused: Vec<TopicPartition> =
            self.held.iter().map(|h| h.at).filter(|at| plan.get(*at).is_some()).collect();
        self.held.retain(|held| plan.get(held.at).is_none());
        if let Some(tables) = &mut self.tables {
            tables.sought(plan);
        }
        let mut plan = plan.clone();
        let mut attempt = 0;
        while !plan.is_empty() {
            let Err(error) = self.source.seek(&plan) else { break };
            attempt += 1;
            if attempt > 100 {
                let what = format!("to {plan}");
                return Err(LoopError::Kafka { step: "seek", what, error: error.to_string() });
            }
            std::thread::sleep(Duration::from_millis(20));
            self.serve()?;
            plan.retain(|at| self.assigned.contains(&at));
        }
        for at in paused.into_iter().filter(|at| self.assigned.contains(at)) {
            wake(&mut self.source, at);
        }
        Ok(())
    }
}

/// Fetches a paused partition again.
pub(super) fn wake(source: &mut impl Source, at: TopicPartition) {
    if let Err(error) = source.resume(at) {
        tracing::warn!(%error, %at, "could not resume a partition");
    }
}
