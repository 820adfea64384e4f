//! The formats of keys and values beside Avro, and schemas of theirs as `nubium-avro`'s.
//!
//! - [`Format`]: what the bytes of a topic are.
//! - [`parse`]: a schema's text and type to a [`Schema`], whose [`Form`](nubium_avro::Form) turns
//!   bytes into a JSON document and back.
//! - [`TopicSchemas`]: what a topic's keys and values are, and where their schemas are.
//! - [`kind_of`]: what type of schema a text is.
//!
//! Validation is the crate `jsonschema`'s, `.proto` files are compiled by `protox` and read and
//! written by `prost-reflect`: nothing of these formats is parsed here but the message indexes that
//! Confluent's framing puts before a Protobuf message.

mod format;
mod json_schema;
mod protobuf;
#[cfg(test)]
mod tests;
pub mod topic;

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use nubium_avro::{Form, Schema, SchemaError};

pub use format::Format;
pub use protobuf::put_key;
pub use topic::{SubjectNames, SubjectReference, TopicSchemas, Topics, Version};

/// A schema that another refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The name that the other knows it by: a full name, a `$ref`, or an import's path.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Finds a schema by its type, its text and those that it refers to.
type Known = HashMap<(&'static str, String, Vec<Reference>), &'static Schema>;

/// Parses a schema of the registry's type `kind`: `AVRO`, `JSON` or `PROTOBUF`.
///
/// # Errors
/// The text is no such schema, or there is no such type.
pub fn parse(
    kind: &str,
    text: &str,
    references: &[Reference],
) -> Result<&'static Schema, SchemaError> {
    let kind = match kind {
        "AVRO" => {
            let texts: Vec<String> = references.iter().map(|r| r.text.clone()).collect();
            return Schema::parse_with(text, &texts);
        }
        json_schema::KIND => json_schema::KIND,
        protobuf::KIND => protobuf::KIND,
        other => {
            let known = "known are AVRO, JSON and PROTOBUF";
            return Err(SchemaError::new(format!("its type is {other}; {known}")));
        }
    };
    static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
    let key = (kind, text.to_owned(), references.to_vec());
    let mut known =
        KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = known.get(&key) {
        return Ok(schema);
    }
    let form: &'static dyn Form = match kind {
        json_schema::KIND => Box::leak(Box::new(json_schema::JsonSchema::new(text, references)?)),
        _ => Box::leak(Box::new(protobuf::Protobuf::new(text, references)?)),
    };
    let texts = references.iter().map(|reference| reference.text.clone()).collect();
    let schema = Schema::of_form(text, texts, Some(form));
    known.insert(key, schema);
    Ok(schema)
}

/// Gives the schema that writes another message of the same file, by its full name.
///
/// # Errors
/// There is no such message, or the schema is of a type that has none.
pub fn of_message(schema: &'static Schema, name: &str) -> Result<&'static Schema, SchemaError> {
    type Chosen = HashMap<(usize, String), &'static Schema>;
    static CHOSEN: OnceLock<Mutex<Chosen>> = OnceLock::new();
    let form = schema.form().ok_or_else(|| {
        SchemaError::new(format!("an Avro schema has no messages to choose `{name}` from"))
    })?;
    if form.name() == Some(name) {
        return Ok(schema);
    }
    // Schemas live as long as the process: an address is one schema for ever.
    let key = (std::ptr::from_ref(schema).addr(), name.to_owned());
    let mut chosen =
        CHOSEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = chosen.get(&key) {
        return Ok(known);
    }
    let form: &'static dyn Form = Box::leak(form.of_type(name).map_err(SchemaError::new)?);
    let made = Schema::of_form(schema.text(), schema.references().to_vec(), Some(form));
    chosen.insert(key, made);
    Ok(made)
}

/// Tells what type of schema a text is. What is both an Avro and a JSON Schema, such as
/// `{"type": "string"}`, is Avro unless it has a `$schema`.
#[must_use]
pub fn kind_of(text: &str) -> &'static str {
    let text = text.trim_start_matches('\u{feff}').trim();
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    match json {
        Some(json) if json.get("$schema").is_some() => json_schema::KIND,
        Some(json) if json.is_object() && Schema::parse(text).is_err() && is_json(&json) => {
            json_schema::KIND
        }
        None if text.contains('{') && text.contains("message") => protobuf::KIND,
        _ => "AVRO",
    }
}

/// Tells whether an object that is no Avro looks like a JSON Schema and not like broken Avro.
fn is_json(json: &serde_json::Value) -> bool {
    let says = |name: &str| json.get(name).is_some();
    let kind = json.get("type").and_then(serde_json::Value::as_str);
    let words = ["properties", "$id", "$defs", "definitions", "oneOf", "anyOf", "allOf", "$ref"];
    matches!(kind, Some("object" | "integer" | "number"))
        || words.into_iter().any(says) && !says("fields")
}

/// Parses a schema of one's own, whichever type its text is of.
///
/// # Errors
/// As [`parse`], and where a default of an Avro schema does not fit its type.
pub fn parse_own(text: &str) -> Result<&'static Schema, SchemaError> {
    parse_own_with(text, &[])
}

/// Parses a schema of one's own that refers to others.
///
/// # Errors
/// As [`parse_own`].
pub fn parse_own_with(
    text: &str,
    references: &[Reference],
) -> Result<&'static Schema, SchemaError> {
    let schema = parse(kind_of(text), text, references)?;
    schema.check_defaults()?;
    Ok(schema)
}
