//! Schemas as registries and other clients have them.

use serde_json::json;

use super::{schema, shown, written};
use crate::{Node, Rules, Schema};

#[test]
fn a_default_that_does_not_fit_matters_only_where_it_is_needed() {
    let event = json!({"type": "record", "name": "Ev", "fields": [
        {"name": "id", "type": "string"}, {"name": "freq", "type": "string", "default": null}]});
    let schema = schema(&event);
    let bytes = written(schema, r#"{"id": "a", "freq": "daily"}"#, Rules::JSON).unwrap();
    assert_eq!(shown(schema, &bytes).unwrap(), r#"{"id":"a","freq":"daily"}"#);
    let misfit = written(schema, r#"{"id": "a"}"#, Rules::JSON).unwrap_err();
    assert_eq!(misfit.pointer, "/freq");
    assert!(misfit.reason.contains("its default does not fit"), "{misfit}");
    let error = Schema::parse_own(&event.to_string()).unwrap_err().to_string();
    assert!(error.contains("the default of Ev.freq"), "{error}");
}

#[test]
fn namespaces_may_have_a_hyphen() {
    let schema = schema(&json!({"type": "record", "name": "Envelope",
        "namespace": "my-shop.inventory", "fields": [{"name": "before", "type": ["null", {
            "type": "record", "name": "Value", "fields": [{"name": "id", "type": "int"}]}]},
            {"name": "after", "type": ["null", "Value"]}]}));
    let text = r#"{"before":null,"after":{"id":7}}"#;
    let bytes = written(schema, text, Rules::JSON).unwrap();
    assert_eq!(shown(schema, &bytes).unwrap(), text);
    assert!(matches!(schema.node(schema.root()), Node::Record(r) if
        r.name == "my-shop.inventory.Envelope"));
}

#[test]
fn a_type_may_be_defined_twice_alike_and_not_otherwise() {
    let twice = |size: u64| {
        let id = |size: u64, doc: &str| {
            json!({"type": "fixed", "name": "Id", "size": size,
            "doc": doc})
        };
        json!({"type": "record", "name": "x.Pair", "fields": [
            {"name": "a", "type": id(2, "first")}, {"name": "b", "type": ["null", id(size, "")]}]})
    };
    let alike = schema(&twice(2));
    let bytes = written(alike, r#"{"a":"aa","b":"bb"}"#, Rules::JSON).unwrap();
    assert_eq!(bytes, b"aa\x02bb");
    let error = Schema::parse(&twice(3).to_string()).unwrap_err().to_string();
    assert!(error.contains("`x.Id` is defined twice, differently"), "{error}");
}

#[test]
fn names_are_found_in_any_order_and_in_references() {
    let tree = json!({"type": "record", "name": "x.Tree", "fields": [
        {"name": "first", "type": ["null", "Leaf"]},
        {"name": "leaf", "type": {"type": "enum", "name": "Leaf", "symbols": ["A"]}}]});
    let schema = schema(&tree);
    assert_eq!(written(schema, r#"{"first":null,"leaf":"A"}"#, Rules::JSON).unwrap(), [0, 0]);
    let whole = Schema::parse_with("\"x.Tree\"", &[tree.to_string()]).unwrap();
    assert!(whole.record().is_some_and(|record| record.name == "x.Tree"));
    assert!(Schema::parse("\"x.Tree\"").is_err());
}

#[test]
fn a_logical_type_that_does_not_fit_is_ignored() {
    for avro in [
        json!({"type": "string", "logicalType": "decimal", "precision": 4}),
        json!({"type": "string", "logicalType": "date"}),
        json!({"type": "string", "logicalType": "made-up"}),
    ] {
        assert!(matches!(schema(&avro).node(0), Node::String), "{avro}");
    }
    for decimal in [
        json!({"type": "bytes", "logicalType": "decimal"}),
        json!({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}),
        json!({"type": "bytes", "logicalType": "decimal", "precision": 0}),
    ] {
        assert!(matches!(schema(&decimal).node(0), Node::Bytes), "{decimal}");
    }
    let small = json!({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal",
        "precision": 9});
    assert!(matches!(schema(&small).node(0), Node::Fixed(_)));
    let no_scale = json!({"type": "bytes", "logicalType": "decimal", "precision": 4});
    assert!(matches!(schema(&no_scale).node(0), Node::Decimal(d) if d.scale == 0));
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    for (avro, what) in [
        (json!("nope"), "`nope` is no type"),
        (json!({}), "without a \"type\""),
        (json!({"type": "array"}), "no \"items\""),
        (json!({"type": "fixed", "name": "F"}), "no \"size\""),
        (json!({"type": "fixed", "name": "F", "size": -1}), "no valid size"),
        (json!({"type": "enum", "name": "E", "symbols": ["a", "a"]}), "two symbols"),
        (json!({"type": "enum", "name": "E", "symbols": ["a-b"]}), "a-b"),
        (json!({"type": "record", "name": "1R", "fields": []}), "1R"),
        (
            json!({"type": "record", "name": "R", "fields": [
            {"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}),
            "two fields `a`",
        ),
        (
            json!({"type": "record", "name": "R", "fields": [
            {"name": "a", "type": {"type": "map", "values": "x.Y"}}]}),
            "field `a` of `R`",
        ),
        (
            json!({"type": "record", "name": "R", "fields": [{"name": "a", "type": "R"}]}),
            "containing itself",
        ),
    ] {
        let error = Schema::parse(&avro.to_string()).expect_err(&avro.to_string()).to_string();
        assert!(error.contains(what), "{avro}: {error}");
    }
}
