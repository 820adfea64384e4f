//! Points in time as a person writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};

/// What is accepted, to follow the word "expected".
pub const ACCEPTED: &str = "a time such as 2026-11-24T09:30:00Z, 2026-11-24, -15m, -2h or -7d";

/// Reads a point in time as milliseconds since the epoch; `now` is what relative ones count from.
///
/// # Errors
/// It is none; says what is accepted.
pub fn parse(text: &str, now: i64) -> Result<i64, String> {
    let text = text.trim();
    if let Some(ago) = text.strip_prefix('-') {
        let ago = duration(ago).ok_or_else(|| refuse(text))?;
        return Ok(now - i64::try_from(ago.as_millis()).map_err(|_| refuse(text))?);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(time.and_utc().timestamp_millis());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let date = date.and_then(|date| date.and_hms_opt(0, 0, 0));
    date.map(|time| time.and_utc().timestamp_millis()).ok_or_else(|| refuse(text))
}

/// Reads a fixed point in time, as [`parse`] does.
#[must_use]
pub fn instant(text: &str) -> Option<i64> {
    if text.starts_with('-') { None } else { parse(text, 0).ok() }
}

/// Reads a length of time: a number and `ms`, `s`, `m`, `h` or `d`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// Shows milliseconds since the epoch.
#[must_use]
pub fn show(millis: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(millis)
        .map_or_else(|| millis.to_string(), |t| t.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Shows a length of time in its two largest units.
#[must_use]
pub fn show_duration(millis: i64) -> String {
    let seconds = millis.max(0) / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// The present moment in milliseconds since the epoch.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn refuse(text: &str) -> String {
    format!("{text:?} is no point in time; expected {ACCEPTED}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_person_writes() {
        let noon = 1_795_521_600_000;
        for (text, wanted) in [
            ("2026-11-24T12:00:00Z", noon),
            ("2026-11-24T13:00:00+01:00", noon),
            ("2026-11-24 12:00:00.250", noon + 250),
            ("2026-11-24T12:00", noon),
            ("2026-11-24", noon - 12 * 3_600_000),
            ("-15m", noon - 900_000),
            ("-2h", noon - 7_200_000),
            ("-1d", noon - 86_400_000),
            (" -500ms ", noon - 500),
        ] {
            assert_eq!(parse(text, noon), Ok(wanted), "{text}");
        }
        for text in ["", "-", "-5", "-5w", "yesterday", "24.11.2026", "-99999999999999999999d"] {
            let error = parse(text, noon).unwrap_err();
            assert!(error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn shows_time_and_length() {
        assert_eq!(show(1_795_521_600_250), "2026-11-24T12:00:00.250Z");
        for (millis, text) in [
            (-5, "0s"),
            (59_999, "59s"),
            (61_000, "1m 1s"),
            (3_720_000, "1h 2m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(show_duration(millis), text);
        }
    }
}
