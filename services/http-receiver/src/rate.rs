//! How many requests one route or caller may make: a bucket of tokens.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::settings::Rate;

/// Holds the tokens of one rate.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
    state: Mutex<Tokens>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Tokens {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// Makes a full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, state: Mutex::new(Tokens { left: f64::from(rate.burst), at: now }) }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// There is none: how long until there is one.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, taken) = take(*state, self.rate, now);
        *state = next;
        taken
    }
}

fn take(tokens: Tokens, rate: Rate, now: Instant) -> (Tokens, Result<(), Duration>) {
    let passed = now.saturating_duration_since(tokens.at).as_secs_f64();
    let left = (tokens.left + passed * rate.per_second).min(f64::from(rate.burst));
    let at = tokens.at.max(now);
    if left >= 1.0 {
        return (Tokens { left: left - 1.0, at }, Ok(()));
    }
    let wait = Duration::from_secs_f64((1.0 - left) / rate.per_second);
    (Tokens { left, at }, Err(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let bucket = Bucket::new(Rate { per_second: 2.0, burst: 3 }, start);
        let at = |millis| start + Duration::from_millis(millis);
        let half = Err(Duration::from_millis(500));
        for (now, answer) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, half),
            (250, Err(Duration::from_millis(250))),
            (500, Ok(())),
            (500, half),
            // After a long pause the burst is back, and no more than that.
            (60_000, Ok(())),
            (60_000, Ok(())),
            (60_000, Ok(())),
            (60_000, half),
            // A clock that another thread read earlier.
            (59_000, half),
        ] {
            assert_eq!(bucket.take(at(now)), answer, "at {now} ms");
        }
    }
}
