//! Encodes and decodes the ledger's records by hand: the registry's wire format, and the little
//! of Avro that they need. Apart from the product's codec on purpose.
//!
//! Formats: one zero byte and the schema id in 4 bytes, big endian, then the body (Confluent
//! wire format); integers as zigzag varints, strings as length and bytes (Avro 1.12, "Binary
//! Encoding").

use anyhow::{Context, Result, bail, ensure};

/// Writes one record field by field.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts a record of the schema with this registry id.
    pub fn framed(schema: u32) -> Self {
        let mut bytes = vec![0];
        bytes.extend(schema.to_be_bytes());
        Self(bytes)
    }

    /// Appends an Avro int or long.
    #[must_use]
    pub fn long(mut self, value: i64) -> Self {
        let mut rest = (value << 1 ^ value >> 63).cast_unsigned();
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }

    /// Appends an Avro string.
    #[must_use]
    pub fn string(self, value: &str) -> Self {
        let mut next = self.long(value.len() as i64);
        next.0.extend(value.as_bytes());
        next
    }

    /// Returns the framed record.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads one record field by field.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Splits a framed record into its schema id and a reader of its body.
    ///
    /// # Errors
    /// It is too short or does not start with a zero byte.
    pub fn framed(bytes: &'a [u8]) -> Result<(u32, Self)> {
        let (head, body) = bytes.split_at_checked(5).context("shorter than the wire format")?;
        ensure!(head[0] == 0, "the first byte is {}, not 0", head[0]);
        Ok((u32::from_be_bytes([head[1], head[2], head[3], head[4]]), Self(body)))
    }

    /// Reads an Avro int or long.
    ///
    /// # Errors
    /// The record ends within it, or it is longer than 64 bits.
    pub fn long(&mut self) -> Result<i64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().context("the record ends in a number")?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        bail!("a number of more than 64 bits")
    }

    /// Reads an Avro string.
    ///
    /// # Errors
    /// The record ends within it, or it is not UTF-8.
    pub fn string(&mut self) -> Result<&'a str> {
        let length = usize::try_from(self.long()?).context("a string of negative length")?;
        let (text, rest) = self.0.split_at_checked(length).context("the record ends in a text")?;
        self.0 = rest;
        Ok(std::str::from_utf8(text)?)
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// Bytes follow the last field.
    pub fn end(self) -> Result<()> {
        ensure!(self.0.is_empty(), "{} bytes follow the last field", self.0.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_bytes_of_the_specification() {
        let bytes = Writer::framed(258).long(-64).long(64).string("foo").finish();
        assert_eq!(bytes, [0, 0, 0, 1, 2, 0x7f, 0x80, 0x01, 0x06, b'f', b'o', b'o']);
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let numbers = [0, 1, -1, 63, -65, 1 << 40, i64::MAX, i64::MIN];
        let writer = numbers.iter().fold(Writer::framed(7), |writer, n| writer.long(*n));
        let bytes = writer.string("käse").finish();
        let (schema, mut reader) = Reader::framed(&bytes).unwrap();
        assert_eq!(schema, 7);
        for number in numbers {
            assert_eq!(reader.long().unwrap(), number);
        }
        assert_eq!(reader.string().unwrap(), "käse");
        reader.end().unwrap();
    }

    #[test]
    fn refuses_torn_records() {
        assert!(Reader::framed(&[0, 0, 0, 1]).is_err());
        assert!(Reader::framed(&[1, 0, 0, 0, 1]).is_err());
        for body in [&[0x80][..], &[0x06, b'f'], &[0xff; 10], &[0x02, 0xff]] {
            assert!(Reader(body).string().is_err(), "{body:?}");
        }
        assert!(Reader(&[0]).end().is_err());
    }
}
