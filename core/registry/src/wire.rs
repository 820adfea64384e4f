//! Splits and writes the Confluent wire format: magic byte 0, schema id (u32, big-endian), body.
//!
//! Source: Confluent Schema Registry documentation, "Wire format".

use std::fmt;

use nubium_formats::Format;

/// Length of magic byte and schema id.
pub const HEADER_LEN: usize = 5;

const MAGIC: u8 = 0;

/// Identifies a schema in its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub u32);

impl SchemaId {
    /// Lowest of those that stand for formats without schemas: registries count from 1.
    const UNFRAMED: u32 = u32::MAX - 15;

    /// Gives the id that stands for a format without schemas.
    pub(crate) fn unframed(format: Format) -> Self {
        Self(Self::UNFRAMED + format as u32)
    }

    /// Tells whether it stands for a format without schemas, whose bytes name none.
    #[must_use]
    pub fn is_unframed(self) -> bool {
        self.0 >= Self::UNFRAMED
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Format::ALL.get((self.0.wrapping_sub(Self::UNFRAMED)) as usize) {
            Some(format) => write!(f, "none ({})", format.name()),
            None => self.0.fmt(f),
        }
    }
}

/// Says why bytes are not in the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// There are fewer bytes than magic byte and schema id take.
    #[error(
        "{0} bytes are too short for the registry's wire format, which has a header of 5 bytes"
    )]
    TooShort(usize),
    /// The first byte is not 0, so this was not written by a registry client.
    #[error("the first byte is {0:#04x}, not the magic byte 0 of the registry's wire format")]
    NoMagic(u8),
    /// The body is not exactly one Avro string.
    #[error("the body is not one Avro string")]
    NotAString,
}

/// Splits a message into schema id and body.
///
/// # Errors
/// [`WireError::NoMagic`] before [`WireError::TooShort`], for it says more about what was found.
#[inline]
pub fn split(bytes: &[u8]) -> Result<(SchemaId, &[u8]), WireError> {
    match bytes {
        [MAGIC, a, b, c, d, body @ ..] => {
            Ok((SchemaId(u32::from_be_bytes([*a, *b, *c, *d])), body))
        }
        [MAGIC, ..] | [] => Err(WireError::TooShort(bytes.len())),
        [other, ..] => Err(WireError::NoMagic(*other)),
    }
}

/// Appends magic byte and schema id.
#[inline]
pub fn put_header(id: SchemaId, out: &mut Vec<u8>) {
    let [a, b, c, d] = id.0.to_be_bytes();
    out.extend_from_slice(&[MAGIC, a, b, c, d]);
}

/// Reads a body that is exactly one Avro string: zigzag length, then UTF-8.
///
/// # Errors
/// [`WireError::NotAString`] when the length is wrong, bytes are left over or it is not UTF-8.
#[inline]
pub fn read_string(body: &[u8]) -> Result<&str, WireError> {
    let (length, text) = read_length(body).ok_or(WireError::NotAString)?;
    if length != text.len() as u64 {
        return Err(WireError::NotAString);
    }
    std::str::from_utf8(text).map_err(|_| WireError::NotAString)
}

/// Appends an Avro string.
#[inline]
pub fn put_string(text: &str, out: &mut Vec<u8>) {
    let mut zigzag = (text.len() as u64) << 1;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Reads a length that is not negative; Avro specification, "Binary encoding".
fn read_length(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut zigzag = 0u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        zigzag |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let rest = bytes.get(place + 1..)?;
            return (zigzag & 1 == 0).then_some((zigzag >> 1, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_named_when_it_is_wrong() {
        assert_eq!(split(&[0, 0, 0, 1, 2, 9]), Ok((SchemaId(258), &[9][..])));
        assert_eq!(split(&[]), Err(WireError::TooShort(0)));
        assert_eq!(split(&[0, 1, 2, 3]), Err(WireError::TooShort(4)));
        assert_eq!(split(b"{\"a\":1}"), Err(WireError::NoMagic(b'{')));
        assert_eq!(split(&[1]), Err(WireError::NoMagic(1)));
    }

    proptest! {
        #[test]
        fn strings_come_back(id: u32, text: String) {
            let mut out = Vec::new();
            put_header(SchemaId(id), &mut out);
            put_string(&text, &mut out);
            let (found, body) = split(&out).unwrap();
            prop_assert_eq!(found, SchemaId(id));
            prop_assert_eq!(read_string(body), Ok(text.as_str()));
            for cut in 0..body.len() {
                prop_assert_eq!(read_string(&body[..cut]), Err(WireError::NotAString));
            }
            out.push(0);
            prop_assert_eq!(read_string(&out[HEADER_LEN..]), Err(WireError::NotAString));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = split(&bytes);
            let _ = read_string(&bytes);
        }
    }
}
