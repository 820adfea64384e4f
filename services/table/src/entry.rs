//! An entry's text as JSON.

use serde_json::Value;

/// Gives the JSON that an entry's text is; a text that is no JSON is a bare string.
pub fn json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
