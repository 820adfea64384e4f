//! Brings the consumer to where the hand says that it is to be.

use super::{Hand, TRIES};
use crate::engine::partition::Partition;
use crate::kafka::{Source, SourceError};
use nubium_topic::{Offsets, TopicPartition};
use std::time::Instant;

impl Hand<'_> {
    /// Brings the consumer to where it is to be: pauses, moves, resumes. What it refuses is tried
    /// again by a later call, as it then ought to be.
    ///
    /// # Errors
    /// It was refused too often.
    pub(in crate::engine) fn align(&mut self, source: &mut impl Source) -> Result<(), SourceError> {
        if !self.unsettled || self.again.is_some_and(|again| Instant::now() < again) {
            return Ok(());
        }
        match self.try_align(source) {
            Ok(()) => {
                (self.refused, self.again) = (0, None);
                // One that is not ours any more is woken when it is ours again.
                let paused = |p: &Partition| self.paused.contains(&p.at);
                self.unsettled = !self.partitions.iter().all(|p| p.is_plain() && !paused(p));
                Ok(())
            }
            Err(error) => {
                self.refused += 1;
                self.again = Some(Instant::now() + self.pause);
                tracing::debug!(%error, tries = self.refused, "The consumer refused a move.");
                if self.refused >= TRIES { Err(error) } else { Ok(()) }
            }
        }
    }

    fn try_align(&mut self, source: &mut impl Source) -> Result<(), SourceError> {
        for partition in self.partitions.iter().filter(|partition| partition.rests()) {
            if !self.paused.contains(&partition.at) {
                source.pause(partition.at)?;
                self.paused.push(partition.at);
            }
        }
        let moves = |p: &Partition| p.target.map(|target| (p.at, target));
        let moves: Offsets = self.partitions.iter().filter_map(moves).collect();
        if !moves.is_empty() {
            source.seek(&moves)?;
            self.partitions.iter_mut().for_each(|partition| partition.target = None);
        }
        let rests = |at| self.partitions.iter().any(|known| known.at == at && known.rests());
        let ours = |at| self.partitions.iter().any(|known| known.at == at);
        let awake: Vec<_> =
            self.paused.iter().copied().filter(|at| ours(*at) && !rests(*at)).collect();
        for at in awake {
            source.resume(at)?;
            self.paused.retain(|known| *known != at);
        }
        Ok(())
    }

    /// Resumes what is about to be given up: librdkafka keeps a partition paused over an
    /// assignment. What it refuses is resumed when the partition is ours again.
    pub(in crate::engine) fn wake(&mut self, source: &mut impl Source, gone: &[TopicPartition]) {
        self.paused.retain(|at| {
            !gone.contains(at)
                || source
                    .resume(*at)
                    .inspect_err(|error| tracing::warn!(%error, %at, "Could not resume it."))
                    .is_err()
        });
    }
}
