//! Whether Kafka can be reached: while it cannot, most requests are refused at once, so that
//! clients do not wait for a time-out each, and one a second is let in to find out.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a request is let in while Kafka is away.
const TRIAL_EVERY: Duration = Duration::from_secs(1);

/// Knows whether requests are let in.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Option<Away>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Away {
    since: Instant,
    last_trial: Instant,
    cause: Cause,
}

/// Says how it was noticed that Kafka is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No broker accepts a connection.
    Unreachable,
    /// A record was not acknowledged in time, though a broker may be connected.
    NotAcknowledged,
}

impl Gate {
    fn with<T>(&self, then: impl FnOnce(&mut Option<Away>) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says whether a request is let in.
    pub fn admits(&self, now: Instant) -> bool {
        self.with(|away| match away {
            None => true,
            Some(away) if now.saturating_duration_since(away.last_trial) >= TRIAL_EVERY => {
                away.last_trial = now;
                true
            }
            Some(_) => false,
        })
    }

    /// Notes that Kafka is away. Answers whether that is news.
    pub fn close(&self, cause: Cause, now: Instant) -> bool {
        self.with(|away| match away {
            Some(known) => {
                // A record that was not acknowledged says more: a connection alone does not end it.
                if cause == Cause::NotAcknowledged {
                    known.cause = cause;
                }
                false
            }
            None => {
                *away = Some(Away { since: now, last_trial: now, cause });
                true
            }
        })
    }

    /// Notes that a record was acknowledged. Answers whether that is news.
    pub fn acknowledged(&self) -> bool {
        self.with(|away| away.take().is_some())
    }

    /// Notes that a broker is connected. Answers whether requests are let in again because of it.
    pub fn connected(&self) -> bool {
        self.with(|away| match away {
            Some(Away { cause: Cause::Unreachable, .. }) => away.take().is_some(),
            _ => false,
        })
    }

    /// Says since when Kafka is away.
    pub fn away_since(&self) -> Option<Instant> {
        self.with(|away| away.map(|away| away.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_kafka_is_away_one_request_a_second_is_let_in() {
        let (gate, start) = (Gate::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(gate.admits(at(0)) && gate.admits(at(0)));
        assert!(gate.close(Cause::Unreachable, at(0)), "news");
        assert!(!gate.close(Cause::Unreachable, at(1)), "no news");
        let seen: Vec<_> = [10, 999, 1_000, 1_500, 2_000].map(|ms| gate.admits(at(ms))).into();
        assert_eq!(seen, [false, false, true, false, true]);
        assert_eq!(gate.away_since(), Some(at(0)));
        assert!(gate.acknowledged(), "news");
        assert!(gate.admits(at(2_001)) && gate.away_since().is_none());
    }

    #[test]
    fn a_connection_ends_an_outage_but_not_missing_acknowledgements() {
        let (gate, now) = (Gate::default(), Instant::now());
        gate.close(Cause::Unreachable, now);
        assert!(gate.connected() && gate.admits(now));
        gate.close(Cause::Unreachable, now);
        gate.close(Cause::NotAcknowledged, now);
        assert!(!gate.connected() && !gate.admits(now));
        assert!(gate.acknowledged());
    }
}
