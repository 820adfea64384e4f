//! What the loop goes by.

use super::Bounds;
use nubium_topic::Topic;
use std::time::Duration;

/// What an error of the app function leads to, after the retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorPolicy {
    /// Commit what was complete before it and end the app with an error, as the original does.
    Stop,
    /// Send the message to the failure topic and go on.
    DeadLetter,
}

/// What waits for what where several messages are in the function at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// Messages of the same key and partition, in order. One without a key waits for nothing.
    Key,
    /// Messages of the same partition, in order.
    Partition,
    /// Nothing.
    None,
}

/// How many messages of a loop are in the function at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// So many at most; with one the loop goes message by message.
    pub most: usize,
    /// What waits for what.
    pub ordering: Ordering,
    /// How many messages at most are begun, or done behind one that is not, or wait for theirs.
    pub window: usize,
    /// For tests: polls the functions in an order by this seed, as if they took longer or shorter.
    pub shuffle: Option<u64>,
}

impl Concurrency {
    /// One message after the other.
    pub const ONE: Self = Self { most: 1, ordering: Ordering::Key, window: 10_000, shuffle: None };

    /// So many messages at once, in order of each key.
    #[must_use]
    pub const fn of(most: usize) -> Self {
        Self { most, ..Self::ONE }
    }
}

/// What the loop goes by.
#[derive(Debug, Clone)]
pub struct LoopSettings {
    /// Bounds on one transaction.
    pub bounds: Bounds,
    /// What an error of the app function leads to.
    pub error_policy: ErrorPolicy,
    /// How often a failing message is tried again first.
    pub error_retries: u32,
    /// Waits between those tries, and between replays after aborts: the first and the longest one.
    pub backoff: (Duration, Duration),
    /// Messages are handled only once they are this old (`NU_CONSUMER_TIMESTAMP_OFFSET_MINUTES`).
    pub message_age: Duration,
    /// Topics of which that is otherwise (`NU_RETRY_DELAYS_MINUTES`).
    pub topic_ages: Vec<(Topic, Duration)>,
    /// How many messages are in the function at once.
    pub concurrency: Concurrency,
    /// Aborted transactions in a row after which the app ends.
    pub aborts_max: u32,
    /// The `transactional.id`, for messages.
    pub transactional_id: String,
}

impl LoopSettings {
    /// How old a message of a topic must be.
    pub(super) fn age_of(&self, topic: Topic) -> Duration {
        let own = self.topic_ages.iter().find(|(known, _)| *known == topic);
        own.map_or(self.message_age, |(_, age)| *age)
    }

    /// Says whether some messages must have an age.
    pub(super) fn waits_for_age(&self) -> bool {
        !self.message_age.is_zero() || !self.topic_ages.is_empty()
    }

    /// The wait before try `attempt` (from 1): doubled each time.
    pub(super) fn wait_before(&self, attempt: u32) -> Duration {
        let (first, longest) = self.backoff;
        first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest)
    }
}
