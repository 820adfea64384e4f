//! Keeps what is known of the registry's health, for probes and metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Says whether the registry answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Since when every answer has been a temporary failure; `None` while it answers, and before
    /// the first request. A refusal (401, 409…) is an answer.
    pub failing_since: Option<Instant>,
    /// The newest failure, also when it is over.
    pub last_error: Option<String>,
    /// When the registry last answered.
    pub last_answer: Option<Instant>,
}

impl Health {
    /// Tells whether the newest request was answered.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.failing_since.is_none()
    }
}

/// Counts requests of one kind and outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCount {
    /// The route, with a placeholder where it names a subject or id.
    pub endpoint: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The HTTP status, or 0 where there was no answer.
    pub status: u16,
    /// How many there were.
    pub count: u64,
}

/// Collects both; a request takes milliseconds, so a lock is no matter.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    health: Health,
    counts: BTreeMap<(&'static str, &'static str, u16), u64>,
}

impl Record {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, endpoint: &'static str, method: &'static str, status: u16) {
        *self.kept().counts.entry((endpoint, method, status)).or_default() += 1;
    }

    pub(super) fn answered(&self) {
        let mut kept = self.kept();
        kept.health.failing_since = None;
        kept.health.last_answer = Some(Instant::now());
    }

    pub(super) fn failed(&self, error: &str) {
        let mut kept = self.kept();
        kept.health.failing_since.get_or_insert_with(Instant::now);
        kept.health.last_error = Some(error.into());
    }

    pub(super) fn health(&self) -> Health {
        self.kept().health.clone()
    }

    pub(super) fn counts(&self) -> Vec<RequestCount> {
        let counted = |(key, count): (&(&'static str, &'static str, u16), &u64)| {
            let (endpoint, method, status) = *key;
            RequestCount { endpoint, method, status, count: *count }
        };
        self.kept().counts.iter().map(counted).collect()
    }
}
