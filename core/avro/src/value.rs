//! Holds Avro data whose schema is not known when the app is compiled.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::decimal;
use crate::node::Unit;
use crate::scalar::{Build, Scalar};

/// Holds one datum of any schema.
///
/// It is decoded with `Codec::decode` like any other type and encoded
/// against the output's schema with all of Avro's rules: see [`encode`](crate::encode).
///
/// Logical types keep their underlying number (`date` is an `Int` of days, `timestamp-millis` a
/// `Long`); `decimal` and `uuid` are strings, `duration` is a record of `months`, `days` and
/// `milliseconds`, an enum is its symbol, a fixed is bytes, and a union is the value of its branch.
///
/// It has no `Serialize` on purpose: a serializer does not see the schema, so defaults could not be
/// filled nor union branches be chosen. `serde_json::Value::from(&value)` gives its JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// The only value of `null`.
    #[default]
    Null,
    /// A `boolean`.
    Bool(bool),
    /// An `int`.
    Int(i32),
    /// A `long`.
    Long(i64),
    /// A `float`.
    Float(f32),
    /// A `double`.
    Double(f64),
    /// Some `bytes` or a `fixed`.
    Bytes(Vec<u8>),
    /// A `string`, an enum's symbol, a decimal or a UUID.
    String(String),
    /// An `array`.
    Array(Vec<Value>),
    /// A `record` or a `map`.
    Map(Fields),
}

impl Value {
    /// Returns the field of a record or the entry of a map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Map(fields) => fields.get(name),
            _ => None,
        }
    }

    /// Returns the text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns an int or a long.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(i64::from(*number)),
            Self::Long(number) => Some(*number),
            _ => None,
        }
    }
}

/// Shows the value as JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde_json::Value::from(self).fmt(f)
    }
}

/// Holds the fields of a record, or the entries of a map, in the order of the data.
///
/// Names are searched one by one; records are small, and encoding meets them in schema order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Makes an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty list with room for `capacity` fields.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Returns the value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Sets a field, in its place if it exists and at the end if not; returns the value before.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                self.0.push((name, value));
                None
            }
        }
    }

    /// Removes a field and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    /// Returns the number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Walks through the fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn at(&self, index: usize) -> Option<(&str, &Value)> {
        self.0.get(index).map(|(name, value)| (name.as_str(), value))
    }

    /// Adds a field that is known to be new.
    pub(crate) fn push(&mut self, name: String, value: Value) {
        self.0.push((name, value));
    }
}

impl IntoIterator for Fields {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut fields = Self::new();
        for (name, value) in entries {
            fields.insert(name, value);
        }
        fields
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {$(
        impl From<$source> for Value {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    bool => Bool, i32 => Int, i64 => Long, f32 => Float, f64 => Double, &str => String,
    String => String, Vec<u8> => Bytes, &[u8] => Bytes, Vec<Value> => Array, Fields => Map,
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

macro_rules! visit {
    ($($method:ident: $source:ty),* $(,)?) => {$(
        fn $method<E>(self, value: $source) -> Result<Value, E> {
            Ok(value.into())
        }
    )*};
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Avro data")
    }

    visit! {
        visit_bool: bool, visit_i32: i32, visit_i64: i64, visit_f32: f32, visit_f64: f64,
        visit_str: &str, visit_string: String, visit_bytes: &[u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        let too_large = || E::custom(format!("{value} does not fit a long"));
        i64::try_from(value).map(Value::Long).map_err(|_| too_large())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Fields::with_capacity(access.size_hint().unwrap_or(0).min(64));
        while let Some((name, value)) = access.next_entry()? {
            fields.push(name, value);
        }
        Ok(Value::Map(fields))
    }
}

/// Builds values of [`Value`].
pub enum Values {}

impl Build for Values {
    type Value = Value;
    type Entries = Fields;

    fn scalar(scalar: Scalar<'_>) -> Result<Value, String> {
        Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(flag) => Value::Bool(flag),
            Scalar::Int(number) | Scalar::Date(number) => Value::Int(number),
            Scalar::Time(count, Unit::Millis) => Value::Int(i32::try_from(count).unwrap_or(0)),
            Scalar::Long(number)
            | Scalar::Time(number, _)
            | Scalar::Timestamp(number, _)
            | Scalar::Local(number, _) => Value::Long(number),
            Scalar::Float(number) => Value::Float(number),
            Scalar::Double(number) => Value::Double(number),
            Scalar::Bytes(bytes) => bytes.into(),
            Scalar::Text(text) | Scalar::Symbol(text) => text.into(),
            Scalar::Uuid(bytes) => crate::uuid_text(bytes).into(),
            Scalar::Decimal(unscaled, scale) => decimal::text(unscaled, scale).into(),
            Scalar::Document(text) => {
                let json: serde_json::Value =
                    serde_json::from_str(text).map_err(|error| error.to_string())?;
                json.into()
            }
            Scalar::Duration(parts) => {
                let names = ["months", "days", "milliseconds"];
                let parts = parts.map(i64::from);
                Value::Map(names.into_iter().zip(parts).collect())
            }
        })
    }

    fn array(items: Vec<Value>) -> Value {
        Value::Array(items)
    }

    fn entries(capacity: usize) -> Fields {
        Fields::with_capacity(capacity)
    }

    fn entry(entries: &mut Fields, name: &str, value: Value) {
        entries.push(name.into(), value);
    }

    fn map(entries: Fields) -> Value {
        Value::Map(entries)
    }
}
