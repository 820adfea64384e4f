//! Hands the outbox over to the commit thread, and takes outcomes from it.

use super::bounds::Filling;
use super::commit::{Committer, Work};
use super::hand::Flight;
use super::{Bounds, Engine, LOOK_AROUND};
use crate::error::LoopError;
use crate::kafka::Source;
use crate::pattern::Pattern;
use std::time::Duration;

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    pub(super) fn bounds(&self) -> Bounds {
        let Bounds { count, bytes, age } = self.settings.bounds;
        let most = self.hand.refusals.most(self.bench.table.is_some());
        Bounds { count: count.min(most), bytes, age }
    }

    pub(super) fn filling(&self) -> Filling {
        let outbox = self.bench.outbox.borrow();
        let (batch, table) = (outbox.batch(), outbox.table().filling().bytes());
        let (count, records) = (batch.messages, batch.records.len());
        Filling { count, bytes: batch.size() + table, records }
    }

    pub(super) fn age(&self) -> Duration {
        self.bench.outbox.borrow().batch().since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Hands the outbox over if the committer is free and it is time.
    pub(super) fn hand_over(&mut self, drained: bool) {
        if self.can_submit() && self.bounds().due(self.filling(), self.age(), drained) {
            self.submit();
        }
    }

    pub(super) fn can_submit(&self) -> bool {
        self.hand.flight.is_none() && !self.bench.outbox.borrow().batch().is_empty()
    }

    pub(super) fn submit(&mut self) {
        let spare = std::mem::take(&mut self.spare);
        let mut batch = self.bench.outbox.borrow_mut().take(spare, self.bench.table.as_ref());
        batch.careful = self.hand.refusals.careful();
        self.observer.submitted(&batch);
        if let Some(tables) = &mut self.tables {
            tables.submitted(&batch);
        }
        self.hand.flight = Some(Flight { first: batch.first.clone(), next: batch.next.clone() });
        self.committer.submit(Work::Commit(batch));
    }

    /// Waits for the batch in flight and hands the full outbox over.
    pub(super) fn make_room(&mut self) -> Result<(), LoopError> {
        self.await_outcome()?;
        if self.can_submit() {
            self.submit();
        }
        Ok(())
    }

    /// Takes the outcome of the batch in flight if there is one already.
    pub(super) fn settle(&mut self) -> Result<(), LoopError> {
        if self.hand.flight.is_some() && self.committer.finished() {
            self.await_outcome()?;
        }
        Ok(())
    }

    /// Waits for the batch in flight. `Ok(false)`: it was not committed, and what was in hand is
    /// dropped.
    pub(super) fn await_outcome(&mut self) -> Result<bool, LoopError> {
        if self.hand.flight.is_none() {
            return Ok(true);
        }
        loop {
            if let Some(done) = self.committer.wait(LOOK_AROUND) {
                return self.finish(done);
            }
            self.beat();
        }
    }

    /// Commits all that is complete. `Ok(false)`: it failed, and what was in hand is dropped.
    pub(super) fn flush(&mut self) -> Result<bool, LoopError> {
        if !self.await_outcome()? {
            return Ok(false);
        }
        if self.bench.outbox.borrow().batch().is_empty() {
            return Ok(true);
        }
        self.submit();
        self.await_outcome()
    }
}
