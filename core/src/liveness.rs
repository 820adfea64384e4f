//! Judges from progress, not from a running process, whether the app is alive and ready.
//!
//! Each loop notes what it does in a [`Pulse`]. [`judge`] is a pure function of what pulses say,
//! the time and the [`Limits`]; `/livez` and `/readyz` return its two verdicts. Red on `/livez`
//! means "start me again", so it is given only for what a restart can mend. What waits on purpose
//! (no input, a rebalance, the registry, a message not old enough yet) stays green.
//!
//! All times are milliseconds of one monotonic clock, passed in; nothing here reads a clock.

mod judge;
mod pulse;

pub(crate) use judge::{Limits, judge};
pub(crate) use pulse::{Group, Pulse};

#[cfg(test)]
mod tests;
