//! Reads and writes numbers the way the text format's reference implementation does.
//!
//! The text format 0.0.4 leaves numbers to Go's `strconv`: clients and tests rely on the result,
//! so `1000000` is written `1e+06` and `0x10` is refused.

use std::io::Write;

/// Parses a sample value; `None` when it is no float or does not fit one.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let signed = digits.len() != text.len();
    let value: f64 = text.parse().ok()?;
    let spelled_out = digits.starts_with(['i', 'I', 'n', 'N']);
    match spelled_out {
        // Rust takes a sign before NaN, and rounds what is too large to infinity.
        true if value.is_nan() && signed => None,
        false if value.is_infinite() => None,
        _ => Some(value),
    }
}

/// Appends a float: the shortest digits that read back as the same, with an exponent from 1e+06 on
/// and below 1e-04.
pub(crate) fn write(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if size == 0.0 {
        out.push(b'0');
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if (1e-4..1e6).contains(&size) {
        append(out, format_args!("{value}"));
    } else {
        write_exponent(out, value);
    }
}

/// Appends a float as OpenMetrics wants it in `le` and `quantile`: never a bare integer.
pub(crate) fn write_canonical(out: &mut Vec<u8>, value: f64) {
    let start = out.len();
    write(out, value);
    if value.is_finite() && !out[start..].iter().any(|byte| matches!(byte, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// Returns the float as text.
pub(crate) fn text(value: f64) -> String {
    let mut out = Vec::with_capacity(24);
    write(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

/// Rust writes `1e6` and `1e-5` where Go writes `1e+06` and `1e-05`.
fn write_exponent(out: &mut Vec<u8>, value: f64) {
    let start = out.len();
    append(out, format_args!("{value:e}"));
    let Some(at) = out[start..].iter().position(|byte| *byte == b'e') else { return };
    let exponent = out.split_off(start + at + 1);
    let (sign, digits) = match exponent.strip_prefix(b"-") {
        Some(digits) => (b'-', digits),
        None => (b'+', exponent.as_slice()),
    };
    out.push(sign);
    if digits.len() < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(digits);
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_go_does() {
        for (value, want) in [
            (1.0, "1"),
            (-1.0, "-1"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_795_437_126.554_443_8, "1.7954371265544438e+09"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e100, "1e+100"),
            (18_446_744_073_709_551_615.0, "1.8446744073709552e+19"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(value), want);
        }
    }

    #[test]
    fn reads_what_go_reads_and_refuses_what_it_refuses() {
        for good in ["1", "+5", ".5", "5.", "1e6", "Inf", "+inf", "-INF", "infinity", "nAn"] {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in ["", ".", "e5", "1e", "0x10", "0x1p1", "1_000", "1e400", "+nan", "1\r", "x"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn canonical_numbers_are_visibly_floats() {
        for (value, want) in [(1.0, "1.0"), (0.5, "0.5"), (1e7, "1e+07"), (f64::INFINITY, "+Inf")] {
            let mut out = Vec::new();
            write_canonical(&mut out, value);
            assert_eq!(out, want.as_bytes());
        }
    }
}
