//! Whether records can be delivered: while they cannot, most requests are refused at once, so that
//! clients do not wait for a time-out each, and one a second is let in to find out.
//!
//! There is one gate for the brokers, and one for each route: a topic that acknowledges nothing
//! must not take the others with it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a request is let in through a closed gate.
const TRIAL_EVERY: Duration = Duration::from_secs(1);

/// Knows whether requests are let in.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Option<Closed>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Closed {
    since: Instant,
    last_trial: Instant,
    last_failure: Instant,
}

impl Gate {
    fn with<T>(&self, then: impl FnOnce(&mut Option<Closed>) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says whether a request is let in.
    pub fn admits(&self, now: Instant) -> bool {
        self.with(|closed| match closed {
            None => true,
            Some(closed) if now.saturating_duration_since(closed.last_trial) >= TRIAL_EVERY => {
                closed.last_trial = now;
                true
            }
            Some(_) => false,
        })
    }

    /// Closes it for a failure. Answers whether that is news.
    pub fn close(&self, now: Instant) -> bool {
        self.with(|closed| {
            let news = closed.is_none();
            let fresh = Closed { since: now, last_trial: now, last_failure: now };
            closed.get_or_insert(fresh).last_failure = now;
            news
        })
    }

    /// Says whether it is closed though nothing has failed for so long: then nobody tries any more.
    pub fn is_forgotten(&self, quiet: Duration, now: Instant) -> bool {
        self.with(|closed| {
            closed.is_some_and(|c| now.saturating_duration_since(c.last_failure) >= quiet)
        })
    }

    /// Opens it. Answers whether that is news.
    pub fn open(&self) -> bool {
        self.with(|closed| closed.take().is_some())
    }

    /// Says since when it is closed.
    pub fn closed_since(&self) -> Option<Instant> {
        self.with(|closed| closed.map(|closed| closed.since))
    }
}

/// Says since when nothing can be delivered: no broker is there, or no route is open. `routes` are
/// the routes' gates.
pub fn nothing_since(brokers: &Gate, routes: &[&Gate]) -> Option<Instant> {
    let routes: Option<Vec<_>> = routes.iter().map(|gate| gate.closed_since()).collect();
    brokers.closed_since().or_else(|| routes?.into_iter().max())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn through_a_closed_gate_one_request_a_second_is_let_in() {
        let (gate, start) = (Gate::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(gate.admits(at(0)) && gate.admits(at(0)));
        assert!(gate.close(at(0)), "news");
        assert!(!gate.close(at(1)), "no news");
        let seen = [10, 999, 1_000, 1_500, 2_000].map(|ms| gate.admits(at(ms)));
        assert_eq!(seen, [false, false, true, false, true]);
        assert_eq!(gate.closed_since(), Some(at(0)));
        let quiet = Duration::from_secs(5);
        assert!(!gate.is_forgotten(quiet, at(5_000)) && gate.is_forgotten(quiet, at(5_001)));
        gate.close(at(3_000));
        assert!(!gate.is_forgotten(quiet, at(7_999)), "it failed again");
        assert_eq!(gate.closed_since(), Some(at(0)), "it is still closed");
        assert!(gate.open(), "news");
        assert!(!gate.open(), "no news");
        assert!(!gate.is_forgotten(quiet, at(90_000)));
        assert!(gate.admits(at(2_001)) && gate.closed_since().is_none());
    }

    #[test]
    fn one_closed_route_is_no_outage_but_all_of_them_are() {
        let (brokers, one, other) = (Gate::default(), Gate::default(), Gate::default());
        let (start, later) = (Instant::now(), Instant::now() + Duration::from_secs(9));
        let nothing_since = || nothing_since(&brokers, &[&one, &other]);
        one.close(start);
        assert_eq!(nothing_since(), None);
        other.close(later);
        assert_eq!(nothing_since(), Some(later));
        one.open();
        brokers.close(start);
        assert_eq!(nothing_since(), Some(start));
    }
}
