//! Dates, times of day and instants as text, as RFC 3339 writes them, and back.
//!
//! Text is exact: it has as many digits as the unit, and what does not fit the unit is refused
//! rather than rounded.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _, Utc};

use crate::node::Unit;

/// Nanoseconds of one.
fn nanos(unit: Unit) -> i64 {
    match unit {
        Unit::Millis => 1_000_000,
        Unit::Micros => 1_000,
        Unit::Nanos => 1,
    }
}

fn digits(unit: Unit) -> usize {
    match unit {
        Unit::Millis => 3,
        Unit::Micros => 6,
        Unit::Nanos => 9,
    }
}

/// Gives the instant so many units after 1970; `None` outside of the calendar's years.
#[must_use]
pub fn instant(count: i64, unit: Unit) -> Option<DateTime<Utc>> {
    match unit {
        Unit::Millis => DateTime::from_timestamp_millis(count),
        Unit::Micros => DateTime::from_timestamp_micros(count),
        Unit::Nanos => Some(DateTime::from_timestamp_nanos(count)),
    }
}

/// Counts the units of an instant since 1970, rounded down; `None` when 64 bits do not hold it.
#[must_use]
pub fn count(instant: &DateTime<Utc>, unit: Unit) -> Option<i64> {
    match unit {
        Unit::Millis => Some(instant.timestamp_millis()),
        Unit::Micros => Some(instant.timestamp_micros()),
        Unit::Nanos => instant.timestamp_nanos_opt(),
    }
}

/// Counts as [`count`], if nothing of the instant is lost.
fn exact(instant: &DateTime<Utc>, unit: Unit) -> Option<i64> {
    let whole = i64::from(instant.timestamp_subsec_nanos()) % nanos(unit) == 0;
    count(instant, unit).filter(|_| whole)
}

/// Years that RFC 3339 can write.
fn has_four_digits(at: NaiveDateTime) -> bool {
    (0..10_000).contains(&chrono::Datelike::year(&at))
}

/// Writes an instant: `2026-01-31T09:30:00.000Z`.
#[must_use]
pub fn instant_text(count: i64, unit: Unit) -> Option<String> {
    let at = instant(count, unit)?.naive_utc();
    has_four_digits(at).then(|| format!("{}Z", local(at, unit)))
}

/// Writes a local timestamp: `2026-01-31T09:30:00.000`.
#[must_use]
pub fn local_text(count: i64, unit: Unit) -> Option<String> {
    let at = instant(count, unit)?.naive_utc();
    has_four_digits(at).then(|| local(at, unit))
}

fn local(at: NaiveDateTime, unit: Unit) -> String {
    let fraction = i64::from(at.nanosecond()) / nanos(unit);
    format!("{}.{fraction:0width$}", at.format("%FT%T"), width = digits(unit))
}

/// Writes a date: `2026-01-31`.
#[must_use]
pub fn date_text(days: i32) -> Option<String> {
    let at = instant(i64::from(days).checked_mul(86_400_000)?, Unit::Millis)?.naive_utc();
    has_four_digits(at).then(|| at.format("%F").to_string())
}

/// Writes a time of day: `09:30:00.000`.
#[must_use]
pub fn time_text(count: i64, unit: Unit) -> Option<String> {
    let nanos_in_all = count.checked_mul(nanos(unit))?;
    let seconds = u32::try_from(nanos_in_all.div_euclid(1_000_000_000)).ok()?;
    let rest = u32::try_from(nanos_in_all.rem_euclid(1_000_000_000)).ok()?;
    let at = NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest)?;
    let fraction = i64::from(rest) / nanos(unit);
    Some(format!("{}.{fraction:0width$}", at.format("%T"), width = digits(unit)))
}

/// Reads an instant, with the zone that RFC 3339 asks for; `None` also when it is finer than the
/// unit.
#[must_use]
pub fn read_instant(text: &str, unit: Unit) -> Option<i64> {
    let instant = DateTime::parse_from_rfc3339(text).ok()?;
    exact(&instant.with_timezone(&Utc), unit)
}

/// Reads a date; with midnight in UTC too, as tables once had it.
#[must_use]
pub fn read_date(text: &str) -> Option<i32> {
    let text = text.strip_suffix("T00:00:00Z").unwrap_or(text);
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok()
}

/// Reads a local timestamp: a date, `T` or a space, and a time of day; no zone.
#[must_use]
pub fn read_local(text: &str, unit: Unit) -> Option<i64> {
    let parse = |format| NaiveDateTime::parse_from_str(text, format).ok();
    let at = parse("%Y-%m-%dT%H:%M:%S%.f").or_else(|| parse("%Y-%m-%d %H:%M:%S%.f"))?;
    exact(&at.and_utc(), unit)
}

/// Reads a time of day, with or without seconds.
#[must_use]
pub fn read_time(text: &str, unit: Unit) -> Option<i64> {
    let parse = |format| NaiveTime::parse_from_str(text, format).ok();
    let at = parse("%H:%M:%S%.f").or_else(|| parse("%H:%M"))?;
    let seconds = i64::from(at.num_seconds_from_midnight());
    let in_all = seconds * 1_000_000_000 + i64::from(at.nanosecond());
    // A leap second has no place in a count.
    (at.nanosecond() < 1_000_000_000 && in_all % nanos(unit) == 0).then(|| in_all / nanos(unit))
}
