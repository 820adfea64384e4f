//! A message's JSON as a JSON Schema.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

/// Describes the documents of a message; what contains itself is anything, the second time.
pub(super) fn of(message: &MessageDescriptor) -> Json {
    message_within(message, &mut Vec::new())
}

fn message_within(message: &MessageDescriptor, open: &mut Vec<String>) -> Json {
    let name = message.full_name().to_owned();
    if let Some(known) = well_known(&name) {
        return known;
    }
    if open.contains(&name) {
        return json!({});
    }
    open.push(name);
    let (mut properties, mut always) = (Map::new(), Vec::new());
    for described in message.fields() {
        properties.insert(described.name().to_owned(), field(&described, open));
        if !described.supports_presence() {
            always.push(described.name().to_owned());
        }
    }
    open.pop();
    json!({ "type": "object", "properties": properties, "additionalProperties": false,
        "x-always-present": always })
}

fn field(field: &FieldDescriptor, open: &mut Vec<String>) -> Json {
    if field.is_map()
        && let Kind::Message(entry) = field.kind()
    {
        let values = entry.map_entry_value_field();
        return json!({ "type": "object", "additionalProperties": one(&values, open) });
    }
    let one = one(field, open);
    if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
}

fn one(field: &FieldDescriptor, open: &mut Vec<String>) -> Json {
    match field.kind() {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({ "type": "integer", "format": "int32" })
        }
        Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0 }),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            json!({ "type": "integer", "format": "int64" })
        }
        Kind::Uint64 | Kind::Fixed64 => {
            json!({ "type": "integer", "format": "uint64", "minimum": 0 })
        }
        Kind::Float | Kind::Double => json!({ "type": "number" }),
        Kind::String => json!({ "type": "string" }),
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        // A number that the file has no name for is shown as it is.
        Kind::Enum(symbols) => {
            let names: Vec<_> = symbols.values().map(|value| value.name().to_owned()).collect();
            json!({ "anyOf": [{ "enum": names }, { "type": "integer" }] })
        }
        Kind::Message(message) => message_within(&message, open),
    }
}

/// Types whose JSON is not that of their fields; Protobuf's documentation, "ProtoJSON Format".
fn well_known(name: &str) -> Option<Json> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" | "FieldMask" => json!({ "type": "string" }),
        "BoolValue" => json!({ "type": "boolean" }),
        "Int32Value" | "UInt32Value" | "Int64Value" | "UInt64Value" => json!({ "type": "integer" }),
        "FloatValue" | "DoubleValue" => json!({ "type": "number" }),
        "StringValue" | "BytesValue" => json!({ "type": "string" }),
        "Struct" => json!({ "type": "object" }),
        "ListValue" => json!({ "type": "array" }),
        "Empty" => json!({ "type": "object" }),
        "Value" | "Any" => json!({}),
        _ => return None,
    })
}
