//! What every command needs first: both halves of the settings, and the rules between them.

use std::path::Path;

use nubium_core::config::{Config, Problem, Problems};

use crate::settings::{Problem as Own, Settings};

/// Tries before messages are routed, where the file does not say and there is a place for retries.
const TRIES: u32 = 5;

/// Holds settings without problems.
#[derive(Debug)]
pub struct Start {
    /// The core's.
    pub config: Config,
    /// The uploader's.
    pub settings: Settings,
    /// What looks wrong.
    pub warnings: Vec<String>,
}

impl Start {
    /// Reads the environment and the uploader's file.
    ///
    /// # Errors
    /// Every problem of both.
    pub fn load(file: &Path) -> Result<Self, Problems> {
        match (Config::from_env(), Settings::load(file)) {
            (Ok(loaded), Ok(settings)) => {
                let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
                let mut start = Self { config: loaded.config, settings, warnings };
                let problems = start.rules();
                start.advise();
                if problems.is_empty() { Ok(start) } else { Err(Problems(problems)) }
            }
            (core, own) => {
                let mut problems = core.err().map_or_else(Vec::new, |problems| problems.0);
                problems.extend(own.err().into_iter().flatten());
                Err(Problems(problems))
            }
        }
    }

    /// The topics that are consumed.
    pub fn topics(&self) -> Vec<&str> {
        let topics = match self.settings.topics.is_empty() {
            true => &self.config.routes.consume,
            false => &self.settings.topics,
        };
        topics.iter().map(String::as_str).collect()
    }

    /// Tries before the messages of a request are routed to be retried; `u32::MAX` is for ever.
    pub fn tries(&self) -> u32 {
        let unsaid = if self.has_place_for_retries() { TRIES } else { u32::MAX };
        self.settings.retry.tries.unwrap_or(unsaid)
    }

    /// Whether messages that are refused have somewhere to go.
    pub fn has_failure_topic(&self) -> bool {
        !self.config.routes.failure.is_empty()
    }

    fn has_place_for_retries(&self) -> bool {
        let routes = &self.config.routes;
        routes.retry_count_max > 0 || !routes.retry.is_empty()
    }

    fn rules(&self) -> Vec<Problem> {
        let own = |place: &str, read: String, expected: &str, example: &str| Own {
            setting: self.settings.name.clone(),
            place: place.into(),
            read,
            expected: expected.into(),
            example: example.into(),
        };
        let mut problems = Vec::new();
        if self.topics().is_empty() {
            let expected = "the topics to consume, here or as NU_CONSUME_TOPICS";
            problems.push(own("topics", "nothing".into(), expected, "topics: [orders]"));
        }
        let nowhere = !self.has_place_for_retries() && !self.has_failure_topic();
        if let Some(tries) = self.settings.retry.tries.filter(|tries| nowhere && *tries < u32::MAX)
        {
            let expected = "0 (for ever), or a place for what is to be retried: set \
                NU_PRODUCE_RETRY_TOPICS, NU_RETRY_COUNT_MAX or NU_PRODUCE_FAILURE_TOPICS";
            problems.push(own("retry.tries", tries.to_string(), expected, "retry: {tries: 0}"));
        }
        let limit = self.config.consumer.max_poll_interval / 2;
        if self.settings.request.timeout > limit {
            let read = self.settings.request.timeout.as_secs_f64().to_string();
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

    fn advise(&mut self) {
        if !self.has_failure_topic() {
            self.warnings.push(
                "NU_PRODUCE_FAILURE_TOPICS is not set: a message that the API refuses stops the \
                 uploader"
                    .into(),
            );
        }
        if self.settings.request.idempotency_header.is_none() {
            self.warnings.push(
                "request.idempotency_header is not set: a request that is sent again after a crash \
                 looks new to the API"
                    .into(),
            );
        }
    }
}
