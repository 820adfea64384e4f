//! How the time of a stop is shared among its steps. Pure.

use std::time::Duration;

/// What the last push of the metrics gets at least, and the process to end after it.
const LAST: Duration = Duration::from_secs(3);

/// How long each step of a stop may take; together less than `NU_SHUTDOWN_TIMEOUT_SECONDS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopping {
    /// Not ready, but still taking requests, until load balancers have seen it.
    pub(crate) delay: Duration,
    /// Requests in hand finish.
    pub(crate) requests: Duration,
    /// What is left for the last push.
    pub(crate) last: Duration,
}

impl Stopping {
    /// Shares `limit` out. Each step gets what it asks for if that fits; else the delay gives way
    /// to a third, and the requests to the rest.
    pub(crate) fn within(limit: Duration, delay: Duration, requests: Duration) -> Self {
        let last = LAST.min(limit / 5);
        let delay = delay.min((limit - last) / 3);
        let requests = requests.min(limit - last - delay);
        Self { delay, requests, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_fit_the_limit_whatever_they_ask_for() {
        let seconds = Duration::from_secs;
        for (limit, delay, requests, expected) in [
            (25, 5, 10, (5, 10, 3)),
            (25, 5, 40, (5, 17, 3)),
            (28, 60, 60, (8, 16, 3)),
            (0, 5, 30, (0, 0, 0)),
        ] {
            let steps = Stopping::within(seconds(limit), seconds(delay), seconds(requests));
            assert!(steps.delay + steps.requests + steps.last <= seconds(limit), "{steps:?}");
            let (delay, requests, last) = expected;
            assert_eq!(steps.last, seconds(last), "{limit}");
            assert_eq!(steps.delay.as_secs(), delay, "{limit}");
            assert_eq!(steps.requests.as_secs(), requests, "{limit}");
        }
    }
}
