//! Shows dynamic values of any library to the encoder.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use crate::value::Value;

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
    /// Some bytes that are a text too, where the library has one type for both.
    Blob(&'a [u8]),
    /// An instant.
    Instant(DateTime<Utc>),
    /// A list with this many items.
    Array(usize),
    /// A record or map with this many entries.
    Map(usize),
    /// A value that Avro has no type for, by its name with an article.
    Other(&'static str),
}

/// Lets a dynamic value be encoded against a schema.
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

/// In JSON, a text stands for bytes with one character (U+0000 to U+00FF) for each, as in Avro's own
/// JSON encoding.
impl<'a> Datum<'a> for &'a Json {
    fn shape(self) -> Shape<'a> {
        match self {
            Json::Null => Shape::Null,
            Json::Bool(value) => Shape::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Shape::Long(whole),
                None => Shape::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Shape::Str(text),
            Json::Array(items) => Shape::Array(items.len()),
            Json::Object(entries) => Shape::Map(entries.len()),
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

    fn bytes_of(self, text: &'a str) -> Option<Cow<'a, [u8]>> {
        text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
    }
}
