//! What every command needs first: both halves of the settings, and the rules between them.

use nubium_core::config::{Config, Problem};

use crate::settings::Settings;

/// Tries before messages are routed, where the file does not say and there is a place for retries.
const TRIES: u32 = 5;

/// Holds settings without problems.
pub type Start = nubium_service::start::Start<Settings>;

/// Gives the topics that are consumed.
pub fn topics(start: &Start) -> Vec<&str> {
    let topics = match start.settings.topics.is_empty() {
        true => &start.config.routes.consume,
        false => &start.settings.topics,
    };
    topics.iter().map(String::as_str).collect()
}

/// Gives the tries before the messages of a request are routed to be retried; `u32::MAX` is for
/// ever.
pub fn tries(start: &Start) -> u32 {
    let unsaid = if has_place_for_retries(&start.config) { TRIES } else { u32::MAX };
    start.settings.retry.tries.unwrap_or(unsaid)
}

/// Says whether messages that are refused have somewhere to go.
pub fn has_failure_topic(config: &Config) -> bool {
    !config.routes.failure.is_empty()
}

fn has_place_for_retries(config: &Config) -> bool {
    config.routes.retry_count_max > 0 || !config.routes.retry.is_empty()
}

/// Answers which rules between both halves are broken, and adds advice to the warnings.
pub fn rules(start: &mut Start) -> Vec<Problem> {
    let advice = advice(start);
    start.warnings.extend(advice);
    broken(start)
}

fn broken(start: &Start) -> Vec<Problem> {
    let Start { config, settings, .. } = start;
    let own = |place: &str, read: String, expected: &str, example: &str| Problem {
        setting: settings.name.clone(),
        place: place.into(),
        read,
        expected: expected.into(),
        example: example.into(),
    };
    let mut problems = Vec::new();
    if topics(start).is_empty() {
        let expected = "the topics to consume, here or as NU_CONSUME_TOPICS";
        problems.push(own("topics", "nothing".into(), expected, "topics: [orders]"));
    }
    let nowhere = !has_place_for_retries(config) && !has_failure_topic(config);
    if let Some(tries) = settings.retry.tries.filter(|tries| nowhere && *tries < u32::MAX) {
        let expected = "0 (for ever), or a place for what is to be retried: set \
            NU_PRODUCE_RETRY_TOPICS, NU_RETRY_COUNT_MAX or NU_PRODUCE_FAILURE_TOPICS";
        problems.push(own("retry.tries", tries.to_string(), expected, "retry: {tries: 0}"));
    }
    let limit = config.consumer.max_poll_interval / 2;
    if settings.request.timeout > limit {
        let read = settings.request.timeout.as_secs_f64().to_string();
        let expected = format!(
            "at most {} s, half of NU_CONSUMER_TIMEOUT_LIMIT_MINUTES: after that /livez says \
             that the app hangs",
            limit.as_secs_f64()
        );
        let example = "request: {timeout_seconds: 30}";
        problems.push(own("request.timeout_seconds", read, &expected, example));
    }
    problems
}

fn advice(start: &Start) -> Vec<String> {
    let mut advice = Vec::new();
    if !has_failure_topic(&start.config) {
        advice.push(
            "NU_PRODUCE_FAILURE_TOPICS is not set: a message that the API refuses stops the \
             uploader"
                .into(),
        );
    }
    if start.settings.request.idempotency_header.is_none() {
        advice.push(
            "request.idempotency_header is not set: a request that is sent again after a crash \
             looks new to the API"
                .into(),
        );
    }
    advice
}
