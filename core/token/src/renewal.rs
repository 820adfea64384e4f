//! When a token is renewed, and how long to wait after a failure. Pure.

use std::time::{Duration, SystemTime};

use nubium_config::TokenOrigin;

/// The least time between two tokens, however short they live.
const LEAST: Duration = Duration::from_millis(500);
/// A file costs nothing to read, and may hold a better token than the one at hand.
const FILE: Duration = Duration::from_secs(30);

/// When the token that was had at `had` is due: after three quarters of what was left of it.
/// Brokers end a session with its token, and clients prove themselves again after nine tenths
/// (KIP-368), so the new one is there in time.
pub fn due(had: SystemTime, until: SystemTime, origin: &TokenOrigin) -> SystemTime {
    let left = until.duration_since(had).unwrap_or_default();
    let most = match origin {
        TokenOrigin::File(_) => FILE,
        _ => Duration::MAX,
    };
    had + (left * 3 / 4).min(most).max(LEAST)
}

/// How long to wait after so many failures in a row: 1, 2, 4 … 15 seconds.
pub fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(4)).min(Duration::from_secs(15))
}
