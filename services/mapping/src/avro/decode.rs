//! Bytes of a datum to values.

use nubium_avro::{Build, DecodeError, Graph, NodeId, Reader, Scalar, Unit, decimal, time};
use vrl::value::{ObjectMap, Value};

/// Reads one value of type `node`.
///
/// # Errors
/// When the bytes are not of that type, nest deeper than 64, or hold a float that is not a number,
/// which the mapping language has no value for.
pub fn decode(schema: &Graph, node: NodeId, reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    nubium_avro::build::<Values>(schema, node, reader)
}

/// Builds values of the mapping language.
enum Values {}

impl Build for Values {
    type Value = Value;
    type Entries = ObjectMap;

    fn scalar(scalar: Scalar<'_>) -> Result<Value, String> {
        Ok(match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(flag) => Value::Boolean(flag),
            Scalar::Int(number) => Value::Integer(number.into()),
            Scalar::Long(number) | Scalar::Time(number, _) | Scalar::Local(number, _) => {
                Value::Integer(number)
            }
            // The shortest number that stands for the float alone: what `to_string` shows.
            Scalar::Float(number) => float(number.to_string().parse().unwrap_or(f64::NAN))?,
            Scalar::Double(number) => float(number)?,
            Scalar::Bytes(bytes) => Value::from(bytes),
            Scalar::Text(text) | Scalar::Symbol(text) => Value::from(text),
            Scalar::Uuid(bytes) => Value::from(nubium_avro::uuid_text(bytes)),
            Scalar::Date(days) => instant(i64::from(days) * 86_400_000, Unit::Millis)?,
            Scalar::Timestamp(count, unit) => instant(count, unit)?,
            Scalar::Decimal(unscaled, scale) => Value::from(decimal::text(unscaled, scale)),
            Scalar::Document(text) => document(text)?,
            Scalar::Duration(parts) => {
                let names = ["months", "days", "milliseconds"];
                let entries = names.into_iter().zip(parts);
                Value::Object(entries.map(|(name, n)| (name.into(), i64::from(n).into())).collect())
            }
        })
    }

    fn array(items: Vec<Value>) -> Value {
        Value::Array(items)
    }

    fn entries(_: usize) -> ObjectMap {
        ObjectMap::new()
    }

    fn entry(entries: &mut ObjectMap, name: &str, value: Value) {
        entries.insert(name.into(), value);
    }

    fn map(entries: ObjectMap) -> Value {
        Value::Object(entries)
    }
}

fn float(number: f64) -> Result<Value, String> {
    let number = vrl::prelude::NotNan::new(number);
    number.map(Value::Float).map_err(|_| "a float that is not a number (NaN)".into())
}

fn instant(count: i64, unit: Unit) -> Result<Value, String> {
    let instant = time::instant(count, unit).map(Value::Timestamp);
    instant.ok_or_else(|| format!("a time of {count}, out of range"))
}

/// Reads a JSON document. The language has whole numbers of 64 bits with a sign: one beyond would
/// become another number.
fn document(text: &str) -> Result<Value, String> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    check_numbers(&json)?;
    Ok(Value::from(json))
}

fn check_numbers(json: &serde_json::Value) -> Result<(), String> {
    match json {
        serde_json::Value::Number(number) if number.is_u64() && !number.is_i64() => {
            Err(format!("the number {number}, which is beyond 64 bits with a sign"))
        }
        serde_json::Value::Array(items) => items.iter().try_for_each(check_numbers),
        serde_json::Value::Object(entries) => entries.values().try_for_each(check_numbers),
        _ => Ok(()),
    }
}
