//! What programs make of messages.

use super::*;

/// Maps one form and writes down what came of it, a line for each record.
fn run(program: &str, form_fields: serde_json::Value) -> Vec<String> {
    let mapping = compile(program).unwrap_or_else(|said| panic!("{program}\n{said}"));
    run_mapping(mapping, &form(), form_fields, Some("k-1"))
}

fn run_mapping(
    mapping: Mapping,
    writer: &&'static Schema,
    fields: serde_json::Value,
    key: Option<&'static str>,
) -> Vec<String> {
    let mut datum = Vec::new();
    let value = json::value(writer, writer.root(), &fields).expect("value");
    Encoder::new(writer).encode(writer.root(), &value, &mut datum).expect("input");
    map(mapping, writer, &Message { datum, key })
}

fn map(mapping: Mapping, writer: &&'static Schema, message: &Message) -> Vec<String> {
    let mapping = Arc::new(mapping);
    let plan = match mapping.plan(0, writer) {
        Ok(plan) => plan,
        Err(error) => return vec![format!("plan: {error}")],
    };
    let mut mapper = Mapper::new(Arc::clone(&mapping));
    // Twice, as nothing of a message may be left when the next one comes.
    let first = outcome(&mut mapper, &plan, message);
    let second = outcome(&mut mapper, &plan, message);
    assert_eq!(first, second);
    first
}

fn outcome(mapper: &mut Mapper, plan: &Plan, message: &Message) -> Vec<String> {
    match mapper.map(plan, message) {
        Err(error) => vec![format!("failure: {error}")],
        Ok(Verdict::Drop(reason)) => vec![format!("drop: {}", reason.unwrap_or_default())],
        Ok(Verdict::Produce) => {
            let records = mapper.made().iter().map(|made| described(mapper, made));
            let headers = mapper.headers().iter().map(|(name, value)| match value {
                Some(value) => format!("header {name}={}", String::from_utf8_lossy(value)),
                None => format!("header {name} dropped"),
            });
            records.chain(headers).collect()
        }
    }
}

fn described(mapper: &Mapper, made: &Made) -> String {
    let outputs = [("contacts", contact()), ("lines", line())];
    let (topic, schema) = &outputs[made.output];
    let mut reader = Reader::new(mapper.value(made));
    let value = decode(schema, schema.root(), &mut reader).expect("the output's schema reads it");
    reader.finish().expect("no byte is left");
    let key = match &made.key {
        Key::Keep => String::new(),
        Key::Text(text) => format!(" key={text}"),
        Key::None => " key=none".into(),
    };
    format!("{topic}{key} {value}")
}

fn ann() -> serde_json::Value {
    json!({"id": 7, "email": "Ann@Example.org", "name": "Ann", "clicks": 4, "status": "NEW",
        "lines": ["a", "b"]})
}

const ANN: &str = r#""clicks": 4, "email": "Ann@Example.org", "id": 7, "name": "Ann""#;

fn contacts(fields: &str) -> String {
    format!("contacts {{ {fields} }}")
}

#[test]
fn a_program_makes_the_value_that_it_ends_with() {
    let untouched = format!(r#"{ANN}, "origin": "unknown", "status": "NEW""#);
    let cases = [
        ("", untouched.clone()),
        (".clicks = .clicks + 1", untouched.replace(": 4", ": 5")),
        (".origin = \"web\"", untouched.replace("unknown", "web")),
        (".email = downcase(.email)", untouched.replace("Ann@Example", "ann@example")),
        ("del(.name)", untouched.replace("\"Ann\"", "null")),
        ("del(.clicks)", untouched.replace(": 4", ": 0")),
        (". = merge(., {\"origin\": \"all\"})", untouched.replace("unknown", "all")),
        (".status = \"OLD\"", untouched.replace("NEW", "OLD")),
        (
            ". = {\"id\": .id, \"email\": .email, \"status\": \"OLD\", \"extra\": 1}",
            untouched.replace(": 4", ": 0").replace("\"Ann\"", "null").replace("NEW", "OLD"),
        ),
    ];
    for (program, fields) in cases {
        assert_eq!(run(program, ann()), [contacts(&fields)], "{program}");
    }
}

#[test]
fn a_message_is_routed_dropped_or_failed() {
    let line = r#"lines { "id": 7, "text": "Ann@Example.org" }"#;
    let cases: [(&str, &[&str]); 9] = [
        ("if .clicks > 3 { %topic = \"lines\"; .text = .email }", &[line]),
        ("%topic = downcase(\"LINES\"); .text = .email", &[line]),
        ("%topic = null", &[]),
        ("abort", &["drop: "]),
        ("if .clicks > 3 { abort \"too many\" }", &["drop: too many"]),
        (
            "\nassert!(.clicks < 3, \"too many\")",
            &["failure: test.vrl:2: function call error for \"assert\" at (1:33): too many"],
        ),
        (
            ".clicks = to_int!(.email)",
            &["failure: test.vrl:1: function call error for \"to_int\" at (10:25): \
                 Invalid integer \"Ann@Example.org\": invalid digit found in string"],
        ),
        (
            "%topic = downcase(.email)",
            &["failure: `%topic` is ann@example.org, which is not an output topic of the settings"],
        ),
        (
            "if .clicks > 3 { .email = null }",
            &["failure: the record for contacts does not fit its schema: \
                 .email: string is wanted, not null"],
        ),
    ];
    for (program, wanted) in cases {
        assert_eq!(run(program, ann()), wanted, "{program}");
    }
}

#[test]
fn one_message_becomes_several_records() {
    let program = "for_each(.lines) -> |i, text| {
        emit(\"lines\", {\"id\": i, \"text\": text}, key: text)
    }
    %topic = null";
    let wanted =
        [r#"lines key=a { "id": 0, "text": "a" }"#, r#"lines key=b { "id": 1, "text": "b" }"#];
    assert_eq!(run(program, ann()), wanted);
    // All or none: the second record does not fit, so the first is not made either.
    let program = "emit(\"lines\", {\"id\": 1, \"text\": \"x\"})
    text = if .clicks > 3 { null } else { \"y\" }
    emit(\"lines\", {\"id\": 1, \"text\": text})";
    let made = run(program, ann());
    assert_eq!(made.len(), 1);
    assert!(made[0].starts_with("failure: the record for lines"), "{made:?}");
}

#[test]
fn keys_and_headers_pass_through_change_or_go() {
    let record = contacts(&format!(r#"{ANN}, "origin": "unknown", "status": "NEW""#));
    let keyed = |key: &str| record.replace("contacts", &format!("contacts key={key}"));
    let cases: [(&str, Vec<String>); 13] = [
        ("%key = .email", vec![keyed("Ann@Example.org")]),
        ("if .clicks > 9 { %key = .email }", vec![record.clone()]),
        ("if .clicks > 9 { %topic = \"lines\"; .text = \"x\" }", vec![record.clone()]),
        ("if %topic == \"forms\" { %topic = \"contacts\" }", vec![record.clone()]),
        ("%key = downcase(string!(%key))", vec![record.clone()]),
        (
            "%headers = {\"guid\": \"g-2\"}",
            vec![record.clone(), "header guid=g-2".into(), "header source dropped".into()],
        ),
        ("%key = null", vec![keyed("none")]),
        ("del(%key)", vec![keyed("none")]),
        ("%headers.note = \"n\"", vec![record.clone(), "header note=n".into()]),
        ("%headers.source = \"api\"", vec![record.clone(), "header source=api".into()]),
        ("%headers.source = null", vec![record.clone(), "header source dropped".into()]),
        ("del(%headers.source)", vec![record.clone(), "header source dropped".into()]),
        ("%headers.n = 1", vec!["failure: `%headers.n` is integer, not a string".into()]),
    ];
    for (program, wanted) in cases {
        assert_eq!(run(program, ann()), wanted, "{program}");
    }
}

#[test]
fn a_program_reads_what_the_message_carries() {
    let program = ".origin = join!([%topic, to_string(%partition), to_string(%offset), %key,
        string!(%headers.guid), to_string(%timestamp)], \" \")";
    let wanted = format!(
        r#"{ANN}, "origin": "forms 3 42 k-1 g-1 1970-01-01T00:00:01.500Z", "status": "NEW""#
    );
    assert_eq!(run(program, ann()), [contacts(&wanted)]);
    let broken = compile(".origin = string!(%key)").expect("compiled");
    let failed = run_mapping(broken, &form(), ann(), Some("broken"));
    assert_eq!(failed, ["failure: the key is not an Avro string"]);
}

#[test]
fn a_message_of_an_older_or_newer_writer_is_seen_as_the_reader_wants_it() {
    let writer = schema(json!({"type": "record", "name": "Form", "fields": [
        {"name": "added", "type": "string"},
        {"name": "id", "type": "int"},
        {"name": "mail", "type": "string"},
        {"name": "status", "type": "string"}]}));
    let mut reader = json!({"type": "record", "name": "Form", "fields": [
        {"name": "id", "type": "long"},
        {"name": "email", "type": "string", "aliases": ["mail"]},
        {"name": "clicks", "type": "int", "default": 9},
        {"name": "status", "type": {"type": "enum", "name": "Status",
            "symbols": ["NEW", "OLD"], "default": "OLD"}}]});
    let written = json!({"added": "x", "id": 7, "mail": "a@b", "status": "LATER"});
    let seen = |clicks, origin| {
        [contacts(&format!(
            "\"clicks\": {clicks}, \"email\": \"a@b\", \"id\": 7, \"name\": null, \
             \"origin\": \"{origin}\", \"status\": \"OLD\""
        ))]
    };
    for (program, clicks, origin) in [
        ("", 9, "unknown"),
        (".clicks = .clicks + 1", 10, "unknown"),
        (".origin = if is_nullish(.added) { \"gone\" } else { \"here\" }", 9, "gone"),
    ] {
        let reader = schema(reader.clone());
        let mapping = compile_for(program, Some(reader)).unwrap_or_else(|said| panic!("{said}"));
        let made = run_mapping(mapping, &writer, written.clone(), None);
        assert_eq!(made, seen(clicks, origin), "{program}");
    }
    reader["fields"][2].as_object_mut().expect("field").remove("default");
    let mapping = compile_for("", Some(schema(reader))).expect("compiled");
    let wanted = "plan: field `clicks` of the input's schema has no default \
        and the message's schema lacks it";
    assert_eq!(run_mapping(mapping, &writer, written, None), [wanted]);
}

#[test]
fn bytes_that_are_no_value_fail_even_where_nobody_looks() {
    for datum in [vec![], vec![14], vec![14, 2, 0xff, 0xff, 0xff]] {
        let message = Message { datum, key: None };
        let made = map(compile(".clicks = 1").expect("compiled"), &form(), &message);
        assert!(made[0].starts_with("failure: the value cannot be decoded: "), "{made:?}");
    }
    let mut datum = Vec::new();
    let value = json::value(form(), form().root(), &ann()).expect("value");
    Encoder::new(form()).encode(form().root(), &value, &mut datum).expect("input");
    datum.push(0);
    let made = map(compile("").expect("compiled"), &form(), &Message { datum, key: None });
    assert_eq!(
        made,
        ["failure: the value cannot be decoded: 1 bytes too many at byte 30 of the value"]
    );
}

#[test]
fn a_value_need_not_be_a_record() {
    let text = schema(json!("string"));
    let program = ". = {\"id\": length(.), \"email\": ., \"status\": \"NEW\"}";
    let mapping = compile_for(program, Some(text)).unwrap_or_else(|e| panic!("{e}"));
    let wanted = contacts(
        "\"clicks\": 0, \"email\": \"a@b\", \"id\": 3, \"name\": null, \
         \"origin\": \"unknown\", \"status\": \"NEW\"",
    );
    assert_eq!(run_mapping(mapping, &text, json!("a@b"), None), [wanted]);
}
