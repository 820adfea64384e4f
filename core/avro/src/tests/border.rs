//! The table of `docs/avro.md`, cell by cell: what each type takes, what it is shown as, and what it
//! refuses.

use serde_json::{Value as Json, json};

use super::{schema, shown, written};
use crate::{Rules, Unknown};

fn decimal(precision: usize, scale: usize) -> Json {
    json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
}

fn fixed_decimal(size: usize, precision: usize, scale: usize) -> Json {
    json!({"type": "fixed", "name": "D", "size": size, "logicalType": "decimal",
        "precision": precision, "scale": scale})
}

fn logical(kind: &str, name: &str) -> Json {
    json!({"type": kind, "logicalType": name})
}

/// What is taken, and how it is shown; none: as it was given.
fn taken() -> Vec<(Json, &'static str, Option<&'static str>)> {
    let d = decimal(9, 2);
    let huge = decimal(38, 0);
    let at = logical("long", "timestamp-millis");
    let micros = logical("long", "timestamp-micros");
    let nanos = logical("long", "timestamp-nanos");
    let local = logical("long", "local-timestamp-millis");
    let day = logical("int", "date");
    let time = logical("int", "time-millis");
    let time_us = logical("long", "time-micros");
    let big = logical("bytes", "big-decimal");
    let text_uuid = logical("string", "uuid");
    let fixed_uuid = json!({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"});
    let span = json!({"type": "fixed", "name": "S", "size": 12, "logicalType": "duration"});
    let uuid = "\"0f3a1c1e-8a9b-4c56-9d5e-0123456789ab\"";
    vec![
        (json!("null"), "null", None),
        (json!("boolean"), "true", None),
        (json!("int"), "-2147483648", None),
        (json!("int"), "2147483647", None),
        (json!("long"), "-9223372036854775808", None),
        (json!("long"), "9007199254740993", None),
        (json!("float"), "19.99", None),
        (json!("float"), "3", Some("3.0")),
        (json!("float"), "\"NaN\"", None),
        (json!("float"), "\"-Infinity\"", None),
        (json!("double"), "1e300", Some("1e+300")),
        (json!("double"), "\"Infinity\"", None),
        (json!("double"), "0.1", None),
        (json!("string"), "\"\"", None),
        (json!("string"), "\"żółw \\u0000 ☃\"", None),
        (json!("bytes"), "\"\"", None),
        (json!("bytes"), "\"\\u0000ÿA\"", None),
        (json!({"type": "fixed", "name": "F", "size": 2}), "\"ÿ\\u0001\"", None),
        (json!({"type": "enum", "name": "E", "symbols": ["A", "B"]}), "\"B\"", None),
        (d.clone(), "\"1.23\"", None),
        (d.clone(), "1.23", Some("\"1.23\"")),
        (d.clone(), "\"-0.05\"", None),
        (d.clone(), "\"0\"", Some("\"0.00\"")),
        (d.clone(), "\"-0\"", Some("\"0.00\"")),
        (d.clone(), "1.2e3", Some("\"1200.00\"")),
        (d.clone(), "\"1.2300\"", Some("\"1.23\"")),
        (d.clone(), "\"+7\"", Some("\"7.00\"")),
        (d.clone(), "128", Some("\"128.00\"")),
        (d.clone(), "200", Some("\"200.00\"")),
        (d.clone(), "-128", Some("\"-128.00\"")),
        (d, "\"9999999.99\"", None),
        (decimal(22, 2), "1234567890123456.78", Some("\"1234567890123456.78\"")),
        (decimal(22, 2), "12345678901234567.89", Some("\"12345678901234567.89\"")),
        (decimal(9, 7), "1e-7", Some("\"0.0000001\"")),
        (decimal(20, 2), "1.2e16", Some("\"12000000000000000.00\"")),
        (huge.clone(), "\"10000000000000000000000000000000000000\"", None),
        (
            huge,
            "-99999999999999999999999999999999999999",
            Some("\"-99999999999999999999999999999999999999\""),
        ),
        (decimal(60, 5), "\"1234567890123456789012345678901234567890123456789012345.12345\"", None),
        (fixed_decimal(20, 38, 2), "\"1.23\"", None),
        (fixed_decimal(20, 38, 2), "\"-1.23\"", None),
        (fixed_decimal(2, 4, 0), "-129", Some("\"-129\"")),
        (big.clone(), "\"1.2345\"", None),
        (big.clone(), "\"-7\"", None),
        (big, "100", Some("\"100\"")),
        (day.clone(), "\"2026-01-31\"", None),
        (day.clone(), "19000", Some("\"2022-01-08\"")),
        (day.clone(), "\"1815-12-10\"", None),
        (day.clone(), "\"1970-01-01T00:00:00Z\"", Some("\"1970-01-01\"")),
        (day, "2147483647", None),
        (time.clone(), "\"09:30:00.250\"", None),
        (time.clone(), "\"09:30\"", Some("\"09:30:00.000\"")),
        (time, "0", Some("\"00:00:00.000\"")),
        (time_us, "\"23:59:59.999999\"", None),
        (at.clone(), "\"2026-01-31T12:00:00+01:00\"", Some("\"2026-01-31T11:00:00.000Z\"")),
        (at.clone(), "\"2026-01-31T11:00:00.123Z\"", None),
        (at.clone(), "-1", Some("\"1969-12-31T23:59:59.999Z\"")),
        (at, "9223372036854775807", None),
        (micros, "\"2026-01-31T11:00:00.123456Z\"", None),
        (nanos, "\"2026-01-31T11:00:00.123456789Z\"", None),
        (local.clone(), "\"2026-01-31T09:30:00.000\"", None),
        (local, "\"2026-01-31 09:30:00\"", Some("\"2026-01-31T09:30:00.000\"")),
        (text_uuid.clone(), uuid, None),
        (text_uuid, "\"0F3A1C1E-8A9B-4C56-9D5E-0123456789AB\"", None),
        (fixed_uuid, uuid, None),
        (span, "{\"months\":1,\"days\":2,\"milliseconds\":4294967295}", None),
        (json!({"type": "array", "items": "int"}), "[]", None),
        (json!({"type": "array", "items": ["null", "int"]}), "[1,null,3]", None),
        (json!({"type": "map", "values": "long"}), "{\"\":2,\"a\":1}", None),
    ]
}

/// What is refused.
fn refused() -> Vec<(Json, &'static str)> {
    let d = decimal(9, 2);
    let at = logical("long", "timestamp-millis");
    let day = logical("int", "date");
    vec![
        (json!("null"), "0"),
        (json!("boolean"), "\"true\""),
        (json!("boolean"), "1"),
        (json!("int"), "2147483648"),
        (json!("int"), "1.0"),
        (json!("int"), "\"1\""),
        (json!("long"), "9223372036854775808"),
        (json!("long"), "1e3"),
        (json!("float"), "1e300"),
        (json!("float"), "-1e300"),
        (json!("float"), "\"1.5\""),
        (json!("float"), "\"nan\""),
        (json!("double"), "\"1\""),
        (json!("double"), "true"),
        (json!("string"), "1"),
        (json!("string"), "null"),
        (json!("bytes"), "\"Ā\""),
        (json!("bytes"), "[1]"),
        (json!({"type": "fixed", "name": "F", "size": 2}), "\"abc\""),
        (json!({"type": "enum", "name": "E", "symbols": ["A"]}), "\"a\""),
        (json!({"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}), "\"B\""),
        (d.clone(), "\"1.234\""),
        (d.clone(), "1.234"),
        (d.clone(), "\"12345678.00\""),
        (d.clone(), "\"1,5\""),
        (d.clone(), "\"\""),
        (d.clone(), "\"1e999999999\""),
        (d.clone(), "\"0x10\""),
        (d.clone(), "true"),
        (d, "\"NaN\""),
        (decimal(12, 0), "1234567890123"),
        (decimal(4, 2), "123.45"),
        (fixed_decimal(2, 4, 0), "10000"),
        (day.clone(), "\"2026-02-30\""),
        (day.clone(), "\"2026-1-31\""),
        (day.clone(), "\"31.01.2026\""),
        (day, "\"2026-01-31T09:30:00Z\""),
        (logical("int", "time-millis"), "\"24:00:00\""),
        (logical("int", "time-millis"), "\"09:30:00.1234\""),
        (logical("long", "time-micros"), "\"nine\""),
        (at.clone(), "\"2026-01-31\""),
        (at.clone(), "\"2026-01-31T11:00:00\""),
        (at.clone(), "\"2026-01-31T11:00:00.123456Z\""),
        (at, "1.5"),
        (logical("long", "local-timestamp-millis"), "\"2026-01-31T11:00:00Z\""),
        (logical("string", "uuid"), "\"nope\""),
        (logical("string", "uuid"), "\"0f3a1c1e8a9b4c569d5e0123456789ab\""),
        (logical("string", "uuid"), "\"{0f3a1c1e-8a9b-4c56-9d5e-0123456789ab}\""),
        (json!({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}), "\"nope\""),
        (
            json!({"type": "fixed", "name": "S", "size": 12, "logicalType": "duration"}),
            "{\"months\":-1,\"days\":2,\"milliseconds\":3}",
        ),
        (
            json!({"type": "fixed", "name": "S", "size": 12, "logicalType": "duration"}),
            "{\"months\":1,\"days\":2}",
        ),
        (json!({"type": "array", "items": "int"}), "{}"),
        (json!({"type": "map", "values": "long"}), "[]"),
    ]
}

#[test]
fn what_a_type_takes_comes_back_in_its_one_form() {
    for (avro, given, form) in taken() {
        let schema = schema(&avro);
        let bytes = written(schema, given, Rules::JSON)
            .unwrap_or_else(|misfit| panic!("{avro} <- {given}: {misfit}"));
        let back = shown(schema, &bytes).unwrap();
        assert_eq!(back, form.unwrap_or(given), "{avro} <- {given}");
        let again = written(schema, &back, Rules::JSON);
        assert_eq!(again, Ok(bytes), "{avro} <- {back}: what is shown is read as what it was");
    }
}

#[test]
fn what_is_not_of_a_type_is_refused_with_its_place() {
    for (avro, given) in refused() {
        let whole = json!({"type": "record", "name": "Whole", "fields": [
            {"name": "list", "type": {"type": "array", "items": avro}}]});
        let schema = schema(&whole);
        match written(schema, &format!("{{\"list\": [{given}]}}"), Rules::JSON) {
            Ok(bytes) => panic!("{avro} <- {given} was taken as {:?}", shown(schema, &bytes)),
            Err(misfit) => {
                assert_eq!(misfit.pointer, "/list/0", "{avro} <- {given}: {misfit}");
                assert_eq!(misfit.path, "list[0]");
                assert!(
                    misfit.reason.contains("wanted")
                        || misfit.reason.contains("fit")
                        || misfit.reason.contains("too large"),
                    "{misfit}"
                );
            }
        }
    }
}

#[test]
fn a_unions_branch_is_told_by_its_name_where_plain_json_would_not() {
    let twins = json!({"type": "record", "name": "Order", "fields": [{"name": "event", "type": [
        {"type": "record", "name": "shop.Created", "fields": [{"name": "by", "type": "string"}]},
        {"type": "record", "name": "shop.Deleted", "fields": [{"name": "by", "type": "string"}]},
        "null"]}]});
    let at = logical("long", "timestamp-millis");
    let cases = [
        (twins.clone(), r#"{"event":{"shop.Deleted":{"by":"ann"}}}"#),
        (twins, r#"{"event":null}"#),
        (json!(["string", "bytes"]), r#"{"bytes":"5"}"#),
        (json!(["string", "bytes"]), r#"{"string":"5"}"#),
        (json!(["null", "int", "long"]), r#"{"int":5}"#),
        (json!(["float", "double"]), r#"{"float":0.5}"#),
        (json!(["null", "string", at]), r#"{"string":"2026-01-31T11:00:00Z"}"#),
        (json!(["null", {"type": "map", "values": "string"}]), r#"{"map":"x"}"#),
        (
            json!(["null", "string", {"type": "map", "values": "string"}]),
            r#"{"map":{"string":"x"}}"#,
        ),
        (json!(["null", "int", "string"]), "\"5\""),
        (json!(["null", "string"]), "\"x\""),
        (json!(["null", at]), "\"2026-01-31T11:00:00.000Z\""),
        (json!(["null", decimal(4, 2)]), "\"1.50\""),
    ];
    for (avro, form) in cases {
        let schema = schema(&avro);
        let bytes = written(schema, form, Rules::JSON).unwrap();
        assert_eq!(shown(schema, &bytes).as_deref(), Ok(form), "{avro}");
    }
    // As kafka-avro-console-producer writes unions that are told apart anyway.
    let schema = schema(&json!(["null", "string"]));
    let plain = written(schema, "\"s\"", Rules::JSON).unwrap();
    assert_eq!(written(schema, r#"{"string": "s"}"#, Rules::JSON), Ok(plain));
}

#[test]
fn a_reader_leaves_out_what_it_does_not_know_at_any_depth() {
    let address = json!({"type": "record", "name": "Addr", "fields": [
        {"name": "city", "type": "string"}]});
    let person = schema(&json!({"type": "record", "name": "P", "fields": [
        {"name": "id", "type": "string"},
        {"name": "home", "type": ["null", address], "default": null}]}));
    let newer = r#"{"id":"B","home":{"city":"Bonn","zip":"53111"}}"#;
    let rules = Rules { resolve: true, unknown: Unknown::LeaveOut, ..Rules::JSON };
    let bytes = written(person, newer, rules).unwrap();
    assert_eq!(shown(person, &bytes).unwrap(), r#"{"id":"B","home":{"city":"Bonn"}}"#);
    let misfit = written(person, newer, Rules::JSON).unwrap_err();
    assert_eq!(misfit.to_string(), "at `home.zip`: the schema has no such field");
}

#[test]
fn bytes_that_are_no_datum_are_refused() {
    let list = json!({"type": "record", "name": "L", "fields": [
        {"name": "tail", "type": ["null", "L"]}]});
    for (avro, bytes) in [
        (json!("boolean"), vec![2]),
        (json!("int"), vec![0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        (json!("long"), vec![0xff; 11]),
        (json!("string"), vec![4, 0xff, 0xff]),
        (json!("string"), vec![1]),
        (json!("bytes"), vec![200, 1, 0]),
        (json!({"type": "enum", "name": "E", "symbols": ["A"]}), vec![2]),
        (json!(["null"]), vec![2]),
        (json!({"type": "array", "items": "null"}), vec![0xfe, 0xff, 0xff, 0xff, 0x0f, 0]),
        (logical("bytes", "big-decimal"), vec![2, 9]),
        (list, vec![2; 10_000]),
    ] {
        let found = shown(schema(&avro), &bytes);
        assert!(found.is_err(), "{avro} <- {bytes:?}: {found:?}");
    }
}
