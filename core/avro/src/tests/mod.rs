//! Tests of the crate as a whole.

mod border;
mod schema;
mod typed;
mod vectors;

use serde_json::Value as Json;

use crate::{Misfit, Reader, Rules, Schema, encode, json};

fn schema(json: &Json) -> &'static Schema {
    Schema::parse(&json.to_string()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Writes a JSON text by a schema.
fn written(schema: &Schema, text: &str, rules: Rules) -> Result<Vec<u8>, Misfit> {
    let value = json::parse(schema, schema.root(), text.as_bytes()).expect("JSON");
    let mut bytes = b"before".to_vec();
    let encoded = encode(schema, schema.root(), &value, rules, &mut bytes);
    if encoded.is_err() {
        assert_eq!(bytes, b"before", "a misfit leaves nothing behind");
    }
    encoded.map(|()| bytes[6..].to_vec())
}

/// Shows a datum as JSON.
fn shown(schema: &Schema, bytes: &[u8]) -> Result<String, String> {
    let (mut reader, mut out) = (Reader::new(bytes), Vec::new());
    json::put(schema, schema.root(), &mut reader, &mut out).map_err(|error| error.to_string())?;
    reader.finish().map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}
