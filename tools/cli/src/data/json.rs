//! Avro to JSON text without values in between.
//!
//! Bytes become a string with one character (U+0000 to U+00FF) for each, as in Avro's own JSON
//! encoding, and numbers that are not finite become `null`.

use std::fmt;
use std::io::Write as _;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Appends whatever is deserialized to a buffer, as JSON.
pub struct ToJson<'o>(pub &'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for ToJson<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Appends a text with its quotes.
pub fn put_text(text: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail, nor does a string.
    let _ = serde_json::to_writer(out, text);
}

/// Appends bytes as a text of one character each.
fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    put_text(&text, out);
}

macro_rules! scalars {
    ($($method:ident: $source:ty),* $(,)?) => {$(
        fn $method<E: Error>(self, value: $source) -> Result<(), E> {
            serde_json::to_writer(self.0, &value).map_err(E::custom)
        }
    )*};
}

impl<'de> Visitor<'de> for ToJson<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Avro data")
    }

    // Of floats, serde_json writes those that are not finite as null.
    scalars! {
        visit_bool: bool, visit_i32: i32, visit_i64: i64, visit_u64: u64, visit_f32: f32,
        visit_f64: f64, visit_str: &str,
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<(), E> {
        put_bytes(value, self.0);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.write_all(b"null").map_err(E::custom)
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let mut first = true;
        loop {
            let before = self.0.len();
            if !first {
                self.0.push(b',');
            }
            if access.next_element_seed(ToJson(self.0))?.is_none() {
                self.0.truncate(before);
                break;
            }
            first = false;
        }
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let mut first = true;
        loop {
            let before = self.0.len();
            if !first {
                self.0.push(b',');
            }
            if access.next_key_seed(ToJson(self.0))?.is_none() {
                self.0.truncate(before);
                break;
            }
            first = false;
            self.0.push(b':');
            access.next_value_seed(ToJson(self.0))?;
        }
        self.0.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nubium_core::codec::{AvroJson, Codec, Value};
    use tokio::runtime::Runtime;

    use super::ToJson;

    const SCHEMA: &str = r#"{"type": "record", "name": "All", "fields": [
        {"name": "flag", "type": "boolean"}, {"name": "int", "type": "int"},
        {"name": "long", "type": "long"}, {"name": "float", "type": "float"},
        {"name": "double", "type": "double"}, {"name": "bytes", "type": "bytes"},
        {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 2}},
        {"name": "text", "type": "string"}, {"name": "maybe", "type": ["null", "string"]},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "list", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "none", "type": {"type": "array", "items": "int"}},
        {"name": "map", "type": {"type": "map", "values": "int"}}]}"#;
    const LINE: &str = concat!(
        r#"{"flag":true,"int":-7,"long":9007199254740993,"float":0.1,"double":1e+300,"#,
        r#""bytes":"\u0000ÿA","hash":"ÿ\u0001","text":"a \"quote\" ☃ and\nlines","maybe":null,"#,
        r#""kind":"B","list":[1,null,3],"none":[],"map":{"x":1}}"#
    );

    fn encoded(line: &str) -> (Codec, Vec<u8>) {
        let codec = Codec::in_memory();
        let prepare = codec.prepare_topic("t", SCHEMA, true);
        let mut encoder = Runtime::new().unwrap().block_on(prepare).unwrap();
        let mut bytes = Vec::new();
        let json = serde_json::from_str(line).unwrap();
        let value = nubium_core::codec::Dynamic(AvroJson(&json));
        encoder.encode_value(&value, &mut bytes).unwrap();
        (codec, bytes)
    }

    #[test]
    fn a_line_comes_back_as_it_was() {
        let (codec, bytes) = encoded(LINE);
        let mut out = b"before ".to_vec();
        codec.decode_seed(ToJson(&mut out), &bytes).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("before {LINE}"));
        let value = serde_json::Value::from(&codec.decode::<Value>(&bytes).unwrap());
        assert_eq!(value["bytes"], "\u{0}ÿA", "as the core's own JSON has it");
    }
}
