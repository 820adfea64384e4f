//! What librdkafka reports of single partitions and topics.

use super::KafkaSource;
use crate::kafka::{Event, PartitionTrouble};
use nubium_kafka::raw::NativeMessage;
use nubium_topic::{Offsets, Topic, TopicPartition};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use std::time::{Duration, Instant};

/// How often is asked whether a topic that is gone is still gone.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// How long that may take: the group is not served meanwhile.
const ANSWER: Duration = Duration::from_secs(2);
/// Stands for every partition of a topic.
const ALL: i32 = -1;
/// Stands for no offset.
const NOWHERE: i64 = -1;

/// Topics that were gone when last asked for.
#[derive(Debug, Default)]
pub(super) struct Missing {
    topics: Vec<Topic>,
    asked: Option<Instant>,
}

/// Sorts an error by what it asks for. `None`: it is none.
fn sort(code: RDKafkaErrorCode, offset: i64, text: String) -> Option<PartitionTrouble> {
    use RDKafkaErrorCode as C;
    Some(match code {
        C::PartitionEOF => return None,
        C::AutoOffsetReset | C::OffsetOutOfRange => {
            PartitionTrouble::OutOfRange { offset: (offset >= 0).then_some(offset) }
        }
        C::TopicAuthorizationFailed => PartitionTrouble::Denied(text),
        C::UnknownTopicOrPartition | C::UnknownTopic | C::UnknownPartition => {
            PartitionTrouble::Gone(text)
        }
        _ => PartitionTrouble::Other(text),
    })
}

/// Reads an error event that came in a message's place.
pub(super) fn of_message(
    code: RDKafkaErrorCode,
    message: &NativeMessage,
) -> Option<(TopicPartition, PartitionTrouble)> {
    let at = TopicPartition::new(message.topic(), message.partition());
    // librdkafka puts its sentence where a message has its value.
    let text = message.value().map(String::from_utf8_lossy);
    let text = text.map_or_else(|| code.to_string(), |text| format!("{code} ({text})"));
    Some((at, sort(code, message.offset(), text)?))
}

/// Says whether a place that is out of range is one from before the last seek.
pub(super) fn is_stale(trouble: &PartitionTrouble, at: TopicPartition, places: &Offsets) -> bool {
    let PartitionTrouble::OutOfRange { offset: Some(offset) } = trouble else { return false };
    places.get(at).is_some_and(|place| *offset < place)
}

/// Says whether an error of the group, which comes without a name, is about one of its topics.
pub(super) fn is_of_topic(code: RDKafkaErrorCode) -> bool {
    let found = sort(code, -1, String::new());
    matches!(found, Some(PartitionTrouble::Denied(_) | PartitionTrouble::Gone(_)))
}

impl KafkaSource {
    /// Takes a partition's trouble in, to be told by `serve`.
    pub(super) fn note(&mut self, at: TopicPartition, trouble: PartitionTrouble) {
        if is_stale(&trouble, at, &self.places) {
            return;
        }
        match &trouble {
            PartitionTrouble::OutOfRange { .. } => self.halt(&[at]),
            PartitionTrouble::Gone(_) => self.missing.add(at.topic),
            PartitionTrouble::Denied(_) | PartitionTrouble::Other(_) => {}
        }
        self.troubles.push_back(Event::Partition { at, trouble });
    }

    /// Finds the topics that an error of the group is about. Answers whether there are any.
    pub(super) fn blame(&mut self, code: RDKafkaErrorCode) -> bool {
        let topics = self.subscription.iter().map(|name| Topic::named(name));
        let blamed: Vec<_> = topics.filter(|topic| self.error_of(*topic) == Some(code)).collect();
        for topic in &blamed {
            if let Some(trouble) = sort(code, NOWHERE, code.to_string()) {
                self.note(TopicPartition { topic: *topic, partition: ALL }, trouble);
            }
        }
        !blamed.is_empty()
    }

    /// Asks again for topics that were gone, now and then. librdkafka tells it once, and the topic
    /// may be made anew.
    pub(super) fn ask_for_missing(&mut self) {
        if !self.missing.is_due(Instant::now()) {
            return;
        }
        for topic in std::mem::take(&mut self.missing.topics) {
            let Some(code) = self.error_of(topic) else { continue };
            if let Some(trouble) = sort(code, NOWHERE, code.to_string()) {
                self.note(TopicPartition { topic, partition: ALL }, trouble);
            }
        }
    }

    /// Asks the cluster what is wrong with a topic. `None`: nothing, or there is no answer.
    fn error_of(&self, topic: Topic) -> Option<RDKafkaErrorCode> {
        let answer = self.consumer.fetch_metadata(Some(topic.name()), ANSWER).ok()?;
        let found = answer.topics().iter().find(|found| found.name() == topic.name())?;
        found.error().map(RDKafkaErrorCode::from)
    }
}

impl Missing {
    fn add(&mut self, topic: Topic) {
        if !self.topics.contains(&topic) {
            self.topics.push(topic);
        }
        self.asked = Some(Instant::now());
    }

    fn is_due(&self, now: Instant) -> bool {
        let long_ago = |asked: Instant| now.saturating_duration_since(asked) >= ASK_AGAIN;
        !self.topics.is_empty() && self.asked.is_none_or(long_ago)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode as C;

    #[test]
    fn errors_are_sorted_by_what_they_ask_for() {
        let text = || "why".to_owned();
        for (code, offset, sorted) in [
            (C::PartitionEOF, 7, None),
            (C::AutoOffsetReset, 7, Some(PartitionTrouble::OutOfRange { offset: Some(7) })),
            (C::AutoOffsetReset, -1001, Some(PartitionTrouble::OutOfRange { offset: None })),
            (C::TopicAuthorizationFailed, 7, Some(PartitionTrouble::Denied(text()))),
            (C::UnknownTopicOrPartition, 7, Some(PartitionTrouble::Gone(text()))),
            (C::UnknownTopic, 7, Some(PartitionTrouble::Gone(text()))),
            (C::UnknownPartition, 7, Some(PartitionTrouble::Gone(text()))),
            (C::BadMessage, 7, Some(PartitionTrouble::Other(text()))),
        ] {
            assert_eq!(sort(code, offset, text()), sorted, "{code:?}");
        }
        assert!(
            is_of_topic(C::UnknownTopicOrPartition) && is_of_topic(C::TopicAuthorizationFailed)
        );
        assert!(!is_of_topic(C::GroupAuthorizationFailed) && !is_of_topic(C::PartitionEOF));
    }

    #[test]
    fn a_place_before_the_last_seek_is_old_news() {
        let at = TopicPartition::new("t", 0);
        let places = [(at, 500)].into_iter().collect();
        for (offset, stale) in [(Some(100), true), (Some(500), false), (None, false)] {
            let trouble = PartitionTrouble::OutOfRange { offset };
            assert_eq!(is_stale(&trouble, at, &places), stale, "{offset:?}");
        }
        let other = TopicPartition::new("t", 1);
        let trouble = PartitionTrouble::OutOfRange { offset: Some(0) };
        assert!(!is_stale(&trouble, other, &places));
        assert!(!is_stale(&PartitionTrouble::Gone(String::new()), at, &places));
    }

    #[test]
    fn a_topic_that_is_gone_is_asked_for_again_after_a_while() {
        let mut missing = Missing::default();
        assert!(!missing.is_due(Instant::now() + ASK_AGAIN));
        missing.add(Topic::named("t"));
        missing.add(Topic::named("t"));
        assert_eq!(missing.topics.len(), 1);
        assert!(!missing.is_due(Instant::now()));
        assert!(missing.is_due(Instant::now() + ASK_AGAIN));
    }
}
