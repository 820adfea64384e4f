use super::*;
use nubium_avro::{Reader, Schema, json as avro_json};
use serde_json::json;

const FORM: &str = r#"{"type": "record", "name": "Form", "fields": [
    {"name": "email", "type": "string"},
    {"name": "age", "type": ["null", "int"], "default": null},
    {"name": "score", "type": "double", "default": 0.5},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NEW", "OLD"]}},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
    {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}],
     "default": null},
    {"name": "born", "type": ["null", {"type": "int", "logicalType": "date"}], "default": null},
    {"name": "price", "type": ["null", {"type": "bytes", "logicalType": "decimal",
     "precision": 9, "scale": 2}], "default": null},
    {"name": "more", "type": {"type": "map", "values": "long"}, "default": {}},
    {"name": "next", "type": ["null", "Form"], "default": null}]}"#;

fn form() -> &'static Schema {
    Schema::parse(FORM).expect("schema")
}

fn problems(rules: Rules, item: &Json) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let fits = fit(form(), rules, item, ("/3", &mut problems), &mut Vec::new());
    assert_eq!(fits, problems.is_empty());
    problems.into_iter().map(|problem| (problem.pointer, problem.reason)).collect()
}

fn read_back(bytes: &[u8]) -> Json {
    let (schema, mut reader, mut json) = (form(), Reader::new(bytes), Vec::new());
    avro_json::put(schema, schema.root(), &mut reader, &mut json).expect("read");
    reader.finish().expect("all read");
    serde_json::from_slice(&json).expect("JSON")
}

/// What is written, read back.
fn written(rules: Rules, item: &Json) -> Json {
    let (schema, mut problems, mut bytes) = (form(), Vec::new(), Vec::new());
    fit(schema, rules, item, ("", &mut problems), &mut bytes);
    assert_eq!(problems, []);
    read_back(&bytes)
}

#[test]
fn every_problem_is_named_with_its_pointer() {
    let item = json!({
        "age": "old", "kind": "newish", "tags": ["a", 7], "at": "yesterday", "born": "1815",
        "more": {"a/b": 1.5}, "nick~name": 1,
        "next": {"email": null, "kind": "NEW", "score": "high"}});
    let found = problems(Rules::default(), &item);
    let at = |pointer: &str| {
        let one = found.iter().find(|(at, _)| at == pointer);
        one.unwrap_or_else(|| panic!("nothing at {pointer}: {found:#?}")).1.as_str()
    };
    assert_eq!(at("/3/email"), "string is wanted, but the field is missing");
    assert_eq!(at("/3/age"), "int is wanted, not text \"old\"");
    assert_eq!(at("/3/kind"), "one of NEW, OLD is wanted, not text \"newish\"");
    assert_eq!(at("/3/tags/1"), "string is wanted, not 7");
    assert!(at("/3/at").contains("RFC 3339"));
    assert!(at("/3/born").contains("YYYY-MM-DD"));
    assert_eq!(at("/3/more/a~1b"), "long is wanted, not 1.5");
    assert_eq!(at("/3/nick~0name"), "the schema has no such field");
    assert_eq!(at("/3/next/email"), "string is wanted, not null");
    assert_eq!(at("/3/next/score"), "double is wanted, not text \"high\"");
    assert_eq!(found.len(), 10);
}

#[test]
fn what_fits_is_written_with_defaults_and_times_as_text_or_number() {
    let item = json!({"email": "a@b", "kind": "OLD", "at": "2026-01-31T12:00:00+01:00",
        "born": "1815-12-10", "price": 12.5, "score": 3, "next": {"email": "c", "kind": "NEW",
        "at": 1_000, "price": "0.05"}});
    let out = written(Rules::default(), &item);
    assert_eq!(out["at"], "2026-01-31T11:00:00.000Z");
    assert_eq!(out["born"], "1815-12-10");
    assert_eq!(out["price"], "12.50");
    assert_eq!((&out["score"], &out["age"], &out["tags"]), (&json!(3.0), &Json::Null, &json!([])));
    assert_eq!(out["next"]["at"], "1970-01-01T00:00:01.000Z");
    assert_eq!((&out["next"]["price"], &out["next"]["score"]), (&json!("0.05"), &json!(0.5)));
}

#[test]
fn a_forms_texts_become_what_the_schema_wants() {
    let rules = Rules { from_text: true, ..Rules::default() };
    let item = json!({"email": "", "kind": "NEW", "age": "42", "score": "", "tags": "one"});
    let out = written(rules, &item);
    assert_eq!((&out["email"], &out["age"]), (&json!(""), &json!(42)));
    assert_eq!((&out["score"], &out["tags"]), (&json!(0.5), &json!(["one"])));
    let blank = json!({"email": "a", "kind": "NEW", "age": "", "born": ""});
    assert_eq!(written(rules, &blank)["age"], Json::Null);
    let wrong = problems(rules, &json!({"email": "a", "kind": "", "age": "4x"}));
    let pointers: Vec<_> = wrong.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/3/age", "/3/kind"]);
}

#[test]
fn unknown_fields_are_left_out_if_the_route_says_so() {
    let rules = Rules { ignore_unknown: true, ..Rules::default() };
    let item = json!({"email": "a", "kind": "NEW", "utm_source": "x",
        "next": {"email": "b", "kind": "OLD", "other": 1}});
    let out = written(rules, &item);
    assert_eq!(out["next"]["email"], "b");
    assert!(out.get("utm_source").is_none() && out["next"].get("other").is_none());
}

#[test]
fn nested_unions_cost_no_more_than_their_size() {
    // Each level offers two records; trying both out at every level would never end.
    let schema = Schema::parse(
        r#"{"type": "record", "name": "A", "fields": [
            {"name": "x", "type": ["null", "A", {"type": "record", "name": "B", "fields": [
                {"name": "x", "type": ["null", "A", "B"]}]}]}]}"#,
    )
    .expect("schema");
    let deep = (0..60).fold(json!(7), |inner, _| json!({ "x": inner }));
    let mut problems = Vec::new();
    fit(schema, Rules::default(), &deep, ("", &mut problems), &mut Vec::new());
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].pointer, "/x".repeat(60));
}

#[test]
fn the_list_of_problems_is_bounded() {
    let tags: Vec<_> = (0..1_000).collect();
    let found = problems(Rules::default(), &json!({"email": "a", "kind": "NEW", "tags": tags}));
    assert_eq!(found.len(), MOST_PROBLEMS);
}

#[test]
fn whatever_fits_is_written_and_nothing_else() {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(2_147_483_648_i64),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("NEW"),
        json!("1.005"),
        json!("2026-01-31"),
        json!("2026-01-31T00:00:00Z"),
        json!([]),
        json!([1]),
        json!({}),
        json!({"a": 1}),
        json!({"email": "x", "kind": "OLD"}),
    ];
    for rules in [Rules::default(), Rules { from_text: true, ignore_unknown: true }] {
        for name in ["email", "age", "score", "kind", "tags", "at", "born", "price", "more", "next"]
        {
            for value in &values {
                let mut item = json!({"email": "a", "kind": "NEW"});
                item[name] = value.clone();
                let (mut problems, mut bytes) = (Vec::new(), Vec::new());
                if fit(form(), rules, &item, ("", &mut problems), &mut bytes) {
                    read_back(&bytes);
                } else {
                    assert_eq!((problems.is_empty(), bytes.is_empty()), (false, true));
                }
            }
        }
    }
}
