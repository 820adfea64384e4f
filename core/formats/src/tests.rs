use nubium_avro::{Dynamic, Encode as _, Schema};
use serde_json::{Value as Json, json};

use super::*;

const ORDER: &str = r#"syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order {
  string id = 1;
  int64 cents = 2;
  repeated Line lines = 3;
  optional string note = 4;
  google.protobuf.Timestamp at = 5;
  map<string, uint32> stock = 6;
  State state = 7;
  bytes mark = 8;
  oneof pay { string card = 9; bool cash = 10; }
  message Line { string sku = 1; uint32 count = 2; }
  enum State { NEW = 0; PAID = 1; }
}
message Other { Order order = 1; }
"#;

fn written(schema: &'static Schema, document: &Json) -> Result<Vec<u8>, String> {
    let mut datum = Vec::new();
    let mut typed = nubium_avro::Typed::new(schema);
    Dynamic(document).encode(nubium_avro::Body::new(&mut typed, &mut datum))?;
    let text =
        nubium_avro::Reader::new(&datum).text().map_err(|error| error.to_string())?.to_owned();
    let mut out = Vec::new();
    schema.form().expect("form").write(text.as_bytes(), &mut out)?;
    Ok(out)
}

fn read(schema: &'static Schema, body: &[u8]) -> Result<Json, String> {
    let text = schema.form().expect("form").read(body)?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

#[test]
fn protobuf_comes_back_as_its_json() {
    let schema = parse("PROTOBUF", ORDER, &[]).unwrap();
    let order = json!({"id": "7", "cents": 9_007_199_254_740_993_i64, "at": "2026-01-31T12:00:00Z",
        "lines": [{"sku": "a", "count": 2}], "stock": {"a": 3}, "state": "PAID", "mark": "AP8=",
        "cash": true});
    let bytes = written(schema, &order).unwrap();
    assert_eq!(bytes[0], 0, "the first message is one byte");
    assert_eq!(read(schema, &bytes).unwrap(), order);
    let empty = read(schema, &[0]).unwrap();
    assert_eq!(
        empty,
        json!({"id": "", "cents": 0, "lines": [], "stock": {}, "state": "NEW",
        "mark": ""})
    );
    for index in [0, 2] {
        let line = [&[4, 0, index][..], &[0x0a, 1, b'x']].concat();
        assert_eq!(read(schema, &line).unwrap(), json!({"sku": "x", "count": 0}));
    }
    for bad in [&[0, 0x0a, 9][..], &[2, 8], &[]] {
        assert!(read(schema, bad).is_err(), "{bad:?}");
    }
    for (wrong, said) in
        [(json!({"nope": 1}), "nope"), (json!({"cents": "x"}), "digit"), (json!([1]), "")]
    {
        let error = written(schema, &wrong).unwrap_err();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

#[test]
fn json_schema_is_checked_both_ways() {
    let text = r##"{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
        "properties": {"id": {"type": "integer"}, "home": {"$ref": "address.json"}},
        "required": ["id"], "additionalProperties": false}"##;
    let address = Reference {
        name: "address.json".into(),
        text: r#"{"type": "object", "required": ["city"]}"#.into(),
    };
    assert!(parse("JSON", text, &[]).unwrap_err().to_string().contains("address.json"));
    let schema = parse("JSON", text, &[address]).unwrap();
    let good = json!({"id": 1, "home": {"city": "Ulm"}});
    let bytes = written(schema, &good).unwrap();
    assert_eq!(read(schema, &bytes).unwrap(), good);
    for (wrong, said) in
        [(json!({"id": "x"}), "/id"), (json!({}), "id"), (json!({"id": 1, "home": {}}), "/home")]
    {
        let error = written(schema, &wrong).unwrap_err();
        assert!(error.contains(said), "{error}");
        assert!(read(schema, wrong.to_string().as_bytes()).is_err());
    }
    assert!(read(schema, b"no json").is_err());
}

#[test]
fn a_text_says_what_schema_it_is() {
    let record = r#"{"type": "record", "name": "R", "fields": []}"#;
    for (text, kind) in [
        (record, "AVRO"),
        ("\"string\"", "AVRO"),
        (r#"{"type": "string"}"#, "AVRO"),
        (r#"{"type": "record", "name": "R"}"#, "AVRO"),
        (r#"{"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}"#, "JSON"),
        (r#"{"type": "object"}"#, "JSON"),
        (r#"{"oneOf": [{"type": "object"}]}"#, "JSON"),
        (ORDER, "PROTOBUF"),
        ("nonsense", "AVRO"),
    ] {
        assert_eq!(kind_of(text), kind, "{text}");
    }
    let error = parse("PROTOBUF", "message {", &[]).unwrap_err().to_string();
    assert!(error.contains("Protobuf"), "{error}");
    assert!(parse("XML", "", &[]).unwrap_err().to_string().contains("XML"));
}

#[test]
fn a_schema_is_made_once() {
    let once = parse("PROTOBUF", ORDER, &[]).unwrap();
    assert!(std::ptr::eq(once, parse("PROTOBUF", ORDER, &[]).unwrap()));
    assert_eq!((once.kind(), once.text()), ("PROTOBUF", ORDER));
}

#[test]
fn another_message_of_a_file_is_written_by_its_name() {
    let schema = parse("PROTOBUF", ORDER, &[]).unwrap();
    for (name, indexes, document) in [
        ("shop.Order.Line", &[4, 0, 2][..], json!({"sku": "x", "count": 1})),
        ("shop.Other", &[2, 2][..], json!({})),
        ("shop.Order", &[0][..], json!({"id": "7"})),
    ] {
        let chosen = of_message(schema, name).unwrap();
        assert_eq!(topic::record_name(chosen), Some(name));
        assert!(std::ptr::eq(chosen, of_message(schema, name).unwrap()), "made once");
        let bytes = written(chosen, &document).unwrap();
        assert_eq!(bytes[..indexes.len()], *indexes, "{name}");
        // Who reads needs no name.
        let read = read(schema, &bytes).unwrap();
        for (field, value) in document.as_object().unwrap() {
            assert_eq!(read[field], *value, "{name}");
        }
    }
    let said = of_message(schema, "shop.Nope").unwrap_err().to_string();
    assert!(said.contains("shop.Nope") && said.contains("shop.Order.Line"), "{said}");
    assert!(!said.contains("Entry"), "entries of maps are no choice: {said}");
    let avro = parse("AVRO", r#""string""#, &[]).unwrap();
    assert!(of_message(avro, "shop.Order").unwrap_err().to_string().contains("Avro"));
}
