//! Bytes to values of any library.

use crate::bytes::{DecodeError, MAX_DEPTH, Reader};
use crate::node::{Node, NodeId, Unit};
use crate::{Graph, decimal};

/// One value that has no parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Boolean(bool),
    /// An `int`.
    Int(i32),
    /// A `long`.
    Long(i64),
    /// A `float`.
    Float(f32),
    /// A `double`.
    Double(f64),
    /// Bytes, or a `fixed`.
    Bytes(&'a [u8]),
    /// A text, or a UUID as text.
    Text(&'a str),
    /// A UUID in 16 bytes.
    Uuid([u8; 16]),
    /// An enum's symbol.
    Symbol(&'a str),
    /// Days since 1970-01-01.
    Date(i32),
    /// A time of day.
    Time(i64, Unit),
    /// An instant.
    Timestamp(i64, Unit),
    /// A date and a time without a zone.
    Local(i64, Unit),
    /// An exact number: its unscaled bytes, and the digits after the point.
    Decimal(&'a [u8], usize),
    /// Months, days and milliseconds.
    Duration([u32; 3]),
    /// The text of a JSON document.
    Document(&'a str),
}

impl Graph {
    /// Reads a value that has no parts; `None`, with nothing read, where the type has some.
    ///
    /// # Errors
    /// The bytes are not of that type.
    #[inline]
    pub fn scalar<'s, 'b: 's>(
        &'s self,
        node: NodeId,
        reader: &mut Reader<'b>,
    ) -> Result<Option<Scalar<'s>>, DecodeError> {
        Ok(Some(match self.node(node) {
            Node::Null => Scalar::Null,
            Node::Boolean => Scalar::Boolean(reader.boolean()?),
            Node::Int => Scalar::Int(reader.int()?),
            Node::Long => Scalar::Long(reader.long()?),
            Node::Float => Scalar::Float(f32::from_le_bytes(reader.array()?)),
            Node::Double => Scalar::Double(f64::from_le_bytes(reader.array()?)),
            Node::Bytes => Scalar::Bytes(reader.bytes()?),
            Node::String | Node::Uuid(None) => Scalar::Text(reader.text()?),
            Node::Fixed(fixed) => Scalar::Bytes(reader.take(fixed.size)?),
            Node::Uuid(Some(_)) => Scalar::Uuid(reader.array()?),
            Node::Enum(symbols) => Scalar::Symbol(reader.variant(&symbols.symbols)?),
            Node::Date => Scalar::Date(reader.int()?),
            Node::Time(Unit::Millis) => Scalar::Time(reader.int()?.into(), Unit::Millis),
            Node::Time(unit) => Scalar::Time(reader.long()?, *unit),
            Node::Timestamp(unit) => Scalar::Timestamp(reader.long()?, *unit),
            Node::LocalTimestamp(unit) => Scalar::Local(reader.long()?, *unit),
            Node::Decimal(decimal) => match &decimal.fixed {
                Some(fixed) => Scalar::Decimal(reader.take(fixed.size)?, decimal.scale),
                None => Scalar::Decimal(reader.bytes()?, decimal.scale),
            },
            Node::BigDecimal => big_decimal(reader)?,
            Node::Duration(_) => {
                let bytes: [u8; 12] = reader.array()?;
                let part = |at: usize| {
                    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
                };
                Scalar::Duration([part(0), part(4), part(8)])
            }
            Node::Json(_) => Scalar::Document(reader.text()?),
            Node::Array(_) | Node::Map(_) | Node::Union(_) | Node::Record(_) => return Ok(None),
        }))
    }
}

/// Reads a number that brings its scale: unscaled bytes, then the scale, in `bytes`.
fn big_decimal<'a>(reader: &mut Reader<'a>) -> Result<Scalar<'a>, DecodeError> {
    let mut inner = Reader::new(reader.bytes()?);
    let wrong = |error: DecodeError| reader.error(format!("a big-decimal with {}", error.what));
    let unscaled = inner.bytes().map_err(wrong)?;
    let scale = inner.int().map_err(wrong)?;
    inner.finish().map_err(wrong)?;
    match usize::try_from(scale) {
        Ok(scale) if scale <= decimal::MOST_DIGITS => Ok(Scalar::Decimal(unscaled, scale)),
        _ => Err(reader.error(format!("a big-decimal with a scale of {scale}"))),
    }
}

/// Makes the values of a library out of a datum.
pub trait Build {
    /// The library's value.
    type Value;
    /// What collects the entries of a map or record.
    type Entries;

    /// Makes a value that has no parts.
    ///
    /// # Errors
    /// The library has no such value.
    fn scalar(scalar: Scalar<'_>) -> Result<Self::Value, String>;

    /// Makes a list.
    fn array(items: Vec<Self::Value>) -> Self::Value;

    /// Starts a map or record.
    fn entries(capacity: usize) -> Self::Entries;

    /// Adds an entry.
    fn entry(entries: &mut Self::Entries, name: &str, value: Self::Value);

    /// Ends a map or record.
    fn map(entries: Self::Entries) -> Self::Value;
}

/// Reads one value of type `node`.
///
/// # Errors
/// When the bytes are not of that type, nest deeper than 64, or hold what the library has no value
/// for.
pub fn build<B: Build>(
    graph: &Graph,
    node: NodeId,
    reader: &mut Reader<'_>,
) -> Result<B::Value, DecodeError> {
    build_at::<B>(graph, node, reader, MAX_DEPTH)
}

fn build_at<B: Build>(
    graph: &Graph,
    node: NodeId,
    reader: &mut Reader<'_>,
    depth: u32,
) -> Result<B::Value, DecodeError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(reader.error(format!("more than {MAX_DEPTH} levels")));
    };
    if let Some(scalar) = graph.scalar(node, reader)? {
        return B::scalar(scalar).map_err(|what| reader.error(what));
    }
    match graph.node(node) {
        Node::Array(items) => {
            let mut array = Vec::new();
            blocks(reader, |reader| {
                array.push(build_at::<B>(graph, *items, reader, depth)?);
                Ok(())
            })?;
            Ok(B::array(array))
        }
        Node::Map(values) => {
            let mut entries = B::entries(0);
            blocks(reader, |reader| {
                let key = reader.text()?;
                B::entry(&mut entries, key, build_at::<B>(graph, *values, reader, depth)?);
                Ok(())
            })?;
            Ok(B::map(entries))
        }
        Node::Union(union) => {
            let branch = *reader.variant(&union.branches)?;
            build_at::<B>(graph, branch, reader, depth)
        }
        Node::Record(record) => {
            let mut entries = B::entries(record.fields.len());
            for field in &record.fields {
                let value = build_at::<B>(graph, field.node, reader, depth)?;
                B::entry(&mut entries, &field.name, value);
            }
            Ok(B::map(entries))
        }
        _ => Err(reader.error("a type that is neither one value nor several")),
    }
}

/// Walks through the items of an array or the entries of a map.
pub(crate) fn blocks<'a>(
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
