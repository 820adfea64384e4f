//! Leaves an API alone that fails again and again: a circuit breaker. Shared by all loops of the
//! process.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::settings;

/// Counts failures in a row.
#[derive(Debug)]
pub struct Breaker {
    limit: Option<settings::Breaker>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// While it is open: when the next request may try.
    next: Option<Instant>,
}

/// What a request said of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// That it works.
    Works,
    /// That it fails.
    Fails,
    /// Neither.
    Nothing,
}

/// What is new about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Requests wait from now on.
    Opens,
    /// They do not any more.
    Closes,
}

impl Breaker {
    /// Makes one; without a limit it never opens.
    #[must_use]
    pub fn new(limit: Option<settings::Breaker>) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Says how long a request must wait; zero lets it through. While it is open one in every pause
    /// is, to find out.
    pub fn ask(&self, now: Instant) -> Duration {
        let Some(limit) = self.limit else { return Duration::ZERO };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(next) = &mut state.next else { return Duration::ZERO };
        let wait = next.saturating_duration_since(now);
        if wait.is_zero() {
            *next = now + limit.pause;
        }
        wait
    }

    /// Notes what a request said.
    pub fn note(&self, said: Said, now: Instant) -> Option<Change> {
        let limit = self.limit?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was_open = state.next.is_some();
        match said {
            Said::Nothing => None,
            Said::Works => {
                *state = State::default();
                was_open.then_some(Change::Closes)
            }
            Said::Fails => {
                state.failures = state.failures.saturating_add(1);
                if state.failures < limit.failures {
                    return None;
                }
                state.next = Some(now + limit.pause);
                (!was_open).then_some(Change::Opens)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_through_to_find_out() {
        let pause = Duration::from_secs(30);
        let breaker = Breaker::new(Some(settings::Breaker { failures: 3, pause }));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for said in [Said::Fails, Said::Fails, Said::Works, Said::Fails, Said::Nothing, Said::Fails]
        {
            assert_eq!((breaker.ask(start), breaker.note(said, start)), (Duration::ZERO, None));
        }
        assert_eq!(breaker.note(Said::Fails, start), Some(Change::Opens));
        assert_eq!((breaker.ask(at(10)), breaker.ask(at(29))), (pause * 2 / 3, pause / 30));
        assert_eq!((breaker.ask(at(30)), breaker.ask(at(30))), (Duration::ZERO, pause), "one");
        assert_eq!(breaker.note(Said::Fails, at(31)), None, "it is open already");
        assert_eq!(breaker.ask(at(32)).as_secs(), 29);
        // The one that was let through never came back: another one is.
        assert_eq!((breaker.ask(at(61)), breaker.ask(at(91))), (Duration::ZERO, Duration::ZERO));
        assert_eq!(breaker.note(Said::Works, at(92)), Some(Change::Closes));
        assert_eq!((breaker.ask(at(92)), breaker.ask(at(92))), (Duration::ZERO, Duration::ZERO));
        let none = Breaker::new(None);
        assert!((0..99).all(|_| none.note(Said::Fails, start).is_none()));
        assert_eq!(none.ask(start), Duration::ZERO);
    }
}
