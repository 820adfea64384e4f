//! Partitions that cannot be read: where to go on, what is lost by it, and when to give up.

use super::Engine;
use super::commit::Committer;
use super::recovery::QUESTION;
use crate::error::LoopError;
use crate::kafka::{OffsetReset, PartitionTrouble, Source};
use crate::pattern::Pattern;
use nubium_host::errors::Code;
use nubium_topic::TopicPartition;
use std::time::Duration;

/// How long a topic counts as gone after that was last heard; it is told every 30 s.
const GONE: Duration = Duration::from_secs(75);

/// Where a partition goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move {
    to: i64,
    /// Offsets that retention deleted before they were read.
    deleted: u64,
    /// Offsets that are there and will not be read.
    skipped: u64,
}

/// Decides where to go on from a place that the log, from `first` to `end`, does not hold. `None`:
/// nowhere, the setting forbids to guess.
///
/// A place that the log does hold by now is kept whatever the setting: it was ahead of a new leader
/// for a moment. Where the place is not known, nothing can be said of what is passed over.
fn next_place(place: Option<i64>, (first, end): (i64, i64), reset: OffsetReset) -> Option<Move> {
    let count = |from: i64, to: i64| u64::try_from(to.saturating_sub(from)).unwrap_or(0);
    if let Some(place) = place.filter(|place| (first..=end).contains(place)) {
        return Some(Move { to: place, deleted: 0, skipped: 0 });
    }
    let to = match reset {
        OffsetReset::Earliest => first,
        OffsetReset::Latest => end,
        OffsetReset::Error => return None,
    };
    let deleted = place.map_or(0, |place| count(place, first));
    let skipped = place.map_or(0, |place| count(place.max(first), to));
    Some(Move { to, deleted, skipped })
}

impl<S: Source, C: Committer, P: Pattern> Engine<'_, S, C, P> {
    /// Acts on a partition's trouble.
    pub(super) fn partition_trouble(
        &mut self,
        at: TopicPartition,
        trouble: &PartitionTrouble,
    ) -> Result<(), LoopError> {
        match trouble {
            PartitionTrouble::OutOfRange { offset } => self.out_of_range(at, *offset),
            PartitionTrouble::Denied(text) => Err(denied(at, text)),
            PartitionTrouble::Gone(text) => {
                tracing::error!(topic = %at.topic, partition = at.partition, error = %text,
                    "{}: An input topic or a partition of it is gone. Its messages are not \
                    handled: create it again, or take it out of NU_CONSUME_TOPICS.",
                    Code::InputGone);
                self.observer.input_gone(GONE);
                Ok(())
            }
            PartitionTrouble::Other(text) => {
                tracing::warn!(topic = %at.topic, partition = at.partition, error = %text,
                    "A partition cannot be fetched for now.");
                Ok(())
            }
        }
    }

    /// Follows `NU_CONSUMER_AUTO_OFFSET_RESET`, and says and counts what is lost. The place that is
    /// out of range is the one to be fetched next: messages in hand lie before it and stay.
    fn out_of_range(&mut self, at: TopicPartition, place: Option<i64>) -> Result<(), LoopError> {
        if !self.hand.is_fetched(at) {
            return Ok(());
        }
        let (first, end) = self.ask("watermarks", |source| source.watermarks(at, QUESTION))?;
        let reset = self.source.reset();
        let Some(plan) = next_place(place, (first, end), reset) else {
            return Err(nowhere(at, place, (first, end)));
        };
        let Move { to, deleted, skipped } = plan;
        let (topic, partition) = (at.topic, at.partition);
        if place == Some(to) {
            tracing::warn!(%topic, partition, offset = to, first, end,
                "The broker did not know an offset for a moment. Asking again there.");
        } else {
            let offset = place.map_or("unknown".to_owned(), |place| place.to_string());
            tracing::error!(%topic, partition, offset, first, end, to, deleted, skipped, ?reset,
                "{}: The log does not hold the offset to read next. Going on elsewhere, as \
                NU_CONSUMER_AUTO_OFFSET_RESET says; look at the topic's retention and the lag.",
                Code::OffsetGone);
            self.observer.skipped(at, deleted, skipped);
        }
        let complete = self.bench.outbox.borrow().batch().next.get(at);
        if self.hand.holds(at) || complete.is_some_and(|next| self.hand.is_beyond(at, next)) {
            // What is in hand lies before the gap, and is committed first.
            self.hand.move_to(at, to);
        } else {
            // Committed at once: a crash must not leave the choice of the place to another moment.
            self.hand.begin_at(at, to);
            self.keep_guesses();
        }
        self.align()
    }
}

fn denied(at: TopicPartition, text: &str) -> LoopError {
    let error = format!(
        "{text}; the app's principal needs the right (ACL) Read on topic {}, and Describe with it",
        at.topic
    );
    LoopError::Kafka { step: "reading", what: format!("topic {}", at.topic), error }
}

fn nowhere(at: TopicPartition, place: Option<i64>, (first, end): (i64, i64)) -> LoopError {
    let place = place.map_or("an unknown offset".to_owned(), |place| format!("offset {place}"));
    let error = format!(
        "the log does not hold it, but offsets {first} to {end}, and \
         NU_CONSUMER_AUTO_OFFSET_RESET=error forbids to guess. Set the group's offset of {at} to \
         where it shall go on, or the setting to earliest or latest"
    );
    LoopError::Kafka { step: "reading", what: format!("{at} at {place}"), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_to_go_on_and_what_it_costs() {
        use OffsetReset::{Earliest, Error, Latest};
        let log = (500, 10_000);
        let to = |to, deleted, skipped| Some(Move { to, deleted, skipped });
        for (name, place, reset, expected) in [
            ("deleted, from the first", Some(100), Earliest, to(500, 400, 0)),
            ("deleted, from the end", Some(100), Latest, to(10_000, 400, 9_500)),
            ("deleted, and nothing guessed", Some(100), Error, None),
            ("behind the end, from the first", Some(10_001), Earliest, to(500, 0, 0)),
            ("behind the end, from the end", Some(10_001), Latest, to(10_000, 0, 0)),
            ("behind the end, and nothing guessed", Some(10_001), Error, None),
            ("there by now", Some(700), Latest, to(700, 0, 0)),
            ("there by now, at the first", Some(500), Error, to(500, 0, 0)),
            ("there by now, at the end", Some(10_000), Earliest, to(10_000, 0, 0)),
            ("not known, from the first", None, Earliest, to(500, 0, 0)),
            ("not known, from the end", None, Latest, to(10_000, 0, 0)),
            ("not known, and nothing guessed", None, Error, None),
        ] {
            assert_eq!(next_place(place, log, reset), expected, "{name}");
        }
        let emptied = next_place(Some(100), (500, 500), Latest);
        assert_eq!(emptied, to(500, 400, 0), "everything was deleted");
    }

    #[test]
    fn errors_name_the_place_the_reason_and_the_way_out() {
        let at = TopicPartition::new("orders", 3);
        let text = nowhere(at, Some(100), (500, 10_000)).to_string();
        for part in ["orders[3]", "offset 100", "500 to 10000", "NU_CONSUMER_AUTO_OFFSET_RESET"] {
            assert!(text.contains(part), "no {part} in: {text}");
        }
        let text = denied(at, "Topic authorization failed").to_string();
        for part in ["topic orders", "Topic authorization failed", "Read", "principal"] {
            assert!(text.contains(part), "no {part} in: {text}");
        }
    }
}
