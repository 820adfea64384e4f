//! Data of an old or new writer, read by serde types and by dynamic readers.

use serde::Deserialize;
use serde_json::json;

use super::super::{Codec, DecodeError, Dynamic, Reader, Schema, Value};
use super::encoder;

const WRITER: &str = r#"{"type":"record","name":"x.Old","fields":[
    {"name":"id","type":"int"},
    {"name":"dropped","type":{"type":"record","name":"x.D","fields":[
        {"name":"deep","type":{"type":"array","items":"string"}}]}},
    {"name":"count","type":"long"},
    {"name":"ratio","type":"float"},
    {"name":"mail","type":"string"},
    {"name":"raw","type":"bytes"},
    {"name":"colour","type":{"type":"enum","name":"x.Colour","symbols":["RED","PUCE"]}},
    {"name":"extra","type":["null","int"]},
    {"name":"list","type":{"type":"array","items":"int"}},
    {"name":"dict","type":{"type":"map","values":"int"}},
    {"name":"shape","type":[
        {"type":"record","name":"x.Circle","fields":[{"name":"r","type":"int"}]},
        {"type":"record","name":"x.Square","fields":[{"name":"r","type":"int"}]}]}]}"#;

const READER: &str = r#"{"type":"record","name":"y.New","aliases":["x.Old"],"fields":[
    {"name":"added","type":"string","default":"new"},
    {"name":"id","type":"long"},
    {"name":"count","type":"double"},
    {"name":"ratio","type":"double"},
    {"name":"email","type":"bytes","aliases":["mail"]},
    {"name":"raw","type":"string"},
    {"name":"colour","type":{"type":"enum","name":"x.Colour","symbols":["RED","GREY"],
        "default":"GREY"}},
    {"name":"extra","type":["null","long"]},
    {"name":"list","type":{"type":"array","items":"long"}},
    {"name":"dict","type":{"type":"map","values":["null","double"]}},
    {"name":"shape","type":[
        {"type":"record","name":"x.Square","fields":[
            {"name":"square","type":"long","aliases":["r"]}]},
        {"type":"record","name":"x.Circle","fields":[
            {"name":"circle","type":"long","aliases":["r"]}]}]}]}"#;

fn written(codec: &Codec) -> Vec<u8> {
    let json = json!({"id": 1, "dropped": {"deep": ["a", "b"]}, "count": 2, "ratio": 0.5,
        "mail": "a@b", "raw": "hi", "colour": "PUCE", "extra": 3, "list": [4, 5],
        "dict": {"k": 6}, "shape": {"x.Square": {"r": 7}}});
    let mut bytes = Vec::new();
    encoder(codec, WRITER).encode_value(&Dynamic(&json), &mut bytes).unwrap();
    bytes
}

fn read(writer: &str, value: &serde_json::Value, reader: &str) -> Result<Value, DecodeError> {
    let codec = Codec::in_memory();
    let mut bytes = Vec::new();
    encoder(&codec, writer).encode_value(&Dynamic(value), &mut bytes).unwrap();
    codec.decode_as(&Reader::new(Schema::parse(reader).unwrap()).unwrap(), &bytes)
}

#[test]
fn a_reader_drops_adds_renames_and_widens() {
    let codec = Codec::in_memory();
    let bytes = written(&codec);
    let reader = Reader::new(Schema::parse(READER).unwrap()).unwrap();
    let found = codec.decode_as(&reader, &bytes).unwrap();
    assert_eq!(found.get("id"), Some(&Value::Long(1)));
    assert_eq!(found.get("email"), Some(&Value::Bytes(b"a@b".to_vec())));
    assert_eq!(found.get("raw"), Some(&Value::from("hi")));
    assert_eq!(found.get("count"), Some(&Value::Double(2.0)));
    let wanted = json!({"added": "new", "id": 1, "count": 2.0, "ratio": 0.5, "email": "a@b",
        "raw": "hi", "colour": "GREY", "extra": 3, "list": [4, 5], "dict": {"k": 6.0},
        "shape": {"square": 7}});
    assert_eq!(serde_json::Value::from(&found), wanted);
    let Value::Map(fields) = &found else { panic!("a record") };
    assert_eq!(fields.iter().next().unwrap().0, "added", "the fields have the reader's order");
    assert_eq!(codec.decode_as(&reader, &bytes), Ok(found));
    for cut in 0..bytes.len() {
        assert!(codec.decode_as(&reader, &bytes[..cut]).is_err());
    }
}

#[test]
fn a_serde_type_drops_adds_renames_and_widens() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct New<'a> {
        #[serde(default)]
        added: String,
        id: i64,
        count: f64,
        ratio: f64,
        #[serde(alias = "mail")]
        email: &'a str,
        extra: Option<i64>,
        list: Vec<i64>,
    }
    let codec = Codec::in_memory();
    let bytes = written(&codec);
    let found: New<'_> = codec.decode(&bytes).unwrap();
    let wanted = New {
        added: String::new(),
        id: 1,
        count: 2.0,
        ratio: 0.5,
        email: "a@b",
        extra: Some(3),
        list: vec![4, 5],
    };
    assert_eq!(found, wanted);
}

#[test]
fn unions_come_and_go() {
    let (union, int) = (r#"["null","int","string"]"#, "int");
    assert_eq!(read(int, &json!(1), r#"["null","long"]"#), Ok(Value::Long(1)));
    assert_eq!(read(union, &json!(1), "double"), Ok(Value::Double(1.0)));
    let error = read(union, &json!("x"), "double").unwrap_err().to_string();
    assert_eq!(
        error,
        "NU-1204: cannot decode with schema 1: string cannot be read as double, at byte 1 of the \
         value"
    );
    assert_eq!(
        read(int, &json!(1), r#"["double","int"]"#),
        Ok(Value::Int(1)),
        "the same type first"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let record = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    let (a, b) = (record(r#"{"name":"a","type":"int"}"#), record(r#"{"name":"b","type":"int"}"#));
    let error = read(&a, &json!({"a": 1}), &b).unwrap_err().to_string();
    assert!(
        error.contains("the reader's field `b` is not in the data and has no default"),
        "{error}"
    );
    let error = read("long", &json!(1), "int").unwrap_err().to_string();
    assert!(error.contains("long cannot be read as int"), "{error}");
    let symbols = |list: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{list}]}}"#);
    let error = read(&symbols(r#""A""#), &json!("A"), &symbols(r#""B""#)).unwrap_err().to_string();
    assert!(error.contains("the reader's enum E has neither A nor a default"), "{error}");
    let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#;
    assert!(Reader::new(Schema::parse(text).unwrap()).is_err());
}

#[test]
fn recursive_data_is_read() {
    let list = |kind: &str| {
        format!(
            r#"{{"type":"record","name":"L","fields":[{{"name":"n","type":"{kind}"}},
            {{"name":"next","type":["null","L"],"default":null}}]}}"#
        )
    };
    let value = json!({"n": 1, "next": {"n": 2, "next": {"n": 3}}});
    let found = read(&list("int"), &value, &list("double")).unwrap();
    assert_eq!(
        serde_json::Value::from(&found),
        json!({"n": 1.0, "next": {"n": 2.0, "next": {"n": 3.0, "next": null}}})
    );
}
