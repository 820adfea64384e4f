//! Shows dynamic values of any library to the encoder.

use std::borrow::Cow;

use super::value::Value;

/// Shows what a dynamic value is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape<'a> {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number of at most 32 bits.
    Int(i32),
    /// A whole number.
    Long(i64),
    /// A number of single precision.
    Float(f32),
    /// A number of double precision.
    Double(f64),
    /// Some text.
    Str(&'a str),
    /// Some bytes.
    Bytes(&'a [u8]),
    /// A list with this many items.
    Array(usize),
    /// A record or map with this many entries.
    Map(usize),
}

impl Shape<'_> {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Long(_) => "a whole number",
            Self::Float(_) | Self::Double(_) => "a decimal fraction",
            Self::Str(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
        }
    }
}

/// Lets a dynamic value be encoded against a schema; wrap it in [`Dynamic`](super::Dynamic).
///
/// It is a cheap handle, such as a reference. Implement it for the values of another library to
/// encode them without converting them first.
pub trait Datum<'a>: Copy {
    /// Shows what the value is.
    fn shape(self) -> Shape<'a>;

    /// Walks through the items of a list; nothing for other shapes.
    fn items(self) -> impl Iterator<Item = Self>;

    /// Walks through the entries of a map; nothing for other shapes.
    fn entries(self) -> impl Iterator<Item = (&'a str, Self)>;

    /// Finds an entry of a map. `place` is the field's place in the schema, where a map that keeps
    /// its order should look first.
    fn field(self, name: &str, place: usize) -> Option<Self>;

    /// Gives the bytes that a text stands for where the schema wants bytes; `None` when it cannot.
    fn bytes_of(self, text: &'a str) -> Option<Cow<'a, [u8]>> {
        Some(Cow::Borrowed(text.as_bytes()))
    }
}

/// Shows JSON as Avro's own JSON encoding has it, which is also what `serde_json::Value::from` a
/// [`Value`] gives: a text stands for bytes with one character (U+0000 to U+00FF) for each. Plain
/// `&serde_json::Value` takes the text's UTF-8 instead.
#[derive(Debug, Clone, Copy)]
pub struct AvroJson<'a>(pub &'a serde_json::Value);

impl<'a> Datum<'a> for AvroJson<'a> {
    fn shape(self) -> Shape<'a> {
        self.0.shape()
    }

    fn items(self) -> impl Iterator<Item = Self> {
        self.0.items().map(Self)
    }

    fn entries(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.0.entries().map(|(name, value)| (name, Self(value)))
    }

    fn field(self, name: &str, place: usize) -> Option<Self> {
        self.0.field(name, place).map(Self)
    }

    fn bytes_of(self, text: &'a str) -> Option<Cow<'a, [u8]>> {
        text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
    }
}

impl<'a> Datum<'a> for &'a Value {
    fn shape(self) -> Shape<'a> {
        match self {
            Value::Null => Shape::Null,
            Value::Bool(value) => Shape::Bool(*value),
            Value::Int(value) => Shape::Int(*value),
            Value::Long(value) => Shape::Long(*value),
            Value::Float(value) => Shape::Float(*value),
            Value::Double(value) => Shape::Double(*value),
            Value::Bytes(bytes) => Shape::Bytes(bytes),
            Value::String(text) => Shape::Str(text),
            Value::Array(items) => Shape::Array(items.len()),
            Value::Map(fields) => Shape::Map(fields.len()),
        }
    }

    fn items(self) -> impl Iterator<Item = Self> {
        let items = if let Value::Array(items) = self { items.as_slice() } else { &[] };
        items.iter()
    }

    fn entries(self) -> impl Iterator<Item = (&'a str, Self)> {
        let fields = if let Value::Map(fields) = self { Some(fields) } else { None };
        fields.into_iter().flat_map(|fields| fields.iter())
    }

    fn field(self, name: &str, place: usize) -> Option<Self> {
        let Value::Map(fields) = self else { return None };
        match fields.at(place) {
            Some((found, value)) if found == name => Some(value),
            _ => fields.get(name),
        }
    }
}

impl<'a> Datum<'a> for &'a serde_json::Value {
    fn shape(self) -> Shape<'a> {
        match self {
            serde_json::Value::Null => Shape::Null,
            serde_json::Value::Bool(value) => Shape::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Shape::Long(whole),
                None => Shape::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Shape::Str(text),
            serde_json::Value::Array(items) => Shape::Array(items.len()),
            serde_json::Value::Object(entries) => Shape::Map(entries.len()),
        }
    }

    fn items(self) -> impl Iterator<Item = Self> {
        self.as_array().into_iter().flatten()
    }

    fn entries(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    fn field(self, name: &str, _place: usize) -> Option<Self> {
        self.get(name)
    }
}
