//! Where a message goes that the app asks to retry or to give up. Pure.

use nubium_topic::Topic;

/// The settings that retry and failure routing follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryRoutes {
    /// Retries on the same topic before the message moves on (`NU_RETRY_COUNT_MAX`).
    pub count_max: u32,
    /// Topics a message moves to then, one after the other (`NU_PRODUCE_RETRY_TOPICS`).
    pub retry_topics: Vec<String>,
    /// The topic for what is given up (`NU_PRODUCE_FAILURE_TOPICS`).
    pub failure_topics: Vec<String>,
}

/// Where a retried message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryRoute {
    /// Back to the topic it came from, with the count raised to this.
    Same(u32),
    /// On to another topic, with the count at 0.
    Next(Topic),
    /// There is nowhere left to retry: it has failed.
    Failure,
}

impl RetryRoutes {
    /// Decides where a retry goes, by the topic the message came from and the count it carries: from
    /// a retry topic to the one after it, from any other topic to the first.
    #[must_use]
    pub fn route(&self, from: &str, count: u32) -> RetryRoute {
        if count < self.count_max {
            return RetryRoute::Same(count + 1);
        }
        let place = self.retry_topics.iter().position(|topic| topic == from);
        let next = self.retry_topics.get(place.map_or(0, |place| place + 1));
        next.map_or(RetryRoute::Failure, |topic| RetryRoute::Next(Topic::named(topic)))
    }

    /// The topic for what is given up, if there is one.
    #[must_use]
    pub fn failure(&self) -> Option<Topic> {
        self.failure_topics.first().map(|topic| Topic::named(topic))
    }
}

/// Reads a `kafka_retry_count` header. Absent is 0; what is no number counts as 0 too, so that a
/// bad header costs retries and never the message.
#[must_use]
pub fn count_of(header: Option<Option<&[u8]>>) -> u32 {
    header
        .flatten()
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .and_then(|text| text.trim().parse::<i64>().ok())
        .map_or(0, |count| u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(count_max: u32, retry: &[&str]) -> RetryRoutes {
        let retry_topics = retry.iter().map(|t| (*t).to_owned()).collect();
        RetryRoutes { count_max, retry_topics, failure_topics: vec!["failed".into()] }
    }

    #[test]
    fn counts_up_on_the_same_topic_then_moves_on_then_fails() {
        let (next, none) = (routes(2, &["later"]), routes(0, &[]));
        assert_eq!(next.route("in", 0), RetryRoute::Same(1));
        assert_eq!(next.route("in", 1), RetryRoute::Same(2));
        assert_eq!(next.route("in", 2), RetryRoute::Next(Topic::named("later")));
        assert_eq!(next.route("in", u32::MAX), RetryRoute::Next(Topic::named("later")));
        assert_eq!(none.route("in", 0), RetryRoute::Failure);
        assert_eq!(none.failure(), Some(Topic::named("failed")));
    }

    #[test]
    fn a_message_goes_along_the_chain_whichever_topic_it_is_read_from() {
        let chain = routes(1, &["retry1", "retry2", "retry3"]);
        let next = |from| match chain.route(from, 1) {
            RetryRoute::Next(topic) => topic.name(),
            RetryRoute::Failure => "failure",
            RetryRoute::Same(_) => "same",
        };
        assert_eq!(next("first try"), "retry1");
        assert_eq!(next("retry1"), "retry2");
        assert_eq!(next("retry2"), "retry3");
        assert_eq!(next("retry3"), "failure");
        assert_eq!(chain.route("retry2", 0), RetryRoute::Same(1), "each has its own tries");
    }

    #[test]
    fn a_bad_count_is_zero() {
        for (header, count) in [
            (None, 0),
            (Some(None), 0),
            (Some(Some(&b"3"[..])), 3),
            (Some(Some(&b" 4 "[..])), 4),
            (Some(Some(&b"-1"[..])), 0),
            (Some(Some(&b"many"[..])), 0),
            (Some(Some(&b"\xff"[..])), 0),
            (Some(Some(&b"2147483648"[..])), 2_147_483_648),
            (Some(Some(&b"99999999999"[..])), u32::MAX),
        ] {
            assert_eq!(count_of(header), count, "{header:?}");
        }
    }
}
