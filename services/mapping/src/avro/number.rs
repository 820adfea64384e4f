//! Numbers that the mapping language has no type of its own for: decimals, and instants by unit.

use chrono::{DateTime, Utc};

use super::schema::Unit;

/// Writes a decimal's bytes (two's complement, big endian) as text; `None` when it has more than 16
/// bytes.
pub(super) fn decimal_text(bytes: &[u8], scale: u32) -> Option<String> {
    if bytes.len() > 16 {
        return None;
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut extended = [if negative { 0xff } else { 0 }; 16];
    extended[16 - bytes.len()..].copy_from_slice(bytes);
    let unscaled = i128::from_be_bytes(extended);
    let digits = unscaled.unsigned_abs().to_string();
    let scale = scale as usize;
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 {
        return Some(format!("{sign}{digits}"));
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    Some(format!("{sign}{whole}.{fraction}"))
}

/// Reads a decimal's text as its unscaled number; `None` when it is no number, too large, or finer
/// than the scale.
pub(super) fn decimal_unscaled(text: &str, scale: u32) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let missing = (scale as usize).checked_sub(fraction.len())?;
    let zeros = std::iter::repeat_n(b'0', missing);
    let mut unscaled = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
        unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    Some(sign * unscaled)
}

/// Gives the shortest two's complement bytes of a number, big endian.
pub(super) fn shortest(unscaled: i128) -> ([u8; 16], usize) {
    let bytes = unscaled.to_be_bytes();
    let filler = if unscaled < 0 { 0xff } else { 0 };
    let mut start = 0;
    while start < 15 && bytes[start] == filler && (bytes[start + 1] ^ filler) & 0x80 == 0 {
        start += 1;
    }
    (bytes, start)
}

/// Gives the instant so many units after 1970; `None` when it is out of the calendar's range.
pub(super) fn instant(count: i64, unit: Unit) -> Option<DateTime<Utc>> {
    match unit {
        Unit::Millis => DateTime::from_timestamp_millis(count),
        Unit::Micros => DateTime::from_timestamp_micros(count),
        Unit::Nanos => Some(DateTime::from_timestamp_nanos(count)),
    }
}

/// Counts the units of an instant since 1970, rounded down; `None` when 64 bits do not hold it.
pub(super) fn count(instant: &DateTime<Utc>, unit: Unit) -> Option<i64> {
    match unit {
        Unit::Millis => Some(instant.timestamp_millis()),
        Unit::Micros => Some(instant.timestamp_micros()),
        Unit::Nanos => instant.timestamp_nanos_opt(),
    }
}
