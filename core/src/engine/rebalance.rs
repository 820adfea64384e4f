//! Partitions that come and go.

use super::commit::Committer;
use super::recovery::{QUESTION, wake};
use super::{Engine, rewind};
use crate::error::LoopError;
use crate::kafka::{Event, Source};
use crate::pattern::Pattern;
use crate::topic::{Offsets, TopicPartition};

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Serves the group until it has nothing more to tell.
    pub(super) fn serve(&mut self) -> Result<(), LoopError> {
        self.table_news()?;
        while let Some(event) = self.source.serve() {
            match &event {
                Event::Assigned(partitions) => self.assigned(&event, partitions)?,
                Event::Revoked(partitions) => self.revoked(&event, partitions)?,
                Event::Lost(partitions) => self.lost(&event, partitions)?,
                Event::Partition { at, trouble } => self.partition_trouble(*at, trouble)?,
                Event::Trouble(text) => tracing::warn!(%text, "librdkafka reports an error"),
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
        let mut starts = Offsets::default();
        if !partitions.is_empty() {
            let committed = self.committed(partitions)?;
            self.pattern.assigned(partitions, &self.source.notes());
            for &at in partitions {
                let start = match committed.get(at) {
                    Some(offset) => offset,
                    None => {
                        let start = self.ask("offset look-up", |s| s.reset_offset(at, QUESTION))?;
                        self.bench.outbox.borrow_mut().keep_start(at, start);
                        self.uncommitted_starts.set(at, start);
                        start
                    }
                };
                starts.set(at, start);
            }
        }
        tracing::info!(partitions = %starts, "assigned");
        self.observer.assigned(&starts);
        self.assigned.extend(
            partitions.iter().filter(|at| !self.assigned.contains(at)).copied().collect::<Vec<_>>(),
        );
        self.accept(event, &starts);
        self.own_tables(&starts);
        Ok(())
    }

    /// Gives partitions up after committing what is complete. If that fails, they are replayed by
    /// their new owner.
    fn revoked(&mut self, event: &Event, partitions: &[TopicPartition]) -> Result<(), LoopError> {
        if !(self.flush()? && self.save_positions()?) {
            tracing::warn!("could not commit before giving partitions up; their new owner replays");
        }
        self.give_up(event, partitions)
    }

    /// Drops what is in hand of partitions that are gone. The batch in flight may have held some:
    /// the broker refuses it by its member id, and its outcome is awaited first so that no later
    /// generation can carry it.
    fn lost(&mut self, event: &Event, partitions: &[TopicPartition]) -> Result<(), LoopError> {
        self.assigned.retain(|at| !partitions.contains(at));
        self.await_outcome()?;
        let kept = self.drop_in_hand(&Offsets::default());
        self.give_up(event, partitions)?;
        self.seek(&kept)
    }

    fn give_up(&mut self, event: &Event, partitions: &[TopicPartition]) -> Result<(), LoopError> {
        tracing::info!(?partitions, lost = matches!(event, Event::Lost(_)), "given up");
        self.observer.revoked(partitions, matches!(event, Event::Lost(_)));
        self.assigned.retain(|at| !partitions.contains(at));
        self.release_tables(partitions);
        // librdkafka keeps a partition paused over an assignment; it would come back silent.
        for held in self.held.extract_if(.., |held| partitions.contains(&held.at)) {
            wake(&mut self.source, held.at);
        }
        self.uncommitted_starts.retain(|at| !partitions.contains(&at));
        self.inbox.retain(|message| !partitions.contains(&message.topic_partition()));
        self.bisection.clear();
        let affected = self.current.iter().any(|(at, _)| partitions.contains(&at));
        self.accept(event, &Offsets::default());
        if affected {
            // The waiting function's unit is void; of its partitions those that stay are read
            // again.
            self.epoch += 1;
            self.current.retain(|at| !partitions.contains(&at));
            let ours = |at| self.current.get(at).is_some();
            let plan = rewind::plan(&[&self.current], &self.inbox, ours);
            self.inbox.retain(|m| self.current.get(m.topic_partition()).is_none());
            self.seek(&plan)?;
        }
        Ok(())
    }

    fn accept(&mut self, event: &Event, starts: &Offsets) {
        if let Err(error) = self.source.accept(event, starts) {
            tracing::warn!(%error, "the group moved on meanwhile");
        }
    }
}
