//! Decimals: two's complement bytes, big endian, as text and back, of any size and without loss.

use num_bigint::{BigInt, Sign};

use crate::node::Decimal;

/// Most digits of a text that is read; far above any precision in use, and a bound on the work that
/// `1e999999999` asks for.
pub(crate) const MOST_DIGITS: usize = 10_000;

/// Writes a number as text.
#[must_use]
pub fn text(unscaled: &[u8], scale: usize) -> String {
    let (negative, digits) = match small(unscaled) {
        Some(number) => (number < 0, number.unsigned_abs().to_string()),
        None => {
            let number = BigInt::from_signed_bytes_be(unscaled);
            (number.sign() == Sign::Minus, number.magnitude().to_string())
        }
    };
    let sign = if negative { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

fn small(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut extended = [if negative { 0xff } else { 0 }; 16];
    let start = 16_usize.checked_sub(bytes.len())?;
    extended[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(extended))
}

/// Holds a number as it was written: its digits without a point, times 10 to the minus `scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    negative: bool,
    /// Without zeros in front; empty for zero.
    digits: String,
    /// Digits after the point; negative for zeros that were not written.
    scale: i64,
}

impl Number {
    /// Reads a number as JSON writes it (`-1.5e3`); a plus sign and a bare point are taken too.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !plain(whole) || !plain(fraction) {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0').to_owned();
        let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        (digits.len() <= MOST_DIGITS).then_some(Self { negative, digits, scale })
    }

    /// Takes a whole number.
    #[must_use]
    pub fn whole(number: i64) -> Self {
        let digits = number.unsigned_abs().to_string();
        let digits = digits.trim_start_matches('0').to_owned();
        Self { negative: number < 0, digits, scale: 0 }
    }

    /// Counts the digits before the point.
    pub(crate) fn whole_digits(&self) -> usize {
        let digits = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        usize::try_from(digits.saturating_sub(self.scale)).unwrap_or(0)
    }

    /// Gives the digits with exactly so many after the point.
    ///
    /// # Errors
    /// There are more than that; no digit is ever dropped.
    fn at(&self, scale: usize) -> Result<String, String> {
        let shift = i64::try_from(scale).unwrap_or(i64::MAX) - self.scale;
        if self.digits.is_empty() {
            return Ok(String::new());
        }
        if shift >= 0 {
            let zeros = usize::try_from(shift).ok().filter(|zeros| *zeros <= MOST_DIGITS);
            let zeros = zeros.ok_or("a number that is far too large")?;
            return Ok(format!("{}{}", self.digits, "0".repeat(zeros)));
        }
        let dropped = usize::try_from(-shift).unwrap_or(usize::MAX);
        let split = self.digits.len().checked_sub(dropped);
        match split.map(|at| self.digits.split_at(at)) {
            Some((kept, rest)) if rest.bytes().all(|digit| digit == b'0') => Ok(kept.to_owned()),
            _ => Err(format!("at most {scale} digits after the point are wanted")),
        }
    }

    /// Gives the bytes of a decimal.
    ///
    /// # Errors
    /// It has more digits, or more after the point, than the decimal.
    pub fn unscaled(&self, decimal: &Decimal) -> Result<Vec<u8>, String> {
        let digits = self.at(decimal.scale)?;
        if digits.len() > decimal.precision {
            return Err(format!("at most {} digits are wanted", decimal.precision));
        }
        let shortest = self.bytes(&digits);
        let Some(fixed) = &decimal.fixed else { return Ok(shortest) };
        let filler = if self.negative && !digits.is_empty() { 0xff } else { 0 };
        let missing = fixed.size.checked_sub(shortest.len());
        let missing = missing.ok_or_else(|| format!("{} bytes do not hold it", fixed.size))?;
        Ok([vec![filler; missing], shortest].concat())
    }

    /// Gives the bytes and the scale of a number that brings its own.
    ///
    /// # Errors
    /// It is far too large.
    pub fn with_scale(&self) -> Result<(Vec<u8>, i32), String> {
        let scale = self.scale.max(0);
        let digits = self.at(usize::try_from(scale).unwrap_or(usize::MAX))?;
        let scale = i32::try_from(scale).map_err(|_| "a number that is far too small")?;
        Ok((self.bytes(&digits), scale))
    }

    fn bytes(&self, digits: &str) -> Vec<u8> {
        let magnitude = digits.parse::<i128>().unwrap_or(0);
        if digits.len() <= 38 {
            return shortest(if self.negative { -magnitude } else { magnitude });
        }
        let sign = if self.negative { "-" } else { "" };
        let number = BigInt::parse_bytes(format!("{sign}{digits}").as_bytes(), 10);
        number.unwrap_or_default().to_signed_bytes_be()
    }

    /// Tells whether one number is less than, equal to or greater than another.
    #[must_use]
    pub fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let zero = |number: &Self| number.digits.is_empty();
        let sign = |number: &Self| match (zero(number), number.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        let magnitude =
            |number: &Self| i64::try_from(number.digits.len()).unwrap_or(i64::MAX) - number.scale;
        let by_digits = || {
            let width = self.digits.len().max(other.digits.len());
            let padded = |number: &Self| format!("{:0<width$}", number.digits);
            magnitude(self).cmp(&magnitude(other)).then_with(|| padded(self).cmp(&padded(other)))
        };
        match (sign(self), sign(other)) {
            (1, 1) => by_digits(),
            (-1, -1) => by_digits().reverse(),
            (one, other) => one.cmp(&other),
        }
    }
}

/// Gives the shortest two's complement bytes of a number, big endian.
fn shortest(number: i128) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let filler = if number < 0 { 0xff } else { 0 };
    let mut start = 0;
    while start < 15 && bytes[start] == filler && (bytes[start + 1] ^ filler) & 0x80 == 0 {
        start += 1;
    }
    bytes[start..].to_vec()
}
