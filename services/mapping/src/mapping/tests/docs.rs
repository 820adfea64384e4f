//! The programs in the funnel's documentation work as they stand there.

use super::*;

const PAGE: &str = include_str!("../../../../../docs/funnel.md");

/// Gives the programs of the page: its blocks fenced as `coffee`, which colours VRL well enough.
fn programs() -> Vec<&'static str> {
    let blocks = PAGE.split("```coffee\n").skip(1);
    blocks.map(|rest| rest.split_once("```").expect("a fence ends").0).collect()
}

fn web_form() -> &'static Schema {
    schema(json!({"type": "record", "name": "WebForm", "fields": [
        {"name": "id", "type": "string"},
        {"name": "email", "type": "string"},
        {"name": "first_name", "type": "string"},
        {"name": "last_name", "type": "string"},
        {"name": "date", "type": "string"},
        {"name": "country", "type": ["null", "string"]},
        {"name": "comment", "type": "string"},
        {"name": "kind", "type": "string"},
        {"name": "test", "type": "boolean"},
        {"name": "lines", "type": {"type": "array", "items":
            {"type": "record", "name": "Item", "fields": [
                {"name": "article", "type": "string"}, {"name": "count", "type": "int"}]}}}]}))
}

fn outputs() -> Vec<Output> {
    let contact = json!({"type": "record", "name": "Contact", "fields": [
        {"name": "email", "type": "string"},
        {"name": "name", "type": "string", "default": ""},
        {"name": "country", "type": ["null", "string"]},
        {"name": "signed_up", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]}
    ]});
    let line = json!({"type": "record", "name": "OrderLine", "fields": [
        {"name": "order", "type": "string"},
        {"name": "article", "type": "string"},
        {"name": "count", "type": "int"}]});
    let output = |topic: &str, json| Output { topic: topic.into(), schema: schema(json) };
    vec![
        output("contacts", contact.clone()),
        output("orders", contact),
        output("order-lines", line),
    ]
}

#[test]
fn every_program_of_the_page_compiles() {
    let programs = programs();
    assert_eq!(programs.len(), 3);
    for program in programs {
        let source = Arc::new(Source { name: "docs.vrl".into(), text: program.into() });
        let input = Input { topic: "web-forms".into(), source, schema: Some(web_form()) };
        let compiled = Mapping::compile(vec![input], outputs(), Some(0));
        compiled.map(drop).unwrap_or_else(|said| panic!("{program}\n{}", said[0]));
    }
}
