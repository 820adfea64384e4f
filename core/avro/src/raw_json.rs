//! Converts dynamic values from and to JSON.

use serde_json::Number;

use crate::value::{Fields, Value};

impl From<&Value> for serde_json::Value {
    /// Gives bytes as a string with one character per byte (U+0000 to U+00FF), as Avro's own JSON
    /// encoding does, and numbers that are not finite as text, as [`crate::json`] does. Without the
    /// schema, times are their numbers.
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::from(*value),
            Value::Long(value) => Self::from(*value),
            Value::Float(value) => float(*value),
            Value::Double(value) => double(*value),
            Value::Bytes(bytes) => Self::String(bytes.iter().map(|b| char::from(*b)).collect()),
            Value::String(text) => Self::String(text.clone()),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Map(fields) => Self::Object(
                fields.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            ),
        }
    }
}

impl From<serde_json::Value> for Value {
    /// Gives every whole number as a `Long` and every other number as a `Double`.
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => from_number(&number),
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(items) => {
                Self::Array(items.into_iter().map(Self::from).collect())
            }
            serde_json::Value::Object(entries) => {
                Self::Map(entries.into_iter().collect::<Fields>())
            }
        }
    }
}

fn from_number(number: &Number) -> Value {
    match number.as_i64() {
        Some(whole) => Value::Long(whole),
        None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// Gives a float as the shortest number that stands for it alone: 19.99, not 19.989999771118164.
fn float(value: f32) -> serde_json::Value {
    match value.is_finite() {
        true => value.to_string().parse::<f64>().map_or(serde_json::Value::Null, Into::into),
        false => double(value.into()),
    }
}

fn double(value: f64) -> serde_json::Value {
    match Number::from_f64(value) {
        Some(number) => number.into(),
        None => crate::json::not_finite(value).into(),
    }
}
