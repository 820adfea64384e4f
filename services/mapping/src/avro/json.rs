//! A schema's defaults, which are JSON, as values; also JSON documents for tests and the demo.

use vrl::value::{KeyString, Value};

use super::schema::{Node, NodeId, Schema};

/// Gives the value that `json` stands for as type `node`.
///
/// Bytes are JSON text with one character a byte, as the specification writes them. What does not
/// fit the type is kept as it is, so that the encoder can say where it lies and what was wanted.
pub fn value(schema: &Schema, node: NodeId, json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match (schema.node(node), json) {
        (Node::Bytes | Node::Fixed(_), Json::String(text)) if text.chars().all(is_byte) => {
            let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
            Value::from(bytes.as_slice())
        }
        (Node::Array(items), Json::Array(values)) => {
            Value::Array(values.iter().map(|one| value(schema, *items, one)).collect())
        }
        (Node::Map(values), Json::Object(map)) => Value::Object(
            map.iter()
                .map(|(key, one)| (KeyString::from(key.as_str()), value(schema, *values, one)))
                .collect(),
        ),
        (Node::Record(record), Json::Object(map)) => {
            let known = |key: &str| record.fields.iter().find(|field| &*field.name == key);
            Value::Object(
                map.iter()
                    .map(|(key, one)| {
                        let one = match known(key) {
                            Some(field) => value(schema, field.node, one),
                            None => Value::from(one.clone()),
                        };
                        (KeyString::from(key.as_str()), one)
                    })
                    .collect(),
            )
        }
        // A branch with names in it changes nothing but bytes, and then the first that is an object
        // is meant.
        (Node::Union(variants), Json::Object(_)) => {
            let object = |id: &&NodeId| matches!(schema.node(**id), Node::Record(_) | Node::Map(_));
            match variants.iter().find(object) {
                Some(variant) => value(schema, *variant, json),
                None => Value::from(json.clone()),
            }
        }
        _ => Value::from(json.clone()),
    }
}

fn is_byte(character: char) -> bool {
    u32::from(character) < 0x100
}
