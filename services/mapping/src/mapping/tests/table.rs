//! Programs that have a table's previous entry at hand.

use super::*;

fn compile_table(program: &str, entry: Option<&'static Schema>) -> Result<Mapping, String> {
    let source = Arc::new(Source { name: "test.vrl".into(), text: program.into() });
    let input = Input { topic: "forms".into(), source, schema: Some(form()) };
    let outputs = vec![Output { topic: "contacts".into(), schema: contact() }];
    Mapping::compile_table(input, outputs, None, EntryType { schema: entry })
        .map_err(|problems| problems[0].to_string())
}

/// Maps one form with an entry before it: what is produced, and what becomes of the entry.
fn run_with(mapping: Mapping, previous: Option<serde_json::Value>) -> (String, Stored) {
    let fields = json!({"id": 1, "email": "a@b", "name": "Ann", "clicks": 2, "status": "NEW"});
    let writer = form();
    let mut datum = Vec::new();
    let value = json::value(writer, writer.root(), &fields).expect("value");
    Encoder::new(writer).encode(writer.root(), &value, &mut datum).expect("input");
    let mapping = Arc::new(mapping);
    let plan = mapping.plan(0, writer).expect("plan");
    let mut mapper = Mapper::new(Arc::clone(&mapping));
    let previous = previous.map(|value| Previous { value, timestamp_ms: Some(1_000) });
    let message = Message { datum, key: Some("k-1") };
    let said = match mapper.map_entry(&plan, &message, previous) {
        Err(error) => format!("failure: {error}"),
        Ok(Verdict::Drop(reason)) => format!("drop: {}", reason.unwrap_or_default()),
        Ok(Verdict::Produce) => format!("{} records", mapper.made().len()),
    };
    (said, mapper.stored().clone())
}

fn run(program: &str, previous: Option<serde_json::Value>) -> (String, Stored) {
    let mapping = compile_table(program, None).unwrap_or_else(|said| panic!("{program}\n{said}"));
    run_with(mapping, previous)
}

fn stored(outcome: &(String, Stored)) -> serde_json::Value {
    match &outcome.1 {
        Stored::Put(value) => serde_json::to_value(value).expect("JSON"),
        other => panic!("{} and {other:?}", outcome.0),
    }
}

#[test]
fn the_record_is_the_entry_unless_the_program_says_otherwise() {
    let outcome = run(".email = upcase(.email)", None);
    assert_eq!(outcome.0, "1 records");
    let whole = json!({"id": 1, "email": "A@B", "name": "Ann", "clicks": 2, "status": "NEW",
        "lines": []});
    assert_eq!(stored(&outcome), whole, "the fields that it does not look at too");

    for (program, wanted) in [
        ("%store = null", Stored::Delete),
        ("%keep = true", Stored::Keep),
        ("abort \"no\"", Stored::Keep),
        ("%store.id = .id", Stored::Put(serde_json::json!({"id": 1}))),
        ("if .id == 2 { %store = 7 } else { %store = .id }", Stored::Put(serde_json::json!(1))),
    ] {
        assert_eq!(run(program, Some(json!({"old": 1}))).1, wanted, "{program}");
    }
    let unreached = "if .id == 2 { %store = 7 }\n.email = upcase(.email)";
    assert_eq!(stored(&run(unreached, None)), whole);
    let (said, kept) = run("%keep = .id", None);
    assert_eq!(said, "failure: `%keep` is integer, not true or false");
    assert_eq!(kept, Stored::Keep);
}

#[test]
fn the_previous_entry_and_its_time_are_at_hand() {
    let program = "%store = {\"n\": (to_int(%previous.n) ?? 0) + 1, \"at\": %previous_timestamp}";
    assert_eq!(stored(&run(program, None)), json!({"n": 1, "at": null}));
    let second = stored(&run(program, Some(json!({"n": 1}))));
    assert_eq!(second, json!({"n": 2, "at": "1970-01-01T00:00:01Z"}));
}

#[test]
fn an_entry_has_the_type_that_its_schema_gives_it() {
    let entry = schema(json!({"type": "record", "name": "Seen", "fields": [
        {"name": "count", "type": "long"},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}],
         "default": null}]}));
    // Typed, so that nothing can fail: no question mark, no default.
    let program = "
        count = 0
        age = 0
        if !is_null(%previous) {
            count = int!(%previous.count)
            age = to_unix_timestamp(timestamp!(%previous.at))
        }
        %store = {\"count\": count + 1, \"at\": %timestamp, \"age\": age}";
    let compiled = |program| compile_table(program, Some(entry));
    let mapping = compiled(program).unwrap_or_else(|said| panic!("{said}"));
    let previous = json!({"count": 4, "at": "1970-01-01T00:01:00Z"});
    let outcome = run_with(mapping, Some(previous));
    assert_eq!(outcome.0, "1 records");
    let wanted = json!({"count": 5, "at": "1970-01-01T00:00:01.500Z"});
    // The schema has no `age`.
    assert_eq!(stored(&outcome), wanted);

    let said = compiled("%store = {\"count\": \"many\"}").expect_err("a text is no count");
    assert!(said.contains("what is stored does not fit the entry's schema: `count`"), "{said}");
    let mapping = compiled("%store.count = if .id == 1 { .email } else { 1 }")
        .unwrap_or_else(|said| panic!("{said}"));
    let (said, kept) = run_with(mapping, None);
    assert!(said.contains("what is stored does not fit the entry's schema: .count"), "{said}");
    assert_eq!(kept, Stored::Keep);
    let mapping =
        compiled("%store.count = %previous.count").unwrap_or_else(|said| panic!("{said}"));
    let (said, _) = run_with(mapping, Some(json!({"other": 1})));
    assert!(said.contains("the previous entry does not fit the entry's schema: .count"), "{said}");
}

#[test]
fn the_names_of_a_table_are_known_in_tables_alone() {
    let said = compile_table("%previous = 1", None).expect_err("read-only");
    assert!(said.contains("read-only"), "{said}");
    let said = compile_table("%stored = 1", None).expect_err("a slip");
    assert!(said.contains("a message has no `%stored`"), "{said}");
    assert!(said.contains("%previous_timestamp, %store, %keep"), "{said}");
    let said = compile("%store = 1").expect_err("no table");
    assert!(said.contains("a message has no `%store`"), "{said}");
}

#[test]
fn a_table_without_an_output_only_keeps_entries() {
    let source = Arc::new(Source { name: "test.vrl".into(), text: ".seen = true".into() });
    let input = Input { topic: "forms".into(), source, schema: Some(form()) };
    let mapping = Mapping::compile_table(input, Vec::new(), None, EntryType::default());
    let outcome = run_with(mapping.unwrap_or_else(|problems| panic!("{}", problems[0])), None);
    assert_eq!(outcome.0, "0 records");
    assert_eq!(stored(&outcome)["seen"], json!(true));
}
