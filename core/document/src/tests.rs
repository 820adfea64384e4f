//! Tests of the one reader of documents.

use super::*;

fn places(document: Document) -> Vec<String> {
    let (problems, _) = document.into_notes();
    problems.iter().map(|p| format!("{}: {}", p.place, p.read)).collect()
}

#[test]
fn a_wrong_field_is_noted_with_its_place_and_reading_goes_on() {
    let document = Document::new("a.yaml");
    let text =
        "{list: [{name: 1}, {name: ''}, 2], count: 0, on: yes please, word: tow, topic: 'a b'}";
    let root = document.root(text, "a map", "list: []").expect("a map");
    for entry in root.entries("list", "list: [{name: x}]") {
        assert_eq!(entry.text("name", "x"), None);
    }
    assert_eq!(root.whole("count", 7, 1..=9), 7);
    assert!(root.flag("on", true));
    assert_eq!(root.choice("word", &[("one", 1), ("two", 2)]), 1);
    assert_eq!(root.topic("topic", "a topic", "t"), None);
    root.finish();
    let expected =
        document.problems().iter().find(|p| p.place == "word").map(|p| p.expected.clone());
    assert_eq!(expected.as_deref(), Some("one of one, two; did you mean two?"));
    assert_eq!(
        places(document),
        [
            "list[2]: 2",
            "list[0].name: 1",
            "list[1].name: an empty text",
            "count: 0",
            "on: yes please",
            "word: tow",
            "topic: a b"
        ]
    );
}

#[test]
fn names_that_nobody_asked_for_are_told_ahead_and_with_what_was_meant() {
    let document = Document::new("a.yaml");
    let root = document.root("{.anchor: 1, tpoic: x, inner: {b: 1}}", "a map", "x").expect("map");
    root.needed("topic", "a topic", "t");
    let inner = root.section("inner", "inner: {}").expect("a map");
    assert!(!inner.has("a"));
    inner.finish();
    root.finish();
    assert!(document.problems()[0].expected.ends_with("did you mean topic?"));
    assert_eq!(places(document), [": tpoic", "topic: nothing", "inner: b"]);
}

#[test]
fn a_hidden_document_shows_no_value_and_takes_null_for_nothing() {
    let document = Document::hidden("NU_X", "NU_X={}".into());
    let map = json(r#"{"a": null, "b": ["s3cret"], "c": "s3cret", "d": {"e": 5}}"#).expect("JSON");
    let map = map.as_mapping().expect("a map").clone();
    let root = Fields::new(&document, "main".into(), map);
    assert!(!root.has("a"));
    root.text("b", "");
    root.choice("c", &[("one", 1)]);
    root.section("d", "").expect("a map").text("e", "");
    assert_eq!(places(document), ["main.b: a list", "main.c: another text", "main.d.e: a number"]);
}

#[test]
fn what_is_no_document_is_told_with_its_place() {
    for (text, why) in [
        ("a: [", "line"),
        ("a: 1\na: 2", "duplicate"),
        ("a: !tag 1", "tag"),
        ("[1]: 2", "neither text nor number"),
        ("<<: 1", "something other than a map"),
    ] {
        let error = yaml(text).expect_err(text);
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
    let twice = json(r#"{"s3cret": 1, "s3cret": 2}"#).expect_err("a name twice");
    assert!(!twice.without_text("not JSON").contains("s3cret"), "{twice}");
    let merged = yaml("{.a: &a {x: 1}, .b: &b {<<: *a, y: 2}, c: {<<: *b}, 7: 8}").expect("YAML");
    assert_eq!(show(&merged["c"]), "y: 2, x: 1");
    assert_eq!(show(&merged["7"]), "8");
}

#[test]
fn whole_numbers_are_written_so_and_the_nearest_name_is_found() {
    for (text, expected) in
        [("1e6", Some("1000000")), ("0.5", Some("0.5")), ("true", Some("true")), ("[]", None)]
    {
        assert_eq!(scalar(&json(text).expect(text)).as_deref(), expected);
    }
    assert_eq!(nearest("brokres", ["brokers", "topic"].into_iter()), Some("brokers"));
    assert_eq!(nearest("zzz", ["brokers", "topic"].into_iter()), None);
    assert!(["", ".", "..", "a b"].iter().all(|name| topic_name(name).is_err()));
}
