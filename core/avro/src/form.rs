//! Data that is not Avro: bytes of another form, each of which stands for one JSON document.
//!
//! A schema of such a form has one node, [`Node::Json`](crate::Node::Json), whose datum is the
//! document's text. So everything that reads and writes by a graph takes it as it takes Avro.

use std::fmt::Debug;
use std::ops::Deref;

use serde_json::Value as Json;

use crate::datum::{Datum, Shape};

/// Turns the bytes of one schema into a JSON document and back.
pub trait Form: Debug + Send + Sync {
    /// Gives the registry's name of the schema's type, such as `PROTOBUF`.
    fn kind(&self) -> &'static str;

    /// Gives the schema's full name, if it has one.
    fn name(&self) -> Option<&str>;

    /// Gives what is known of the documents, as a JSON Schema.
    fn shape(&self) -> &Json;

    /// Checks a document before it is written.
    ///
    /// # Errors
    /// It is not of the schema; says why.
    fn check(&self, document: &Json) -> Result<(), String>;

    /// Reads what follows the schema's id as the text of a document.
    ///
    /// # Errors
    /// The bytes are not of the schema; says why.
    fn read(&self, body: &[u8]) -> Result<Vec<u8>, String>;

    /// Appends what follows the schema's id, for a document's text.
    ///
    /// # Errors
    /// The document is not of the schema; says why.
    fn write(&self, document: &[u8], out: &mut Vec<u8>) -> Result<(), String>;

    /// Gives the form that writes another of the schema's types, by its full name.
    ///
    /// # Errors
    /// There is no such type; names those that there are.
    fn of_type(&self, name: &str) -> Result<Box<dyn Form>, String> {
        let kind = self.kind();
        Err(format!("a schema of type {kind} has no messages to choose `{name}` from"))
    }
}

/// Refers to a form; two are equal when they are one.
#[derive(Debug, Clone, Copy)]
pub struct Formed(pub &'static dyn Form);

impl PartialEq for Formed {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self.0, other.0)
    }
}

impl Deref for Formed {
    type Target = dyn Form;

    fn deref(&self) -> &(dyn Form + 'static) {
        self.0
    }
}

/// Deepest nesting of a document; serde_json reads no deeper.
const MAX_DEPTH: usize = 128;

/// Gives a value of any library as a document. Bytes that are no text are one character each, as in
/// [`crate::json`].
///
/// # Errors
/// JSON has nothing for it; says why.
pub fn document<'a, D: Datum<'a>>(datum: D) -> Result<Json, String> {
    at(datum, MAX_DEPTH)
}

fn at<'a, D: Datum<'a>>(datum: D, depth: usize) -> Result<Json, String> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    };
    Ok(match datum.shape() {
        Shape::Null => Json::Null,
        Shape::Bool(flag) => flag.into(),
        Shape::Int(number) => number.into(),
        Shape::Long(number) => number.into(),
        Shape::Float(number) => (&crate::Value::Float(number)).into(),
        Shape::Double(number) => (&crate::Value::Double(number)).into(),
        Shape::Str(text) => text.into(),
        Shape::Bytes(bytes) => characters(bytes).into(),
        Shape::Blob(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => characters(bytes).into(),
        },
        Shape::Instant(instant) => {
            instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into()
        }
        Shape::Array(_) => {
            let items = datum.items().map(|item| at(item, depth));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Shape::Map(_) => {
            let entries = datum.entries().map(|(name, value)| Ok((name.into(), at(value, depth)?)));
            Json::Object(entries.collect::<Result<_, String>>()?)
        }
        Shape::Other(name) => return Err(format!("JSON has no value for {name}")),
    })
}

fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Appends a document's text in one line.
pub(crate) fn put_line(text: &str, out: &mut Vec<u8>) {
    if !text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return out.extend_from_slice(text.as_bytes());
    }
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        if quoted || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        quoted ^= byte == b'"' && !escaped;
        escaped = quoted && byte == b'\\' && !escaped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_one_line_and_says_the_same() {
        let text = "{\n \"a b\\\" \": [1, 2],\t\"\\\\\" : \"x y\"}\r\n";
        let mut line = Vec::new();
        put_line(text, &mut line);
        assert_eq!(String::from_utf8_lossy(&line), r#"{"a b\" ":[1,2],"\\":"x y"}"#);
    }

    #[test]
    fn values_of_other_libraries_are_documents() {
        let json = serde_json::json!({"a": [1, null, 1.5], "b": {"c": "x"}});
        assert_eq!(document(&json).unwrap(), json);
        assert_eq!(document(&crate::Value::Bytes(vec![0xff])).unwrap(), "\u{ff}");
        let mut deep = Json::Null;
        (0..200).for_each(|_| deep = Json::Array(vec![deep.take()]));
        assert!(document(&deep).unwrap_err().contains("128"));
    }
}
