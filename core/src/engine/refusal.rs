//! Records that the broker refuses for what they are: which message is to blame, and how that is
//! found out. Pure.
//!
//! A refused record fails its whole transaction, and the answer may be about records that were
//! batched with it. So what failed is sent once more in small transactions, record by record, until
//! it is passed: there an answer is about one record, and that belongs to one message. Such a
//! message is not run again. It has failed with that error, and nothing of it goes out.

use crate::error::MessageError;
use nubium_kafka::message::Message;
use nubium_topic::{Offsets, TopicPartition};

/// How many messages or records a transaction has at most while records are sent one by one.
const CAREFUL: usize = 64;

/// The messages whose records are refused, and how far care is taken.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    known: Vec<((TopicPartition, i64), MessageError)>,
    /// Records are sent one by one until these offsets are committed.
    until: Offsets,
    /// One was found since care is taken.
    found: bool,
}

impl Refusals {
    /// Says whether records are to be sent one by one.
    pub(super) fn careful(&self) -> bool {
        !self.until.is_empty()
    }

    /// How many messages or records a transaction may have. With a table one: of several writes to
    /// a row only the last would be seen, and its message need not be the one to blame.
    pub(super) fn most(&self, table: bool) -> usize {
        match (self.careful(), table) {
            (false, _) => usize::MAX,
            (true, false) => CAREFUL,
            (true, true) => 1,
        }
    }

    /// Takes care until what was to be committed is committed.
    pub(super) fn take_care(&mut self, next: &Offsets) {
        (self.until, self.found) = (next.clone(), false);
    }

    /// Blames a message. `false`: it was blamed before, so that what is refused now says so.
    pub(super) fn blame(&mut self, place: (TopicPartition, i64), error: MessageError) -> bool {
        if self.known.iter().any(|(known, _)| *known == place) {
            return false;
        }
        self.found = true;
        self.known.push((place, error));
        true
    }

    /// Says whether a message is blamed.
    pub(super) fn has(&self, message: &Message) -> bool {
        !self.known.is_empty() && self.known.iter().any(|(known, _)| *known == message.place())
    }

    /// What a message is blamed for.
    pub(super) fn of(&self, message: &Message) -> Option<MessageError> {
        let of = self.known.iter().find(|(known, _)| *known == message.place());
        of.map(|(_, error)| error.clone())
    }

    /// Notes that a partition is committed up to this offset.
    pub(super) fn landed(&mut self, at: TopicPartition, next: i64) {
        if self.passed(at, next) {
            tracing::warn!(partition = %at,
                "The broker refused records together that it takes one by one. Set batch.size in \
                NU_PRODUCER_PROPERTIES_JSON below the output's max.message.bytes.");
        }
    }

    /// Forgets what is passed. `true`: care ends with it, and no record was to blame by itself.
    fn passed(&mut self, at: TopicPartition, next: i64) -> bool {
        self.known.retain(|((known, offset), _)| *known != at || *offset >= next);
        if self.until.get(at).is_some_and(|until| next >= until) {
            self.until.retain(|known| known != at);
            return self.until.is_empty() && !self.found;
        }
        false
    }

    /// Forgets partitions that are not ours any more.
    pub(super) fn release(&mut self, gone: &[TopicPartition]) {
        self.known.retain(|((at, _), _)| !gone.contains(at));
        self.until.retain(|at| !gone.contains(&at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: i64) -> (TopicPartition, i64) {
        (TopicPartition::new("t", 0), offset)
    }

    fn refused() -> MessageError {
        MessageError::RecordRefused { topic: "out".into(), why: "too large".into() }
    }

    #[test]
    fn care_is_taken_until_what_failed_is_passed() {
        let (at, other) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        let mut refusals = Refusals::default();
        assert!(!refusals.careful());
        refusals.take_care(&[(at, 10), (other, 5)].into_iter().collect());
        assert!(!refusals.passed(at, 9) && !refusals.passed(at, 10) && refusals.careful());
        refusals.release(&[other]);
        assert!(!refusals.careful());
        refusals.take_care(&[(at, 20)].into_iter().collect());
        assert!(refusals.passed(at, 20), "nothing was found");
        refusals.take_care(&[(at, 30)].into_iter().collect());
        refusals.blame(place(25), refused());
        assert!(!refusals.passed(at, 31) && !refusals.careful());
    }

    #[test]
    fn a_message_is_blamed_once_until_it_is_passed_or_gone() {
        let mut refusals = Refusals::default();
        assert!(refusals.blame(place(3), refused()) && refusals.blame(place(4), refused()));
        assert!(!refusals.blame(place(3), refused()));
        refusals.landed(TopicPartition::new("t", 0), 4);
        let message =
            |n| Message::owned(place(n).0, n, nubium_kafka::message::MessageBody::default());
        assert!(!refusals.has(&message(3)) && refusals.has(&message(4)));
        assert!(refusals.of(&message(4)).is_some());
        refusals.release(&[place(4).0]);
        assert!(!refusals.has(&message(4)));
    }
}
