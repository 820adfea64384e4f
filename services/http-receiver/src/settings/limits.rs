//! Reads the bounds.

use std::time::Duration;

use nubium_service::document::Fields;

use super::{Limits, Rate};

const KIB: u64 = 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            in_flight_bytes: 64 * 1024 * 1024,
            items: 10_000,
            connections: 512,
            header_read: Duration::from_secs(10),
            body_read: Duration::from_secs(15),
            delivery: Duration::from_secs(10),
            drain_delay: Duration::from_secs(3),
        }
    }
}

pub(super) fn read(root: &Fields<'_>) -> Limits {
    let default = Limits::default();
    let Some(fields) = root.section("limits", "limits: {body_kib: 1024}") else {
        return default;
    };
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let limits = Limits {
        body_bytes: size(fields.whole("body_kib", 1024, 1..=65_536) * KIB),
        in_flight_bytes: size(fields.whole("in_flight_mib", 64, 1..=4_096) * KIB * KIB),
        items: size(fields.whole("items", 10_000, 1..=100_000)),
        connections: size(fields.whole("connections", 512, 1..=65_536)),
        header_read: fields.seconds("header_seconds", 10.0, 0.1..=300.0),
        body_read: fields.seconds("body_seconds", 15.0, 0.1..=300.0),
        delivery: fields.seconds("delivery_seconds", 10.0, 0.5..=300.0),
        drain_delay: fields.seconds("drain_delay_seconds", 3.0, 0.0..=60.0),
    };
    if limits.in_flight_bytes < limits.body_bytes {
        let expected = "not less than body_kib: else the largest body is never taken";
        fields.problem("in_flight_mib", "less than body_kib", expected, "64");
    }
    fields.finish();
    limits
}

/// Reads `rate_limit` of a route or credential.
pub(super) fn rate(fields: &Fields<'_>) -> Option<Rate> {
    let example = "rate_limit: {requests_per_second: 50, burst: 100}";
    let section = fields.section("rate_limit", example)?;
    let per_second = match section.has("requests_per_second") {
        true => section.number("requests_per_second", 1.0, 0.001..=1e6),
        false => {
            section.problem("requests_per_second", "nothing", "a number", "50");
            1.0
        }
    };
    let usual = (per_second.ceil() as u64).clamp(1, 1_000_000);
    let burst = section.whole("burst", usual, 1..=1_000_000);
    section.finish();
    Some(Rate { per_second, burst: u32::try_from(burst).unwrap_or(u32::MAX) })
}
