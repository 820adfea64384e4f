//! Adds messages to the unit whose function asks for more.

use super::commit::Committer;
use super::drive::Driven;
use super::hand::Hand;
use super::{Engine, now_millis};
use crate::error::LoopError;
use crate::kafka::Source;
use crate::pattern::Pattern;
use crate::transaction::{Grown, Messages};
use nubium_kafka::headers::{GUID, given};
use nubium_kafka::message::Message;
use std::time::{Duration, Instant};

/// How long one look for messages may take: the function may be waiting for something else too.
const LOOK: Duration = Duration::from_millis(20);

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Moves what has come into the unit, up to `count` in all, after waiting a moment for it. The
    /// rules of a unit that begins hold for them too: old enough, with a guid, schemas at hand.
    pub(super) fn grow(
        &mut self,
        unit: Messages<'_>,
        count: usize,
        until: Instant,
    ) -> Result<Driven<()>, LoopError> {
        let missing = count.saturating_sub(unit.len());
        self.hand.resume_due(now_millis());
        if self.hand.inbox.len() < missing {
            let left = until.saturating_duration_since(Instant::now());
            let wait = if self.hand.inbox.is_empty() { left.min(LOOK) } else { Duration::ZERO };
            self.fetch(wait);
        }
        while self.settings.waits_for_age() && self.hold_young(missing) {}
        let here = missing.min(self.hand.inbox.len());
        let makes = self.bench.signature.is_some();
        let Hand { inbox, refusals, .. } = &mut self.hand;
        let first = inbox.iter_mut().take(here);
        let fits = |message: &mut Message| name(message, makes) && !refusals.has(message);
        let fit = first.map(fits).take_while(|fits| *fits).count();
        if fit < here || self.stopping() {
            // A message that must be handled alone begins a unit.
            self.bench.slate.close();
        }
        if fit == 0 {
            return Ok(Driven::Ready(()));
        }
        let more: Vec<Message> = self.hand.inbox.drain(..fit).collect();
        self.hand.wait_with(more.iter());
        let none = Grown::default();
        if let Driven::Cancelled = self.fetch_schemas(Messages::new(&more, &none))? {
            return Ok(Driven::Cancelled);
        }
        let mut more = more.into_iter();
        if let Some(refused) = more.find_map(|message| unit.push(message).err()) {
            self.bench.slate.close();
            more.rev().for_each(|message| self.hand.inbox.push_front(message));
            self.hand.inbox.push_front(refused);
        }
        Ok(Driven::Ready(()))
    }
}

/// Sees to it that a message carries the header that every message must have: with `makes` it gets
/// one. Answers whether it has it.
pub(super) fn name(message: &mut Message, makes: bool) -> bool {
    if given(message.last_header(GUID)) {
        return true;
    }
    if makes {
        let guid = message.made_guid();
        message.set_header("guid", guid.as_bytes());
    }
    makes
}
