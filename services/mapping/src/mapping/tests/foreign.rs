//! Programs on documents of a JSON Schema and messages of a `.proto` file: types at start-up.

use super::*;

const NOTE: &str = r##"{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
    "properties": {"id": {"type": "integer"}, "text": {"type": "string"},
        "tags": {"type": "array", "items": {"$ref": "#/definitions/tag"}},
        "note": {"type": ["string", "null"]}},
    "required": ["id", "text"], "additionalProperties": false,
    "definitions": {"tag": {"enum": ["a", "b"]}}}"##;
const ORDER: &str = "syntax = \"proto3\";
message Order {
  string id = 1;
  int64 cents = 2;
  optional string note = 3;
  repeated string tags = 4;
}
";

fn of(kind: &str, text: &str) -> &'static Schema {
    nubium_formats::parse(kind, text, &[]).expect("schema")
}

/// Compiles a program from one schema to another.
fn between(program: &str, from: &'static Schema, to: &'static Schema) -> Result<Mapping, String> {
    let source = Arc::new(Source { name: "test.vrl".into(), text: program.into() });
    let inputs = vec![Input { topic: "in".into(), source, schema: Some(from) }];
    let outputs = vec![Output { topic: "out".into(), schema: to }];
    Mapping::compile(inputs, outputs, None).map_err(|problems| problems[0].to_string())
}

#[test]
fn types_of_documents_are_known_before_the_first() {
    let (note, order) = (of("JSON", NOTE), of("PROTOBUF", ORDER));
    let line = line();
    for (program, from, to) in [
        (". = {\"id\": .id, \"text\": upcase(.text)}", note, line),
        (". = {\"id\": .cents, \"text\": upcase(.id)}", order, line),
        (". = {\"id\": .text, \"cents\": .id, \"tags\": .tags}", note, order),
        (". = {\"id\": to_string(.id)}", line, order),
        (". = {\"id\": .id, \"text\": .text}", line, note),
    ] {
        between(program, from, to).unwrap_or_else(|why| panic!("{program}: {why}"));
    }
    for (program, from, to, said) in [
        (". = {\"id\": 1, \"text\": upcase(.note)}", note, line, "unhandled fallible"),
        (".id = .id / 2\n", note, line, "`id`: the schema wants long"),
        (". = {\"id\": 1, \"text\": .cents}", order, line, "`text`: the schema wants string"),
        (". = {\"text\": .text}", line, note, "`id` is required and nothing assigns it"),
        (". = {\"id\": true}", line, order, "`id`: the schema wants"),
        (". = [1]", line, note, "the schema wants"),
    ] {
        let why = between(program, from, to).expect_err(program);
        assert!(why.contains(said), "{program}: {why}");
    }
}
