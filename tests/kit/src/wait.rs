//! Waits for a condition up to a deadline. Tests never sleep for luck.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What one look at a condition found.
#[derive(Debug)]
pub enum Look<T> {
    /// The condition holds.
    Ready(T),
    /// Not yet; the text says what was seen, for the message when the deadline passes.
    NotYet(String),
}

impl<T> Look<T> {
    /// Turns a failed look into "not yet", keeping the error's text.
    pub fn from_result<E: Display>(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Ready(value),
            Err(error) => Self::NotYet(format!("{error:#}")),
        }
    }
}

/// Looks again and again until the condition holds, and returns what it found.
///
/// The deadline only ends a hopeless wait; it is generous, and no test asserts on time.
///
/// # Errors
/// The deadline passed: names what was waited for and what was seen last.
pub fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Look<T>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match look() {
            Look::Ready(value) => return Ok(value),
            Look::NotYet(seen) if start.elapsed() >= deadline => {
                bail!("waited {} s for {what}; last seen: {seen}", deadline.as_secs())
            }
            Look::NotYet(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits until a condition without a value holds; see [`eventually`].
///
/// # Errors
/// The deadline passed.
pub fn until(what: &str, deadline: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    eventually(what, deadline, || {
        if holds() { Look::Ready(()) } else { Look::NotYet("it does not hold".into()) }
    })
}

/// Lets a fault last, where its length is what is tried: a pause beyond a time-out, say.
pub fn last(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_what_the_look_found() {
        let mut looks = 0;
        let found = eventually("the third look", Duration::from_secs(60), || {
            looks += 1;
            if looks == 3 { Look::Ready(looks) } else { Look::NotYet("early".into()) }
        });
        assert_eq!(found.unwrap(), 3);
    }

    #[test]
    fn names_what_was_waited_for_and_seen_last() {
        let error = eventually::<()>("rain", Duration::ZERO, || Look::NotYet("sun".into()));
        let text = error.unwrap_err().to_string();
        assert!(text.contains("rain") && text.contains("sun"), "{text}");
    }
}
