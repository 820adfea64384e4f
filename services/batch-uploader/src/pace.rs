//! Spaces requests out in time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Hands out the moments of requests, evenly spaced. Shared by all loops of the process.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// Makes one for so many requests a second; none: without a bound.
    pub fn new(requests_per_second: Option<f64>) -> Self {
        let gap = requests_per_second.map_or(Duration::ZERO, |rate| {
            Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::ZERO)
        });
        Self { gap, next: Mutex::default() }
    }

    /// Takes the next moment, and answers how long it is until then.
    pub fn take(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        if !self.gap.is_zero() {
            *next = Some(at + self.gap);
        }
        at - now
    }

    /// Hands out no moment before this one.
    pub fn hold(&self, until: Instant) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(next.map_or(until, |next| next.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spaced_evenly_and_a_rest_earns_no_burst() {
        let (pace, now) = (Pace::new(Some(4.0)), Instant::now());
        let waits: Vec<_> = (0..3).map(|_| pace.take(now).as_millis()).collect();
        assert_eq!(waits, [0, 250, 500]);
        let later = now + Duration::from_secs(60);
        assert_eq!((pace.take(later).as_millis(), pace.take(later).as_millis()), (0, 250));
        let second = Duration::from_secs(1);
        pace.hold(later + second);
        assert_eq!(pace.take(later).as_millis(), 1_000);
        let free = Pace::new(None);
        free.hold(now + second);
        assert_eq!((free.take(now), free.take(now)), (second, second));
        assert_eq!(free.take(now + second), Duration::ZERO);
        let free = Pace::new(None);
        assert_eq!((free.take(now), free.take(now)), (Duration::ZERO, Duration::ZERO));
    }
}
