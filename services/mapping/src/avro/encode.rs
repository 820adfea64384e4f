//! Values to the bytes of a datum.

use std::fmt;

use vrl::value::{KeyString, ObjectMap, Value};

use super::schema::{Enum, Field, Node, NodeId, Record, Schema};
use super::{json, kind, number};

/// Says which part of a value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeError {
    /// Names and indices from the inside out.
    path: Vec<String>,
    /// What the schema wants and what is there.
    what: String,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(".")?;
        let mut parts = self.path.iter().rev();
        if let Some(first) = parts.next() {
            f.write_str(first)?;
        }
        for part in parts {
            let dot = if part.starts_with('[') { "" } else { "." };
            write!(f, "{dot}{part}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for EncodeError {}

impl EncodeError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { path: Vec::new(), what: what.into() }
    }

    pub(crate) fn within(mut self, part: impl Into<String>) -> Self {
        self.path.push(part.into());
        self
    }
}

/// Writes values by one schema.
#[derive(Debug, Clone, Copy)]
pub struct Encoder<'s> {
    schema: &'s Schema,
    /// Resolves as a reader does: a symbol that the schema does not have becomes the enum's
    /// default, and a field may come by an alias.
    resolving: bool,
}

impl<'s> Encoder<'s> {
    /// Writes by the schema as it is.
    pub fn new(schema: &'s Schema) -> Self {
        Self { schema, resolving: false }
    }

    /// Writes data of an older or newer schema by this one, as schema resolution of the
    /// specification has it.
    pub fn resolving(schema: &'s Schema) -> Self {
        Self { schema, resolving: true }
    }

    /// Appends `value` as type `node`.
    ///
    /// An integer is taken for a float, and for a date or timestamp in its unit; a float never for
    /// an integer, and text never for a number, as that loses digits or hides a mistake. What `out`
    /// has after an error is undefined.
    ///
    /// # Errors
    /// When the value, or something within it, does not fit the type.
    pub fn encode(
        &self,
        node: NodeId,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        match (self.schema.node(node), value) {
            (Node::Null, Value::Null) => {}
            (Node::Boolean, Value::Boolean(flag)) => out.push(u8::from(*flag)),
            (Node::Int, Value::Integer(number)) => match i32::try_from(*number) {
                Ok(int) => put_long(int.into(), out),
                Err(_) => return Err(self.mismatch(node, value)),
            },
            (Node::Long | Node::Timestamp(_), Value::Integer(number)) => put_long(*number, out),
            (Node::Float, Value::Float(number)) => put_float(number.into_inner() as f32, out),
            (Node::Float, Value::Integer(number)) => put_float(*number as f32, out),
            (Node::Double, Value::Float(number)) => put_double(number.into_inner(), out),
            (Node::Double, Value::Integer(number)) => put_double(*number as f64, out),
            (Node::Bytes, Value::Bytes(_) | Value::String(_)) => {
                put_bytes(value.as_bytes_ref(), out);
            }
            (Node::String, Value::Bytes(_) | Value::String(_)) => {
                let bytes = value.as_bytes_ref();
                if matches!(value, Value::Bytes(_)) && std::str::from_utf8(bytes).is_err() {
                    return Err(EncodeError::new("a string is wanted, the bytes are not UTF-8"));
                }
                put_bytes(bytes, out);
            }
            (Node::Fixed(size), Value::Bytes(_) | Value::String(_)) => {
                let bytes = value.as_bytes_ref();
                if bytes.len() != *size {
                    return Err(self.mismatch(node, value));
                }
                out.extend_from_slice(bytes);
            }
            (Node::Enum(symbols), Value::Bytes(_) | Value::String(_)) => {
                match self.symbol(symbols, value.as_bytes_ref()) {
                    Some(index) => put_long(index as i64, out),
                    None => return Err(self.mismatch(node, value)),
                }
            }
            (Node::Array(items), Value::Array(values)) => self.array(*items, values, out)?,
            (Node::Map(values), Value::Object(map)) => self.map(*values, map, out)?,
            (Node::Union(variants), _) => {
                let Some(index) = variants.iter().position(|id| self.accepts(*id, value)) else {
                    return Err(self.mismatch(node, value));
                };
                put_long(index as i64, out);
                self.encode(variants[index], value, out)?;
            }
            (Node::Record(record), Value::Object(map)) => self.record(record, map, out)?,
            (Node::Date, Value::Timestamp(instant)) => {
                put_long(instant.timestamp().div_euclid(86_400), out);
            }
            (Node::Date, Value::Integer(days)) if i32::try_from(*days).is_ok() => {
                put_long(*days, out);
            }
            (Node::Timestamp(unit), Value::Timestamp(instant)) => {
                match number::count(instant, *unit) {
                    Some(count) => put_long(count, out),
                    None => return Err(self.mismatch(node, value)),
                }
            }
            (Node::Decimal { scale, size }, _) => {
                let Some(unscaled) = unscaled(value, *scale) else {
                    return Err(self.mismatch(node, value));
                };
                put_decimal(unscaled, *size, out).ok_or_else(|| self.mismatch(node, value))?;
            }
            _ => return Err(self.mismatch(node, value)),
        }
        Ok(())
    }

    fn array(&self, items: NodeId, values: &[Value], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !values.is_empty() {
            put_long(values.len() as i64, out);
        }
        for (index, value) in values.iter().enumerate() {
            let encoded = self.encode(items, value, out);
            encoded.map_err(|error| error.within(format!("[{index}]")))?;
        }
        put_long(0, out);
        Ok(())
    }

    fn map(&self, values: NodeId, map: &ObjectMap, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !map.is_empty() {
            put_long(map.len() as i64, out);
        }
        for (key, value) in map {
            put_bytes(key.as_bytes(), out);
            let encoded = self.encode(values, value, out);
            encoded.map_err(|error| error.within(key.as_str()))?;
        }
        put_long(0, out);
        Ok(())
    }

    fn record(
        &self,
        record: &Record,
        map: &ObjectMap,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        for field in &record.fields {
            let encoded = match self.find(field, map) {
                Some(value) => self.encode(field.node, value, out),
                None => self.absent(field, out),
            };
            encoded.map_err(|error| error.within(field.name.as_str()))?;
        }
        Ok(())
    }

    fn find<'v>(&self, field: &Field, map: &'v ObjectMap) -> Option<&'v Value> {
        let named = map.get(&field.name);
        if named.is_some() || !self.resolving {
            return named;
        }
        field.aliases.iter().find_map(|alias| map.get(alias.as_str()))
    }

    /// Appends what stands for a field that the value does not have: its default, else null where
    /// null is allowed.
    ///
    /// # Errors
    /// When it has neither.
    pub fn absent(&self, field: &Field, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Some(default) = &field.default {
            let value = json::value(self.schema, field.node, default);
            return self.encode(field.node, &value, out);
        }
        if kind::nullable(self.schema, field.node) {
            return self.encode(field.node, &Value::Null, out);
        }
        Err(EncodeError::new("the field is missing and has no default"))
    }

    fn symbol(&self, symbols: &Enum, given: &[u8]) -> Option<usize> {
        let index = |wanted: &[u8]| symbols.symbols.iter().position(|s| s.as_bytes() == wanted);
        index(given).or_else(|| match &symbols.default {
            Some(default) if self.resolving => index(default.as_bytes()),
            _ => None,
        })
    }

    /// Tells whether a value is meant for a branch of a union; the first branch that says so is
    /// taken.
    fn accepts(&self, node: NodeId, value: &Value) -> bool {
        match (self.schema.node(node), value) {
            (Node::Null, Value::Null)
            | (Node::Boolean, Value::Boolean(_))
            | (Node::Long, Value::Integer(_))
            | (Node::Float | Node::Double, Value::Float(_) | Value::Integer(_))
            | (Node::Bytes, Value::Bytes(_) | Value::String(_))
            | (Node::String, Value::String(_))
            | (Node::Array(_), Value::Array(_))
            | (Node::Map(_), Value::Object(_))
            | (Node::Date | Node::Timestamp(_), Value::Timestamp(_) | Value::Integer(_)) => true,
            (Node::Int, Value::Integer(number)) => i32::try_from(*number).is_ok(),
            (Node::String, Value::Bytes(bytes)) => std::str::from_utf8(bytes).is_ok(),
            (Node::Fixed(size), Value::Bytes(_) | Value::String(_)) => {
                value.as_bytes_ref().len() == *size
            }
            (Node::Enum(symbols), Value::Bytes(_) | Value::String(_)) => {
                self.symbol(symbols, value.as_bytes_ref()).is_some()
            }
            (Node::Decimal { scale, .. }, _) => unscaled(value, *scale).is_some(),
            // Records are told apart by their fields: all that are needed, none that is strange.
            (Node::Record(record), Value::Object(map)) => {
                let needed = |field: &Field| {
                    field.default.is_some() || kind::nullable(self.schema, field.node)
                };
                record.fields.iter().all(|field| self.find(field, map).is_some() || needed(field))
                    && map.keys().all(|key| record.fields.iter().any(|field| field.is(key)))
            }
            _ => false,
        }
    }

    fn mismatch(&self, node: NodeId, value: &Value) -> EncodeError {
        let wanted = kind::describe(self.schema, node);
        let given = match value {
            Value::Object(_) => "an object".to_owned(),
            Value::Array(_) => "an array".to_owned(),
            Value::Null => "null".to_owned(),
            other => format!("{} {}", other.kind_str(), shortened(&other.to_string())),
        };
        EncodeError::new(format!("{wanted} is wanted, not {given}"))
    }
}

impl Field {
    fn is(&self, name: &KeyString) -> bool {
        self.name == *name || self.aliases.iter().any(|alias| alias == name.as_str())
    }
}

/// Cuts a value in a message: enough to recognise it, not a whole document.
fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 60;
    match text.char_indices().nth(CHARACTERS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn unscaled(value: &Value, scale: u32) -> Option<i128> {
    match value {
        Value::Integer(number) => i128::from(*number).checked_mul(10_i128.checked_pow(scale)?),
        Value::Bytes(_) | Value::String(_) => {
            let text = std::str::from_utf8(value.as_bytes_ref()).ok()?;
            number::decimal_unscaled(text, scale)
        }
        _ => None,
    }
}

fn put_decimal(unscaled: i128, size: Option<usize>, out: &mut Vec<u8>) -> Option<()> {
    let (bytes, start) = number::shortest(unscaled);
    let bytes = &bytes[start..];
    match size {
        None => put_bytes(bytes, out),
        Some(size) => {
            let filler = size.checked_sub(bytes.len())?;
            out.extend(std::iter::repeat_n(if unscaled < 0 { 0xff } else { 0 }, filler));
            out.extend_from_slice(bytes);
        }
    }
    Some(())
}

#[inline]
pub(crate) fn put_long(number: i64, out: &mut Vec<u8>) {
    let mut bits = (number as u64) << 1 ^ (number >> 63) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

fn put_float(number: f32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_double(number: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Looks into the two values that hold bytes.
pub(crate) trait AsBytesRef {
    /// Gives the bytes of a text or bytes value; nothing for any other, which callers have ruled
    /// out.
    fn as_bytes_ref(&self) -> &[u8];
}

impl AsBytesRef for Value {
    fn as_bytes_ref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::String(text) => text.as_bytes(),
            _ => &[],
        }
    }
}
