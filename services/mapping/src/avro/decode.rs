//! Bytes of a datum to values.

use vrl::value::{ObjectMap, Value};

use super::number;
use super::schema::{Node, NodeId, Schema, Unit};

/// Deepest nesting of a datum: a hostile one of a recursive type must not exhaust the stack.
const MAX_DEPTH: u32 = 64;

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

    fn error(&self, what: impl Into<String>) -> DecodeError {
        DecodeError { at: self.at, what: what.into() }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            return Err(self.error(format!("{count} bytes expected, {} left", rest.len())));
        };
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    #[inline]
    fn long(&mut self) -> Result<i64, DecodeError> {
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

    fn int(&mut self) -> Result<i32, DecodeError> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| self.error(format!("{long} does not fit an int")))
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        let long = self.long()?;
        usize::try_from(long).map_err(|_| self.error(format!("a length of {long}")))
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.error("a string that is not UTF-8"))
    }

    fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.take(1)?[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(format!("a boolean of {other}"))),
        }
    }

    fn variant<'s, T>(&mut self, of: &'s [T]) -> Result<&'s T, DecodeError> {
        let index = self.long()?;
        usize::try_from(index).ok().and_then(|index| of.get(index)).ok_or_else(|| {
            self.error(format!("choice {index} of {} in a union or an enum", of.len()))
        })
    }

    /// Reads the head of an array's or map's block: how many items, and how many bytes if the
    /// writer says so.
    fn block(&mut self) -> Result<(usize, Option<usize>), DecodeError> {
        let count = self.long()?;
        let (count, bytes) = match count {
            0.. => (count, None),
            _ => (count.checked_neg().unwrap_or(i64::MAX), Some(self.length()?)),
        };
        // An item has a byte at least (an array of nulls has no use), so more of them cannot
        // follow.
        let left = self.bytes.len() - self.at;
        match usize::try_from(count) {
            Ok(count) if count <= left => Ok((count, bytes)),
            _ => Err(self.error(format!("{count} items in {left} bytes"))),
        }
    }
}

/// Reads one value of type `node`.
///
/// # Errors
/// When the bytes are not of that type, nest deeper than 64, or hold a float that is not a number,
/// which the mapping language has no value for.
pub fn decode(
    schema: &Schema,
    node: NodeId,
    reader: &mut Reader<'_>,
) -> Result<Value, DecodeError> {
    decode_at(schema, node, reader, MAX_DEPTH)
}

fn decode_at(
    schema: &Schema,
    node: NodeId,
    reader: &mut Reader<'_>,
    depth: u32,
) -> Result<Value, DecodeError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(reader.error(format!("more than {MAX_DEPTH} levels")));
    };
    Ok(match schema.node(node) {
        Node::Null => Value::Null,
        Node::Boolean => Value::Boolean(reader.boolean()?),
        Node::Int => Value::Integer(reader.int()?.into()),
        Node::Long => Value::Integer(reader.long()?),
        Node::Float => float(reader, |reader| Ok(f32::from_le_bytes(reader.array()?).into()))?,
        Node::Double => float(reader, |reader| Ok(f64::from_le_bytes(reader.array()?)))?,
        Node::Bytes => Value::from(reader.bytes()?),
        Node::String => Value::from(reader.text()?),
        Node::Fixed(size) => Value::from(reader.take(*size)?),
        Node::Enum(symbols) => Value::from(reader.variant(&symbols.symbols)?.as_str()),
        Node::Array(items) => {
            let mut array = Vec::new();
            blocks(reader, |reader| {
                array.push(decode_at(schema, *items, reader, depth)?);
                Ok(())
            })?;
            Value::Array(array)
        }
        Node::Map(values) => {
            let mut map = ObjectMap::new();
            blocks(reader, |reader| {
                let key = reader.text()?;
                map.insert(key.into(), decode_at(schema, *values, reader, depth)?);
                Ok(())
            })?;
            Value::Object(map)
        }
        Node::Union(variants) => {
            let variant = reader.variant(variants)?;
            decode_at(schema, *variant, reader, depth)?
        }
        Node::Record(record) => {
            let mut map = ObjectMap::new();
            for field in &record.fields {
                map.insert(field.name.clone(), decode_at(schema, field.node, reader, depth)?);
            }
            Value::Object(map)
        }
        Node::Date => {
            let days = reader.int()?;
            instant(reader, i64::from(days) * 86_400, Unit::Millis, 1_000)?
        }
        Node::Timestamp(unit) => {
            let count = reader.long()?;
            instant(reader, count, *unit, 1)?
        }
        Node::Decimal { scale, size } => {
            let bytes = match size {
                Some(size) => reader.take(*size)?,
                None => reader.bytes()?,
            };
            let text = number::decimal_text(bytes, *scale);
            Value::from(text.ok_or_else(|| reader.error("a decimal of more than 16 bytes"))?)
        }
    })
}

fn float<'a>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<f64, DecodeError>,
) -> Result<Value, DecodeError> {
    let number = read(reader)?;
    match vrl::prelude::NotNan::new(number) {
        Ok(number) => Ok(Value::Float(number)),
        Err(_) => Err(reader.error("a float that is not a number (NaN)")),
    }
}

fn instant(reader: &Reader<'_>, count: i64, unit: Unit, factor: i64) -> Result<Value, DecodeError> {
    count
        .checked_mul(factor)
        .and_then(|count| number::instant(count, unit))
        .map(Value::Timestamp)
        .ok_or_else(|| reader.error(format!("a time of {count}, out of range")))
}

fn blocks<'a>(
    reader: &mut Reader<'a>,
    mut item: impl FnMut(&mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    loop {
        let (count, _) = reader.block()?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..count {
            item(reader)?;
        }
    }
}

/// Passes over one value of type `node`.
///
/// # Errors
/// When the bytes end early or nest deeper than 64. What lies inside is not looked at more closely
/// than that takes.
pub fn skip(schema: &Schema, node: NodeId, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    skip_at(schema, node, reader, MAX_DEPTH)
}

fn skip_at(
    schema: &Schema,
    node: NodeId,
    reader: &mut Reader<'_>,
    depth: u32,
) -> Result<(), DecodeError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(reader.error(format!("more than {MAX_DEPTH} levels")));
    };
    match schema.node(node) {
        Node::Null => {}
        Node::Boolean => drop(reader.take(1)?),
        Node::Int | Node::Long | Node::Date | Node::Timestamp(_) => drop(reader.long()?),
        Node::Enum(symbols) => drop(reader.variant(&symbols.symbols)?),
        Node::Float => drop(reader.take(4)?),
        Node::Double => drop(reader.take(8)?),
        Node::Bytes | Node::String | Node::Decimal { size: None, .. } => drop(reader.bytes()?),
        Node::Fixed(size) | Node::Decimal { size: Some(size), .. } => drop(reader.take(*size)?),
        Node::Union(variants) => {
            let variant = *reader.variant(variants)?;
            skip_at(schema, variant, reader, depth)?;
        }
        Node::Record(record) => {
            for field in &record.fields {
                skip_at(schema, field.node, reader, depth)?;
            }
        }
        Node::Array(item) | Node::Map(item) => {
            let keyed = matches!(schema.node(node), Node::Map(_));
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
                    skip_at(schema, *item, reader, depth)?;
                }
            }
        }
    }
    Ok(())
}
