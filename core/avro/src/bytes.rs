//! The bytes of a datum, read with every bound checked, and the primitives that are written.
//!
//! Avro 1.12 specification, "Binary encoding".

use crate::Graph;
use crate::node::{Decimal, Node, NodeId};

/// Deepest nesting of a datum: a hostile one of a recursive type must not exhaust the stack.
pub(crate) const MAX_DEPTH: u32 = 64;

/// Bounds arrays whose items take no bytes (`null`, empty records), so that a few bad bytes cannot
/// ask for a billion items. Other arrays are bounded by the bytes there are.
pub(crate) const MAX_EMPTY_ITEMS: usize = 65_536;

/// Says why bytes are no datum of their schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at} of the value")]
pub struct DecodeError {
    /// Where in the datum, from 0.
    pub at: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads a datum from front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Gives the place of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Gives the bytes that were not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Checks that every byte was read.
    ///
    /// # Errors
    /// When bytes are left over: the schema is not the one that wrote them.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(self.error(format!("{left} bytes too many"))),
        }
    }

    /// Makes an error of the place that was reached.
    pub fn error(&self, what: impl Into<String>) -> DecodeError {
        DecodeError { at: self.at, what: what.into() }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            return Err(self.error(format!("{count} bytes expected, {} left", rest.len())));
        };
        self.at += count;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, DecodeError> {
        let mut bits = 0_u64;
        for shift in (0..70).step_by(7) {
            let Some(byte) = self.bytes.get(self.at) else {
                return Err(self.error("a number expected, nothing left"));
            };
            self.at += 1;
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(self.error("a number longer than 10 bytes"))
    }

    pub(crate) fn int(&mut self) -> Result<i32, DecodeError> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| self.error(format!("{long} does not fit an int")))
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        let long = self.long()?;
        usize::try_from(long).map_err(|_| self.error(format!("a length of {long}")))
    }

    /// Reads bytes: their length, then they.
    ///
    /// # Errors
    /// There are fewer.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        self.take(length)
    }

    /// Reads a text: its length, then UTF-8.
    ///
    /// # Errors
    /// There are fewer bytes, or they are no UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.error("a string that is not UTF-8"))
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(format!("a boolean of {other}"))),
        }
    }

    pub(crate) fn variant<'s, T>(&mut self, of: &'s [T]) -> Result<&'s T, DecodeError> {
        let index = self.long()?;
        usize::try_from(index).ok().and_then(|index| of.get(index)).ok_or_else(|| {
            self.error(format!("choice {index} of {} in a union or an enum", of.len()))
        })
    }

    /// Reads the head of an array's or map's block: how many items, and how many bytes if the
    /// writer says so.
    pub(crate) fn block(&mut self) -> Result<(usize, Option<usize>), DecodeError> {
        let count = self.long()?;
        let (count, bytes) = match count {
            0.. => (count, None),
            _ => (count.checked_neg().unwrap_or(i64::MAX), Some(self.length()?)),
        };
        // An item has a byte at least (an array of nulls has no use), so more of them cannot
        // follow.
        let left = self.bytes.len() - self.at;
        match usize::try_from(count) {
            Ok(count) if count <= left.max(MAX_EMPTY_ITEMS) => Ok((count, bytes)),
            _ => Err(self.error(format!("{count} items in {left} bytes"))),
        }
    }
}

/// Passes over one value of type `node`.
///
/// # Errors
/// When the bytes end early or nest deeper than 64. What lies inside is not looked at more closely
/// than that takes.
pub fn skip(graph: &Graph, node: NodeId, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    skip_at(graph, node, reader, MAX_DEPTH)
}

fn skip_at(
    graph: &Graph,
    node: NodeId,
    reader: &mut Reader<'_>,
    depth: u32,
) -> Result<(), DecodeError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(reader.error(format!("more than {MAX_DEPTH} levels")));
    };
    match graph.node(node) {
        Node::Null => {}
        Node::Boolean => drop(reader.take(1)?),
        Node::Int
        | Node::Long
        | Node::Date
        | Node::Time(_)
        | Node::Timestamp(_)
        | Node::LocalTimestamp(_) => drop(reader.long()?),
        Node::Enum(symbols) => drop(reader.variant(&symbols.symbols)?),
        Node::Float => drop(reader.take(4)?),
        Node::Double => drop(reader.take(8)?),
        Node::Bytes
        | Node::String
        | Node::Json(_)
        | Node::BigDecimal
        | Node::Uuid(None)
        | Node::Decimal(Decimal { fixed: None, .. }) => drop(reader.bytes()?),
        Node::Fixed(fixed)
        | Node::Duration(fixed)
        | Node::Uuid(Some(fixed))
        | Node::Decimal(Decimal { fixed: Some(fixed), .. }) => drop(reader.take(fixed.size)?),
        Node::Union(variants) => {
            let variant = *reader.variant(&variants.branches)?;
            skip_at(graph, variant, reader, depth)?;
        }
        Node::Record(record) => {
            for field in &record.fields {
                skip_at(graph, field.node, reader, depth)?;
            }
        }
        Node::Array(item) | Node::Map(item) => {
            let keyed = matches!(graph.node(node), Node::Map(_));
            loop {
                let (count, bytes) = reader.block()?;
                if count == 0 {
                    break;
                }
                if let Some(bytes) = bytes {
                    reader.take(bytes)?;
                    continue;
                }
                for _ in 0..count {
                    if keyed {
                        reader.bytes()?;
                    }
                    skip_at(graph, *item, reader, depth)?;
                }
            }
        }
    }
    Ok(())
}

/// Appends a number; zigzag, seven bits a byte.
#[inline]
pub fn put_long(number: i64, out: &mut Vec<u8>) {
    let mut bits = (number as u64) << 1 ^ (number >> 63) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// Appends bytes, or a text's, behind their length.
#[inline]
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}
