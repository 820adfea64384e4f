//! Dynamic values against a schema: defaults, unions, numbers, errors with paths.

use serde_json::json;

use super::super::wire::HEADER_LEN;
use super::super::{Codec, Dynamic, Fields, Value};
use super::{encode, encoder};

const ORDER: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"int"},
    {"name":"note","type":"string","default":"none"},
    {"name":"price","type":"double","default":1.5},
    {"name":"tags","type":{"type":"array","items":"string"},"default":["a"]},
    {"name":"limits","type":{"type":"map","values":"long"},"default":{"x":3}},
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["BIG","SMALL"]},"default":"BIG"},
    {"name":"hash","type":{"type":"fixed","name":"Hash","size":2},"default":"\u0001\u00ff"},
    {"name":"who","type":["null",{"type":"record","name":"Person","fields":[
        {"name":"name","type":"string"},{"name":"age","type":"int","default":7}]}],"default":null},
    {"name":"owner","type":{"type":"record","name":"Owner","fields":[
        {"name":"since","type":"long","default":9}]},"default":{}},
    {"name":"gone","type":["null","long"]}]}"#;

/// Encodes JSON and decodes it again.
fn through(schema: &str, json: &serde_json::Value) -> Result<serde_json::Value, String> {
    let codec = Codec::in_memory();
    let mut out = Vec::new();
    encoder(&codec, schema)
        .encode_value(&Dynamic(json), &mut out)
        .map_err(|error| error.to_string())?;
    let as_value = encode(schema, &Value::from(json.clone())).map_err(|e| e.to_string())?;
    assert_eq!(out[HEADER_LEN..], as_value[HEADER_LEN..], "JSON and Value are encoded alike");
    Ok(serde_json::Value::from(&codec.decode::<Value>(&out).map_err(|e| e.to_string())?))
}

fn reason(schema: &str, json: serde_json::Value) -> String {
    let error = through(schema, &json).unwrap_err();
    error.split_once("with schema 1: ").expect("the usual beginning").1.to_owned()
}

#[test]
fn missing_fields_get_their_defaults() {
    let found = through(ORDER, &json!({"id": 1, "who": {"name": "ann"}})).unwrap();
    let wanted = json!({"id": 1, "note": "none", "price": 1.5, "tags": ["a"], "limits": {"x": 3},
        "kind": "BIG", "hash": "\u{1}\u{ff}", "who": {"name": "ann", "age": 7},
        "owner": {"since": 9}, "gone": null});
    assert_eq!(found, wanted);
}

#[test]
fn errors_name_the_path_and_what_is_expected() {
    let cases = [
        (json!({}), "at `id`: int is wanted, but the field is missing"),
        (json!({"id": "x"}), "at `id`: int is wanted, not text \"x\""),
        (json!({"id": 3_000_000_000i64}), "at `id`: int is wanted, not 3000000000"),
        (json!({"id": 1.5}), "at `id`: int is wanted, not 1.5"),
        (json!({"id": 1, "note": null}), "at `note`: string is wanted, not null"),
        (json!({"id": 1, "tags": ["a", 2]}), "at `tags[1]`: string is wanted, not 2"),
        (json!({"id": 1, "limits": {"y": []}}), "at `limits.y`: long is wanted, not an array"),
        (json!({"id": 1, "kind": "X"}), "at `kind`: one of BIG, SMALL is wanted, not text \"X\""),
        (
            json!({"id": 1, "who": {"age": 1}}),
            "at `who.name`: string is wanted, but the field is missing",
        ),
        (json!({"id": 1, "who": {"name": 5}}), "at `who.name`: string is wanted, not 5"),
        (json!({"id": 1, "who": 5}), "at `who`: null or record shop.Person is wanted, not 5"),
        (json!({"id": 1, "owner": {"sinc": 5}}), "at `owner.sinc`: the schema has no such field"),
        (
            json!({"id": 1, "hash": "abc"}),
            "at `hash`: fixed of 2 bytes is wanted, not text \"abc\"",
        ),
        (json!([]), "record shop.Order is wanted, not an array"),
    ];
    for (value, wanted) in cases {
        assert_eq!(reason(ORDER, value), wanted);
    }
}

#[test]
fn a_branch_is_chosen_by_type_then_by_fields_then_by_name() {
    let schema = r#"["null","boolean","int","long","double","bytes","string",
        {"type":"record","name":"x.A","fields":[{"name":"a","type":"int"}]},
        {"type":"record","name":"x.B","fields":[{"name":"a","type":"int"},
            {"name":"b","type":"int"}]},
        {"type":"record","name":"x.C","fields":[{"name":"a","type":"int"}]},
        {"type":"array","items":"int"},{"type":"map","values":"string"}]"#;
    let branch = |value: Value| encode(schema, &value).unwrap()[HEADER_LEN] / 2;
    let record = |names: &[&str]| names.iter().map(|n| (*n, Value::Int(1))).collect::<Fields>();
    assert_eq!(branch(Value::Null), 0);
    assert_eq!(branch(true.into()), 1);
    assert_eq!(branch(5.into()), 2);
    assert_eq!(branch(Value::Long(5)), 3);
    assert_eq!(branch(1.5.into()), 4);
    assert_eq!(branch(vec![1u8].into()), 5);
    assert_eq!(branch("x".into()), 6);
    assert_eq!(branch(record(&["a"]).into()), 7);
    assert_eq!(branch(record(&["a", "b"]).into()), 8);
    assert_eq!(branch(Fields::from_iter([("x.C", record(&["a"]))]).into()), 9);
    assert_eq!(branch(vec![Value::Int(1)].into()), 10);
    assert_eq!(branch(Fields::from_iter([("z", "text")]).into()), 11);
}

#[test]
fn numbers_are_widened_and_text_is_read_as_bytes() {
    let schema = r#"{"type":"record","name":"N","fields":[{"name":"l","type":"long"},
        {"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"b","type":"bytes"}]}"#;
    let found = through(schema, &json!({"l": 1, "f": 2, "d": 3, "b": "hi"})).unwrap();
    assert_eq!(found, json!({"l": 1, "f": 2.0, "d": 3.0, "b": "hi"}));
}

#[test]
fn text_stands_for_bytes_as_in_avros_own_json() {
    let schema = r#"{"type":"record","name":"B","fields":[{"name":"b","type":"bytes"},
        {"name":"f","type":["null",{"type":"fixed","name":"F","size":2}]}]}"#;
    let codec = Codec::in_memory();
    let mut out = Vec::new();
    let json = json!({"b": "\u{0}\u{ff}", "f": "\u{80}a"});
    encoder(&codec, schema).encode_value(&Dynamic(&json), &mut out).unwrap();
    assert_eq!(out[HEADER_LEN..], [4, 0, 255, 2, 0x80, b'a']);
    assert_eq!(serde_json::Value::from(&codec.decode::<Value>(&out).unwrap()), json);
    let wrong = json!({"b": "\u{100}", "f": null});
    let error = encoder(&codec, schema).encode_value(&Dynamic(&wrong), &mut out);
    assert!(error.unwrap_err().reason.contains("U+0000 to U+00FF"));
}

#[test]
fn logical_types_are_written_and_read() {
    let schema = r#"{"type":"record","name":"L","fields":[
        {"name":"day","type":{"type":"int","logicalType":"date"}},
        {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-millis"}]},
        {"name":"nanos","type":["null",{"type":"long","logicalType":"timestamp-nanos"}]},
        {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2},
         "default":"\u0000\u00c8"},
        {"name":"sum","type":["null",{"type":"fixed","name":"F","size":8,"logicalType":"decimal",
            "precision":18,"scale":3}]},
        {"name":"uuid","type":{"type":"string","logicalType":"uuid"}},
        {"name":"span","type":{"type":"fixed","name":"D","size":12,"logicalType":"duration"}}]}"#;
    let uuid = "0f3a1c1e-8a9b-4c56-9d5e-0123456789ab";
    let span = json!({"months": 1, "days": 2, "milliseconds": 3});
    let given = json!({"day": 19000, "at": 1, "nanos": 2, "sum": -1.5, "uuid": uuid, "span": span});
    let wanted = json!({"day": 19000, "at": 1, "nanos": 2, "price": "2.00", "sum": "-1.500",
        "uuid": uuid, "span": span});
    assert_eq!(through(schema, &given).unwrap(), wanted);
    assert_eq!(through(schema, &wanted).unwrap(), wanted, "what is read can be written");
    let mut bad = given;
    bad["price"] = json!("12,5");
    assert!(reason(schema, bad).starts_with("at `price`: "));
}

#[test]
fn values_and_json_convert() {
    let json = json!({"b": [1, 2.5, null, true, "x"], "a": {"c": -1}});
    assert_eq!(serde_json::Value::from(&Value::from(json.clone())), json);
    let bytes = Value::from(vec![0u8, 255]);
    assert_eq!(serde_json::Value::from(&bytes), json!("\u{0}\u{ff}"));
    assert_eq!(Value::from(f64::NAN).to_string(), "\"NaN\"");
    let mut fields = Fields::new();
    fields.insert("z", 1);
    fields.insert("a", Some("x"));
    assert_eq!(fields.insert("z", 2), Some(Value::Int(1)));
    assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["z", "a"]);
    assert_eq!((fields.remove("z"), fields.len()), (Some(Value::Int(2)), 1));
}
