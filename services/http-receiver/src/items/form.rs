//! Forms: names and texts.

use percent_encoding::percent_decode;
use serde_json::{Map, Value as Json};

use super::BodyError;

/// Fields of one form; more are no form that a person fills in.
pub(super) const MOST_FIELDS: usize = 1_000;

/// Reads a form as one object of texts; a name that comes several times is a list.
///
/// Not by `form_urlencoded`, which replaces what is no UTF-8: here that is an error.
pub(super) fn read(body: &[u8]) -> Result<Json, BodyError> {
    let mut fields = Map::new();
    let parts = body.trim_ascii().split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    for (index, part) in parts.enumerate() {
        if index == MOST_FIELDS {
            let reason = format!("the form has more than {MOST_FIELDS} fields");
            return Err(BodyError::at("", reason));
        }
        let at = part.iter().position(|byte| *byte == b'=');
        let (name, value) = match at {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &part[..0]),
        };
        let wrong = || BodyError::at("", format!("field {} of the form is not UTF-8", index + 1));
        let name = decode(name).ok_or_else(wrong)?;
        let value = Json::String(decode(value).ok_or_else(wrong)?);
        put(&mut fields, name, value);
    }
    match fields.is_empty() {
        true => Err(BodyError::at("", "the form is empty")),
        false => Ok(Json::Object(fields)),
    }
}

/// Adds a field; a name that comes several times becomes a list.
pub(super) fn put(fields: &mut Map<String, Json>, name: String, value: Json) {
    match fields.get_mut(&name) {
        None => drop(fields.insert(name, value)),
        Some(Json::Array(list)) => list.push(value),
        Some(first) => *first = Json::Array(vec![first.take(), value]),
    }
}

fn decode(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok()
}
