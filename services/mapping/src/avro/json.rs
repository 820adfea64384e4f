//! JSON documents as values of a schema, and back.

use nubium_avro::{Graph, NodeId, Reader, Rules, json};
use vrl::value::Value;

use super::{EncodeError, Encoder, decode};

/// Gives the value that `json` stands for as type `node`; fields that the schema lacks are left out.
///
/// # Errors
/// It is not of that type.
pub fn value(schema: &Graph, node: NodeId, json: &serde_json::Value) -> Result<Value, EncodeError> {
    let rules = Rules { resolve: true, unknown: nubium_avro::Unknown::LeaveOut, ..Rules::JSON };
    let mut bytes = Vec::new();
    nubium_avro::encode(schema, node, json, rules, &mut bytes)?;
    let value = decode(schema, node, &mut Reader::new(&bytes));
    value.map_err(|error| EncodeError::new(error.to_string()))
}

/// Gives a value of type `node` as JSON.
///
/// # Errors
/// It is not of that type.
pub fn of(schema: &Graph, node: NodeId, value: &Value) -> Result<serde_json::Value, EncodeError> {
    let (mut bytes, mut text) = (Vec::new(), Vec::new());
    Encoder::new(schema).encode(node, value, &mut bytes)?;
    let wrong = |error: &dyn std::fmt::Display| EncodeError::new(error.to_string());
    json::put(schema, node, &mut Reader::new(&bytes), &mut text).map_err(|error| wrong(&error))?;
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}
