use serde_json::json;
use vrl::value::Value;

use super::*;

fn schema(json: serde_json::Value) -> &'static Schema {
    Schema::parse(&json.to_string()).expect("schema")
}

fn encode(schema: &Schema, value: &Value) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let encoded = Encoder::new(schema).encode(schema.root(), value, &mut bytes);
    encoded.map(|()| bytes).map_err(|error| error.to_string())
}

/// Encodes a JSON document, decodes the bytes, and checks that skipping them ends at the same
/// place.
fn round_trip(schema: &Schema, document: serde_json::Value) -> Value {
    let value = json::value(schema, schema.root(), &document).expect("value");
    let bytes = encode(schema, &value).expect("encoded");
    let mut reader = Reader::new(&bytes);
    let back = decode(schema, schema.root(), &mut reader).expect("decoded");
    reader.finish().expect("all bytes read");
    let mut reader = Reader::new(&bytes);
    skip(schema, schema.root(), &mut reader).expect("skipped");
    reader.finish().expect("all bytes skipped");
    back
}

#[test]
fn values_survive_a_round_trip() {
    let cases = [
        (json!("null"), json!(null)),
        (json!("boolean"), json!(true)),
        (json!("int"), json!(-2_147_483_648)),
        (json!("long"), json!(i64::MIN)),
        (json!("long"), json!(i64::MAX)),
        (json!("double"), json!(-0.5)),
        (json!("float"), json!(0.25)),
        (json!("string"), json!("żółw")),
        (json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}), json!("B")),
        (json!({"type": "array", "items": "int"}), json!([1, 2, 3])),
        (json!({"type": "array", "items": "int"}), json!([])),
        (json!({"type": "map", "values": "long"}), json!({"a": 1, "b": 2})),
        (json!(["null", "int", "string"]), json!("x")),
        (json!(["null", "int", "string"]), json!(null)),
        (
            json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
            json!("-0.05"),
        ),
        (
            json!({"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal",
            "precision": 9, "scale": 0}),
            json!("-129"),
        ),
    ];
    for (avro, document) in cases {
        let schema = schema(avro.clone());
        let back = round_trip(schema, document.clone());
        assert_eq!(back, Value::from(document), "{avro}");
    }
}

#[test]
fn a_type_may_contain_itself() {
    let list = schema(json!({"type": "record", "name": "List", "fields": [
        {"name": "head", "type": "int"},
        {"name": "tail", "type": ["null", "List"], "default": null}]}));
    let document = json!({"head": 1, "tail": {"head": 2, "tail": null}});
    assert_eq!(round_trip(list, document.clone()), Value::from(document));
    assert!(kind::of(list, list.root()).is_object());
    assert!(list.same(list.root(), list, list.root()));
}

#[test]
fn nesting_has_a_limit() {
    let list = schema(json!({"type": "record", "name": "List", "fields": [
        {"name": "tail", "type": ["null", "List"]}]}));
    let deep = vec![2; 10_000];
    let error = decode(list, list.root(), &mut Reader::new(&deep)).expect_err("too deep");
    assert_eq!(error.to_string(), "more than 64 levels at byte 32 of the value");
    skip(list, list.root(), &mut Reader::new(&deep)).expect_err("too deep to skip");
}

#[test]
fn times_are_instants_in_utc() {
    let cases = [
        (json!({"type": "int", "logicalType": "date"}), 2, "1970-01-03T00:00:00Z"),
        (json!({"type": "int", "logicalType": "date"}), -1, "1969-12-31T00:00:00Z"),
        (
            json!({"type": "long", "logicalType": "timestamp-millis"}),
            1_500,
            "1970-01-01T00:00:01.500Z",
        ),
        (
            json!({"type": "long", "logicalType": "timestamp-micros"}),
            -1,
            "1969-12-31T23:59:59.999999Z",
        ),
    ];
    for (avro, count, text) in cases {
        let schema = schema(avro);
        let back = round_trip(schema, json!(count));
        let Value::Timestamp(instant) = &back else { panic!("{back} is no timestamp") };
        assert_eq!(*instant, text.parse::<chrono::DateTime<chrono::Utc>>().expect("instant"));
        assert_eq!(encode(schema, &back), encode(schema, &Value::Integer(count)));
    }
}

#[test]
fn a_misfit_is_named_with_its_path() {
    let person = schema(json!({"type": "record", "name": "Person", "fields": [
        {"name": "age", "type": "int"},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
        {"name": "state", "default": "ON",
         "type": {"type": "enum", "name": "S", "symbols": ["ON", "OFF"]}}]}));
    let cases = [
        (json!({"age": "seven"}), ".age: int is wanted, not text \"seven\""),
        (json!({"age": 3_000_000_000_i64}), ".age: int is wanted, not 3000000000"),
        (json!({"age": 1.5}), ".age: int is wanted, not 1.5"),
        (json!({"tags": []}), ".age: int is wanted, but the field is missing"),
        (json!({"age": 1, "tags": ["a", 2]}), ".tags[1]: string is wanted, not 2"),
        (json!({"age": 1, "state": "on"}), ".state: one of ON, OFF is wanted, not text \"on\""),
        (json!([1]), ".: record Person is wanted, not an array"),
    ];
    for (document, message) in cases {
        assert_eq!(encode(person, &Value::from(document)), Err(message.to_owned()));
    }
    assert_eq!(encode(person, &Value::from(json!({"age": 1}))), Ok(vec![2, 0, 0]));
}

#[test]
fn defaults_are_read_by_their_type() {
    let record = schema(json!({"type": "record", "name": "R", "fields": [
        {"name": "bytes", "type": "bytes", "default": "\u{ff}\u{00}"},
        {"name": "choice", "type": ["int", "null"], "default": 7},
        {"name": "inner", "type": {"type": "record", "name": "I", "fields": [
            {"name": "raw", "type": {"type": "fixed", "name": "F", "size": 1}}]},
         "default": {"raw": "\u{80}"}}]}));
    let bytes = encode(record, &Value::from(json!({}))).expect("all defaults");
    assert_eq!(bytes, [4, 0xff, 0x00, 0, 14, 0x80]);
}

#[test]
fn hostile_bytes_are_refused_not_trusted() {
    let cases: [(&str, &[u8], &str); 8] = [
        (r#""long""#, &[0x80; 11], "a number longer than 10 bytes at byte 10 of the value"),
        (r#""long""#, &[], "a number expected, nothing left at byte 0 of the value"),
        (
            r#""int""#,
            &[0x80, 0x80, 0x80, 0x80, 0x20],
            "4294967296 does not fit an int at byte 5 of the value",
        ),
        (r#""string""#, &[1], "a length of -1 at byte 1 of the value"),
        (r#""string""#, &[2, 0xff], "a string that is not UTF-8 at byte 2 of the value"),
        (r#""boolean""#, &[2], "a boolean of 2 at byte 1 of the value"),
        (r#"["null", "int"]"#, &[4], "choice 2 of 2 in a union or an enum at byte 1 of the value"),
        (
            r#"{"type": "array", "items": "int"}"#,
            &[0xfe, 0xff, 0xff, 0x0f],
            "16777215 items in 0 bytes at byte 4 of the value",
        ),
    ];
    for (json, bytes, message) in cases {
        let schema = Schema::parse(json).expect("schema");
        let error = decode(schema, schema.root(), &mut Reader::new(bytes)).expect_err(json);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn blocks_with_a_byte_count_are_read_and_skipped() {
    let schema = schema(json!({"type": "array", "items": "int"}));
    // Two blocks: two items in two bytes, then one item; then the end.
    let bytes = [3, 4, 2, 4, 2, 6, 0];
    let value = decode(schema, schema.root(), &mut Reader::new(&bytes)).expect("decoded");
    assert_eq!(value, Value::from(json!([1, 2, 3])));
    let mut reader = Reader::new(&bytes);
    skip(schema, schema.root(), &mut reader).expect("skipped");
    reader.finish().expect("all bytes skipped");
}

#[test]
fn the_bytes_are_those_of_the_reference_codec() {
    let text = json!({"type": "record", "name": "R", "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "marks", "type": {"type": "array", "items": "double"}},
        {"name": "more", "type": {"type": "map", "values": "boolean"}}]})
    .to_string();
    let document = json!({"id": -70_000, "name": "Ω", "marks": [0.5, -1.0], "more": {"k": true}});
    let ours = Schema::parse(&text).expect("schema");
    let value = json::value(ours, ours.root(), &document).expect("value");
    let bytes = encode(ours, &value).expect("encoded");

    let theirs: serde_avro_fast::Schema = text.parse().expect("schema");
    let read: serde_json::Value =
        serde_avro_fast::from_datum_slice(&bytes, &theirs).expect("the other codec reads it");
    assert_eq!(read, document);
}

#[test]
fn records_of_a_union_are_told_apart_by_their_fields() {
    let either = schema(json!([
        {"type": "record", "name": "Cat", "fields": [{"name": "lives", "type": "int"}]},
        {"type": "record", "name": "Dog", "fields": [{"name": "tricks", "type": "int"}]}]));
    assert_eq!(encode(either, &Value::from(json!({"tricks": 1}))), Ok(vec![2, 2]));
    assert_eq!(encode(either, &Value::from(json!({"lives": 1}))), Ok(vec![0, 2]));
    assert!(encode(either, &Value::from(json!({"wings": 1}))).is_err());
}

#[test]
fn a_schema_may_refer_to_types_of_others() {
    let person = r#"{"type": "record", "name": "p.Person", "fields": [
        {"name": "home", "type": "p.Address"}, {"name": "work", "type": "p.Address"}]}"#;
    let address = r#"{"type": "record", "name": "p.Address", "fields": [
        {"name": "city", "type": "p.City"}]}"#;
    let city = r#"{"type": "enum", "name": "p.City", "symbols": ["BERN", "BONN"]}"#;
    let others = [address.to_owned(), city.to_owned()];
    let schema = Schema::parse_with(person, &others).expect("schema");
    let document = json!({"home": {"city": "BERN"}, "work": {"city": "BONN"}});
    assert_eq!(encode(schema, &Value::from(document)), Ok(vec![0, 2]));
    assert!(Schema::parse_with(person, &others[..1]).is_err());
}

#[test]
fn a_reader_leaves_out_what_it_lacks_in_a_record_that_may_be_null() {
    let person = |address: serde_json::Value| {
        schema(json!({"type": "record", "name": "P", "fields": [
            {"name": "home", "type": ["null", address], "default": null}]}))
    };
    let ours = person(json!({"type": "record", "name": "Addr", "fields": [
        {"name": "city", "type": "string"}]}));
    let newer = vrl::value!({"home": {"city": "Bonn", "zip": "53111"}});
    let mut bytes = Vec::new();
    Encoder::resolving(ours).encode(ours.root(), &newer, &mut bytes).expect("resolved");
    let read = decode(ours, ours.root(), &mut Reader::new(&bytes)).expect("read");
    assert_eq!(read, vrl::value!({"home": {"city": "Bonn"}}));
}
