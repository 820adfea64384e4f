//! Typed values: borrowed strings, errors, keys.

use serde::{Deserialize, Serialize};

use super::super::wire::{put_header, put_string};
use super::super::{Codec, DecodeError, SchemaId, Value, WireError};
use super::{encode, encoder};

const EVENT: &str = r#"{"type":"record","name":"Event","namespace":"bench","fields":[
    {"name":"id","type":"long"},
    {"name":"email","type":"string"},
    {"name":"company","type":["null","string"],"default":null},
    {"name":"status","type":{"type":"enum","name":"Status","symbols":["NEW","OPEN"]}},
    {"name":"tags","type":{"type":"array","items":"string"}},
    {"name":"body","type":"bytes"}]}"#;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Status {
    #[serde(rename = "NEW")]
    New,
    #[serde(rename = "OPEN")]
    Open,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Event<'a> {
    id: i64,
    email: &'a str,
    company: Option<&'a str>,
    status: Status,
    tags: Vec<&'a str>,
    #[serde(with = "apache_avro::serde::slice")]
    body: &'a [u8],
}

fn event() -> Event<'static> {
    let (status, tags) = (Status::Open, vec!["x", "y"]);
    Event { id: -7, email: "a@b.c", company: None, status, tags, body: &[0, 255] }
}

#[test]
fn a_borrowed_value_points_into_the_message() {
    let codec = Codec::in_memory();
    let mut bytes = Vec::new();
    encoder(&codec, EVENT).encode_value(&event(), &mut bytes).unwrap();
    let found: Event<'_> = codec.decode(&bytes).unwrap();
    assert_eq!(found, event());
    assert!(bytes.as_ptr_range().contains(&found.email.as_ptr()));
    assert!(bytes.as_ptr_range().contains(&found.tags[1].as_ptr()));
    let value: Value = codec.decode(&bytes).unwrap();
    assert_eq!(value.get("status").and_then(Value::as_str), Some("OPEN"));
    assert_eq!(value.get("id").and_then(Value::as_i64), Some(-7));
}

#[test]
fn an_encoding_error_leaves_the_buffer_as_it_was() {
    #[derive(Serialize)]
    struct Half {
        id: i64,
        email: i64,
    }
    let mut encoder = encoder(&Codec::in_memory(), EVENT);
    let mut out = b"kept".to_vec();
    let error = encoder.encode_value(&Half { id: 1, email: 2 }, &mut out).unwrap_err();
    assert_eq!(out, b"kept");
    let text = error.to_string();
    assert!(
        text.starts_with("NU-1205: cannot encode the value for topic `out` with schema 1: "),
        "{text}"
    );
    encoder.encode_value(&event(), &mut out).unwrap();
    assert_eq!(encoder.clone().topic(), "out");
}

#[test]
fn what_cannot_be_decoded_is_named() {
    let codec = Codec::in_memory();
    let mut bytes = Vec::new();
    encoder(&codec, EVENT).encode_value(&event(), &mut bytes).unwrap();
    let no_magic = codec.decode::<Value>(b"{}").unwrap_err();
    assert_eq!(no_magic, DecodeError::Wire(WireError::NoMagic(b'{')));
    assert_eq!(codec.decode::<Value>(&[]), Err(DecodeError::Wire(WireError::TooShort(0))));
    let unknown = codec.decode::<Value>(&[0, 0, 0, 1, 0, 9]).unwrap_err();
    assert_eq!(unknown.not_fetched(), Some(SchemaId(256)));
    assert!(unknown.to_string().contains("schema 256"), "{unknown}");

    #[derive(Debug, Deserialize)]
    struct Other {
        #[allow(dead_code)]
        missing: i64,
    }
    let error = codec.decode::<Other>(&bytes).unwrap_err().to_string();
    assert_eq!(error, "NU-1204: cannot decode with schema 1: missing field `missing`");
    let wrong = codec.decode::<Vec<i64>>(&bytes).unwrap_err();
    assert!(matches!(wrong, DecodeError::Invalid { .. }), "{wrong}");
}

#[test]
fn keys_are_strings_with_the_registered_id() {
    let codec = Codec::in_memory();
    let encoder = encoder(&codec, EVENT);
    let long = "k".repeat(10_000);
    for key in ["", "key-1", "schlüssel", long.as_str()] {
        let mut bytes = Vec::new();
        encoder.encode_key(key, &mut bytes);
        assert_eq!(codec.decode_key(&bytes), Ok(key));
        assert_eq!(codec.decode::<&str>(&bytes), Ok(key));
        let mut by_hand = Vec::new();
        put_header(encoder.key_id(), &mut by_hand);
        put_string(key, &mut by_hand);
        assert_eq!(bytes, by_hand);
    }
    let mut value = Vec::new();
    put_header(encoder.value_id(), &mut value);
    let error = codec.decode_key(&value).unwrap_err().to_string();
    assert!(error.contains("the key is not a string but {"), "{error}");
    let mut bad = Vec::new();
    put_header(encoder.key_id(), &mut bad);
    bad.extend([4, 0xff, 0xfe]);
    assert!(matches!(codec.decode_key(&bad), Err(DecodeError::Invalid { .. })));
}

#[test]
fn bare_schemas_and_recursion_work() {
    assert_eq!(encode("string", "hi").unwrap()[5..], [4, b'h', b'i']);
    assert_eq!(encode("\"int\"", &-1i32).unwrap()[5..], [1]);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct List {
        n: i32,
        next: Option<Box<List>>,
    }
    let schema = r#"{"type":"record","name":"List","namespace":"x","fields":[
        {"name":"n","type":"int"},{"name":"next","type":["null","List"],"default":null}]}"#;
    let list = List { n: 1, next: Some(Box::new(List { n: 2, next: None })) };
    let codec = Codec::in_memory();
    let mut bytes = Vec::new();
    encoder(&codec, schema).encode_value(&list, &mut bytes).unwrap();
    assert_eq!(codec.decode::<List>(&bytes), Ok(list));
    let value: Value = codec.decode(&bytes).unwrap();
    assert_eq!(encode(schema, &value).unwrap()[5..], bytes[5..]);
}

/// Pins a limit that the module's documentation names; when this fails, the limit is gone.
#[test]
fn a_typed_whole_number_in_a_decimal_keeps_its_sign() {
    let schema = r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":0}"#;
    assert_eq!(encode(schema, &200i64).unwrap()[5..], [4, 0, 200]);
    assert_eq!(encode(schema, &Value::Long(200)).unwrap()[5..], [4, 0, 200]);
    assert_eq!(encode(schema, "200").unwrap()[5..], [4, 0, 200]);
}

#[test]
fn huge_counts_and_depths_are_refused() {
    let codec = Codec::in_memory();
    let id = encoder(&codec, r#"{"type":"array","items":"null"}"#).value_id();
    let mut bytes = Vec::new();
    put_header(id, &mut bytes);
    bytes.extend([0xff; 8]); // A block of 2^60 items and more.
    bytes.extend([0x7f, 0]);
    assert!(codec.decode::<Value>(&bytes).is_err());
    let list = r#"{"type":"record","name":"L","fields":[{"name":"n","type":["null","L"]}]}"#;
    let id = encoder(&codec, list).value_id();
    let mut bytes = Vec::new();
    put_header(id, &mut bytes);
    bytes.extend([2; 100_000]);
    assert!(codec.decode::<Value>(&bytes).is_err());
}
