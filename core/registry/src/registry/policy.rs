//! Decides what to do when a request to the registry fails. No I/O here.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Longest time for which a `Retry-After` is obeyed; a server that says more is asked again anyway.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Says how a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There was no answer: no connection, TLS failure, connection lost.
    Transport,
    /// There was no answer in time.
    Timeout,
    /// The answer was a success, but not the JSON that the API promises.
    Body,
    /// The answer was this HTTP status.
    Status {
        /// HTTP status code.
        code: u16,
        /// What the header `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
}

/// Says what to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Asks again, not before this time if there is one.
    Retry {
        /// Least time to wait.
        after: Option<Duration>,
    },
    /// Asks the next server and, for a while, again: this one may not know the thing yet.
    NotFound,
    /// Gives up: asking again gives the same answer.
    Permanent,
}

/// Tells a failure that passes from one that stays.
///
/// What is temporary by its nature is retried: no answer, 408, 425, 429, every 5xx, and a success
/// whose body is not what it should be, as proxies send. A 404 may pass, since a follower registry
/// lags behind. Everything else (401, 403, 409, 422, other 4xx and redirects) stays.
#[must_use]
pub fn retriable(failure: Failure) -> Verdict {
    match failure {
        Failure::Transport | Failure::Timeout | Failure::Body => Verdict::Retry { after: None },
        Failure::Status { code: 408 | 425 | 429 | 500..=599, retry_after } => {
            Verdict::Retry { after: retry_after.map(|after| after.min(RETRY_AFTER_MAX)) }
        }
        Failure::Status { code: 404, .. } => Verdict::NotFound,
        Failure::Status { .. } => Verdict::Permanent,
    }
}

/// Says how long to wait between attempts: exponentially more, with jitter, up to a maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Longest first wait.
    pub first: Duration,
    /// Longest wait.
    pub max: Duration,
}

impl Backoff {
    /// Returns the wait after the given number of failed attempts: between half of and the whole of
    /// `first · 2^(attempts - 1)`. `random` is any number; it spreads the waits of many clients.
    #[must_use]
    pub fn wait(&self, attempts: u32, random: u64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(30);
        let whole = self.first.saturating_mul(1 << doublings).min(self.max);
        let half = whole / 2;
        half + half.mul_f64(random as f64 / u64::MAX as f64)
    }
}

/// Gives a number that is good enough to spread retries.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Failure {
        Failure::Status { code, retry_after: None }
    }

    #[test]
    fn what_may_pass_is_retried() {
        let retry = Verdict::Retry { after: None };
        let codes = [408, 425, 429, 500, 501, 502, 503, 504, 507, 599];
        assert!(codes.iter().all(|code| retriable(status(*code)) == retry));
        let others = [Failure::Transport, Failure::Timeout, Failure::Body];
        assert!(others.iter().all(|failure| retriable(*failure) == retry));
        assert_eq!(retriable(status(404)), Verdict::NotFound);
        for code in [301, 400, 401, 403, 405, 406, 409, 410, 413, 415, 422] {
            assert_eq!(retriable(status(code)), Verdict::Permanent, "{code}");
        }
    }

    #[test]
    fn retry_after_is_obeyed_within_bounds() {
        let asked = |seconds| Failure::Status {
            code: 429,
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let retry = |seconds| Verdict::Retry { after: Some(Duration::from_secs(seconds)) };
        assert_eq!(retriable(asked(7)), retry(7));
        assert_eq!(retriable(asked(86_400)), retry(60));
    }

    #[test]
    fn waits_double_up_to_the_maximum() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };
        for (attempts, whole) in [(1, 100), (2, 200), (4, 800), (7, 5000), (u32::MAX, 5000)] {
            let whole = Duration::from_millis(whole);
            assert_eq!(backoff.wait(attempts, 0), whole / 2);
            assert_eq!(backoff.wait(attempts, u64::MAX), whole);
        }
        assert_ne!(random(), random());
    }
}
