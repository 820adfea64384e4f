//! What every wait of the loop does: it serves the group, hears the keeper and the commit thread,
//! and brings the consumer to where it is to be.
//!
//! There are two ways to wait. Where what is in hand may change, [`Engine::pump`] acts on everything
//! at once. Where it may not (an outcome or an answer decides first), [`Engine::beat`] keeps the
//! membership and the liveness, and keeps what the group tells for the next pump.

use super::commit::Committer;
use super::{Engine, LOOK_AROUND, now_millis};
use crate::error::LoopError;
use crate::kafka::Source;
use crate::pattern::Pattern;
use std::time::{Duration, Instant};

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Acts on all that there is to act on.
    pub(super) fn pump(&mut self) -> Result<(), LoopError> {
        self.observer.turn();
        self.serve()?;
        self.settle()?;
        self.hand.resume_due(now_millis());
        self.align()
    }

    /// Keeps the membership and the liveness, and nothing else. One event a time: a consumer that
    /// is broken for good says so whenever it is asked.
    pub(super) fn beat(&mut self) {
        self.observer.turn();
        self.events.extend(self.source.serve());
    }

    /// Waits between two tries of a question that decides how to go on; a stop ends it.
    pub(super) fn linger(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        loop {
            self.beat();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stopping() {
                return;
            }
            std::thread::sleep(left.min(LOOK_AROUND));
        }
    }

    /// Brings the consumer to where it is to be; what it refuses is tried again by the next pump.
    pub(super) fn align(&mut self) -> Result<(), LoopError> {
        self.hand.align(&mut self.source).map_err(|error| LoopError::Kafka {
            step: error.step,
            what: "the consumer did not go where it was to go".into(),
            error: error.to_string(),
        })
    }

    /// Fetches into the inbox. What comes of partitions that are not ready is put aside. Answers
    /// whether more may be there already.
    pub(super) fn fetch(&mut self, wait: Duration) -> bool {
        let before = self.hand.inbox.len();
        let more = self.source.fetch(&mut self.hand.inbox, wait);
        self.hand.sort(before);
        more
    }
}
