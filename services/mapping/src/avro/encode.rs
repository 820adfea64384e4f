//! Values to the bytes of a datum.

use std::borrow::Cow;
use std::fmt;

use nubium_avro::{Datum, Graph, Misfit, NodeId, Rules, Shape};
use vrl::value::Value;

/// Says which part of a value does not fit its schema, by the mapping language's paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeError {
    path: String,
    what: String,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".{}: {}", self.path, self.what)
    }
}

impl std::error::Error for EncodeError {}

impl From<Misfit> for EncodeError {
    fn from(misfit: Misfit) -> Self {
        Self { path: misfit.path, what: misfit.reason }
    }
}

impl EncodeError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { path: String::new(), what: what.into() }
    }

    pub(crate) fn within(mut self, part: &str) -> Self {
        let between = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{part}{between}{}", self.path);
        self
    }
}

/// Writes values by one schema.
#[derive(Debug, Clone, Copy)]
pub struct Encoder<'s> {
    schema: &'s Graph,
    rules: Rules,
}

impl<'s> Encoder<'s> {
    /// Writes by the schema as it is.
    pub fn new(schema: &'s Graph) -> Self {
        Self { schema, rules: Rules::PROGRAM }
    }

    /// Writes data of an older or newer schema by this one, as schema resolution of the
    /// specification has it.
    pub fn resolving(schema: &'s Graph) -> Self {
        Self { schema, rules: Rules { resolve: true, ..Rules::PROGRAM } }
    }

    /// Appends `value` as type `node`.
    ///
    /// An integer is taken for a float, and for a date or timestamp in its unit; a float never for
    /// an integer, and text never for a number, as that loses digits or hides a mistake.
    ///
    /// # Errors
    /// When the value, or something within it, does not fit the type; `out` is then as it was.
    pub fn encode(
        &self,
        node: NodeId,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        Ok(nubium_avro::encode(self.schema, node, Of(value), self.rules, out)?)
    }
}

/// Shows a value of the mapping language to the encoder.
#[derive(Clone, Copy)]
struct Of<'a>(&'a Value);

impl<'a> Datum<'a> for Of<'a> {
    #[inline]
    fn shape(self) -> Shape<'a> {
        match self.0 {
            Value::Null => Shape::Null,
            Value::Boolean(flag) => Shape::Bool(*flag),
            Value::Integer(number) => Shape::Long(*number),
            Value::Float(number) => Shape::Double(number.into_inner()),
            Value::Bytes(bytes) => Shape::Blob(bytes),
            Value::String(text) => Shape::Str(text),
            Value::Timestamp(instant) => Shape::Instant(*instant),
            Value::Array(items) => Shape::Array(items.len()),
            Value::Object(map) => Shape::Map(map.len()),
            Value::Regex(_) => Shape::Other("a regular expression"),
        }
    }

    fn items(self) -> impl Iterator<Item = Self> {
        let items = if let Value::Array(items) = self.0 { items.as_slice() } else { &[] };
        items.iter().map(Self)
    }

    fn entries(self) -> impl Iterator<Item = (&'a str, Self)> {
        let map = if let Value::Object(map) = self.0 { Some(map) } else { None };
        map.into_iter().flatten().map(|(name, value)| (name.as_str(), Self(value)))
    }

    fn field(self, name: &str, _: usize) -> Option<Self> {
        let Value::Object(map) = self.0 else { return None };
        map.get(name).map(Self)
    }

    fn bytes_of(self, text: &'a str) -> Option<Cow<'a, [u8]>> {
        Some(text.as_bytes().into())
    }
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
