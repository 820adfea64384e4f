//! Partitions that come and go.

use super::Engine;
use super::commit::Committer;
use super::recovery::QUESTION;
use crate::error::LoopError;
use crate::kafka::{Event, Source};
use crate::pattern::Pattern;
use nubium_host::mutant;
use nubium_topic::{Offsets, TopicPartition};
use std::time::Instant;

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Serves the group until it has nothing more to tell.
    pub(super) fn serve(&mut self) -> Result<(), LoopError> {
        self.served = Instant::now();
        self.table_news()?;
        while let Some(event) = self.events.pop_front().or_else(|| self.source.serve()) {
            match &event {
                Event::Assigned(partitions) => self.assigned(&event, partitions)?,
                Event::Revoked(partitions) => self.revoked(&event, partitions)?,
                Event::Lost(partitions) => self.lost(&event, partitions)?,
                Event::Partition { at, trouble } => self.partition_trouble(*at, trouble)?,
                Event::Trouble(text) => tracing::warn!(%text, "librdkafka reports an error."),
                Event::Fatal(text) => {
                    let (step, what) = ("consumer", "for good".to_owned());
                    return Err(LoopError::Kafka { step, what, error: text.clone() });
                }
            }
        }
        Ok(())
    }

    /// Takes partitions on from their committed offsets. One that has none starts where
    /// `auto.offset.reset` says, and that place is committed at once: with `latest`, a crash before
    /// the first commit would otherwise skip what came meanwhile.
    fn assigned(&mut self, event: &Event, partitions: &[TopicPartition]) -> Result<(), LoopError> {
        let (mut starts, mut guesses) = (Offsets::default(), Vec::new());
        if !partitions.is_empty() {
            let committed = self.committed(partitions)?;
            self.pattern.assigned(partitions, &self.source.notes());
            for &at in partitions {
                if let Some(offset) = committed.get(at) {
                    starts.set(at, offset);
                    continue;
                }
                starts.set(at, self.ask("offset look-up", |s| s.reset_offset(at, QUESTION))?);
                if !mutant!("start-is-not-committed") {
                    guesses.push(at);
                }
            }
        }
        tracing::info!(partitions = %starts, "Partitions assigned.");
        self.observer.assigned(&starts);
        self.accept(event, &starts);
        for (at, start) in starts.iter() {
            let ticket = self.tables.as_mut().and_then(|tables| tables.own(at));
            self.hand.assign(at, start, guesses.contains(&at), ticket);
        }
        self.keep_guesses();
        self.note_recovery();
        Ok(())
    }

    /// Gives partitions up after committing what is complete. If that fails, they are replayed by
    /// their new owner.
    fn revoked(&mut self, event: &Event, partitions: &[TopicPartition]) -> Result<(), LoopError> {
        self.gather_all()?;
        if mutant!("revoked-without-commit") {
            self.hand.flight = None;
        } else if !(self.flush()? && self.save_positions()?) {
            tracing::warn!("Could not commit before the revocation; the new owner replays.");
        }
        self.give_up(event, partitions)
    }

    /// Drops what is in hand of partitions that are gone. The batch in flight may have held some:
    /// the broker refuses it by its member id, and its outcome is awaited first so that no later
    /// generation can carry it.
    fn lost(&mut self, event: &Event, partitions: &[TopicPartition]) -> Result<(), LoopError> {
        self.hand.release(partitions);
        self.await_outcome()?;
        self.rewind();
        self.give_up(event, partitions)
    }

    /// Lets go of partitions of which nothing is complete and uncommitted any more.
    fn give_up(&mut self, event: &Event, partitions: &[TopicPartition]) -> Result<(), LoopError> {
        let lost = matches!(event, Event::Lost(_));
        tracing::info!(?partitions, lost, "Partitions revoked.");
        self.observer.revoked(partitions, lost);
        self.release_tables(partitions);
        self.hand.wake(&mut self.source, partitions);
        let void = self.hand.release(if mutant!("revoked-is-kept") { &[] } else { partitions });
        // A first position that was to be tried again is the next owner's to commit.
        self.bench.outbox.borrow_mut().forget(partitions);
        self.accept(event, &Offsets::default());
        if void {
            // The waiting function's unit goes as a whole; of its partitions those that stay are
            // read again.
            self.rewind();
        }
        self.align()
    }

    fn accept(&mut self, event: &Event, starts: &Offsets) {
        if let Err(error) = self.source.accept(event, starts) {
            tracing::warn!(%error, "The group moved on meanwhile.");
        }
    }
}
