use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::avro::{Encoder, Reader, decode, json};

mod check;
mod docs;
mod foreign;
mod run;
mod table;

/// A consumed message with everything a program can look at.
struct Message {
    datum: Vec<u8>,
    key: Option<&'static str>,
}

impl Envelope for Message {
    fn topic(&self) -> &str {
        "forms"
    }
    fn partition(&self) -> i32 {
        3
    }
    fn offset(&self) -> i64 {
        42
    }
    fn timestamp_ms(&self) -> Option<i64> {
        Some(1_500)
    }
    fn key(&self) -> Result<Option<&str>, String> {
        match self.key {
            Some("broken") => Err("the key is not an Avro string".into()),
            key => Ok(key),
        }
    }
    fn headers(&self, each: &mut dyn FnMut(&str, Option<&[u8]>)) {
        each("guid", Some(b"g-1"));
        each("source", Some(b"web"));
    }
    fn datum(&self) -> &[u8] {
        &self.datum
    }
}

fn schema(json: serde_json::Value) -> &'static Schema {
    Schema::parse(&json.to_string()).expect("schema")
}

fn form() -> &'static Schema {
    schema(json!({"type": "record", "name": "Form", "fields": [
        {"name": "id", "type": "long"},
        {"name": "email", "type": "string"},
        {"name": "name", "type": ["null", "string"], "default": null},
        {"name": "clicks", "type": "int", "default": 0},
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["NEW", "OLD"]}},
        {"name": "lines", "type": {"type": "array", "items": "string"}, "default": []}]}))
}

fn contact() -> &'static Schema {
    schema(json!({"type": "record", "name": "Contact", "fields": [
        {"name": "id", "type": "long"},
        {"name": "email", "type": "string"},
        {"name": "name", "type": ["null", "string"], "default": null},
        {"name": "clicks", "type": "long", "default": 0},
        {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": ["NEW", "OLD"]}},
        {"name": "origin", "type": "string", "default": "unknown"}]}))
}

fn line() -> &'static Schema {
    schema(json!({"type": "record", "name": "Line", "fields": [
        {"name": "id", "type": "long"}, {"name": "text", "type": "string"}]}))
}

fn compile_for(program: &str, input: Option<&'static Schema>) -> Result<Mapping, String> {
    let source = Arc::new(Source { name: "test.vrl".into(), text: program.into() });
    let inputs = vec![Input { topic: "forms".into(), source, schema: input }];
    let outputs = vec![
        Output { topic: "contacts".into(), schema: contact() },
        Output { topic: "lines".into(), schema: line() },
    ];
    Mapping::compile(inputs, outputs, Some(0)).map_err(|problems| problems[0].to_string())
}

fn compile(program: &str) -> Result<Mapping, String> {
    compile_for(program, Some(form()))
}
