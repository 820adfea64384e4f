//! Where a record goes: the output and the key that a program chose.

use vrl::value::{ObjectMap, Value};

use super::envelope::Envelope;
use super::error::MappingError;
use super::mapper::Key;
use super::program::Program;
use super::{Mapping, Output};
use crate::avro::encode::AsBytesRef;

/// Finds the output of `.`; `None` when the program wants none.
pub(super) fn route(
    mapping: &Mapping,
    program: &Program,
    metadata: &ObjectMap,
    message: &impl Envelope,
) -> Result<Option<usize>, MappingError> {
    let default = || match mapping.default_output {
        // A table without an output is there to be looked at.
        None if mapping.outputs.is_empty() => Ok(None),
        output => output.map(Some).ok_or(MappingError::Unrouted),
    };
    if !program.sets_topic {
        return default();
    }
    match metadata.get("topic") {
        // It was not there before either: no assignment was reached.
        None if !program.envelope.contain("topic") => default(),
        None | Some(Value::Null) => Ok(None),
        Some(topic @ (Value::Bytes(_) | Value::String(_))) => {
            let topic = topic.as_bytes_ref();
            let known = |output: &Output| output.topic.as_bytes() == topic;
            match mapping.outputs.iter().position(known) {
                Some(output) => Ok(Some(output)),
                // It still has the consumed topic: nobody routed it.
                None if topic == message.topic().as_bytes() => default(),
                None => {
                    Err(MappingError::UnknownTopic(String::from_utf8_lossy(topic).into_owned()))
                }
            }
        }
        Some(other) => Err(MappingError::UnknownTopic(other.to_string())),
    }
}

/// Finds the key of what the program made.
pub(super) fn new_key(
    program: &Program,
    metadata: &ObjectMap,
    message: &impl Envelope,
) -> Result<Key, MappingError> {
    if !program.sets_key {
        return Ok(Key::Keep);
    }
    let read = program.envelope.contain("key");
    match metadata.get("key") {
        None if !read => Ok(Key::Keep),
        None | Some(Value::Null) => Ok(Key::None),
        Some(text) => {
            let text = key_text(text)?;
            // The same key keeps its bytes, and with them its partition.
            let same = read && message.key().is_ok_and(|key| key == Some(text.as_str()));
            Ok(if same { Key::Keep } else { Key::Text(text) })
        }
    }
}

/// Reads a key, which must be text.
pub(super) fn key_text(value: &Value) -> Result<String, MappingError> {
    let text = match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        Value::String(text) => Some(&**text),
        _ => None,
    };
    let wrong = || MappingError::Envelope(format!("the key is {value}, not a string"));
    text.map(str::to_owned).ok_or_else(wrong)
}
