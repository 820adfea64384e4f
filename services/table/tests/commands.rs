//! The binary as a person or a start script meets it: what it prints, and what it answers.

use nubium_local::commands::{Place, Service};
use nubium_local::program::{Program, row};

const SCHEMA: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "id", "type": "long"}, {"name": "email", "type": "string"}]}"#;
static TABLE: Service = Service {
    program: Program::new(env!("CARGO_BIN_EXE_table")),
    name: "table",
    app: "people-table",
    variable: "NU_TABLE_CONFIG",
    files: &[
        (
            "table.yaml",
            "
input: {topic: people}
program: people.vrl
outputs:
  - {topic: changed, schema: person.avsc}
lookups: {port: 18080, bearer_token_file: token}
",
        ),
        ("people.vrl", ".email = downcase(.email)"),
        ("person.avsc", SCHEMA),
        ("token", "do-not-print-me\n"),
    ],
    settings: &[("NU_TABLE_PATH", "{directory}")],
    secret: "do-not-print-me",
    commands: &[],
    wrong: (
        "input: 7\nmode: newest\nlookups: {prot: 1}",
        &["input", "newest", "prot", "lookups.port"],
    ),
    wrong_program: Some(("people.vrl", "%previous = .email")),
    shown: &[("people-table__changelog", "any JSON"), ("open to", "bearer token")],
    missing: &[
        ("schema of people", "FAILED"),
        ("programs", "skipped"),
        ("topic people-table__changelog", "FAILED"),
        ("│ changelog", "FAILED"),
    ],
    topics: &[("people", 3), ("changed", 3), ("people-table__changelog", 3)],
    subjects: &[("people-value", SCHEMA)],
    well: &[("store", "ok"), ("programs", "ok")],
};

nubium_local::command_tests!(TABLE);

#[test]
fn check_compares_the_partitions_of_changelog_and_input() {
    let place = Place::new(&TABLE);
    place.broker.create_topic("people", 3).expect("topic");
    place.broker.create_topic("changed", 2).expect("topic");
    place.broker.create_topic("people-table__changelog", 2).expect("topic");
    place.registry.register("people-value", SCHEMA).expect("schema");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("has 2 partitions"), "the counts differ: {text}");
}

#[test]
fn an_advertised_url_is_checked_and_shown() {
    let place = Place::new(&TABLE);
    let (code, text) = place.run(&["config", "--advertised-url", "not an address"]);
    assert_eq!((code, text.contains("NU_TABLE_ADVERTISED_URL")), (2, true), "{text}");
    let (code, text) = place.run(&["config", "--advertised-url", "http://table-0.example.org"]);
    assert_eq!(code, 0, "{text}");
    assert!(row(&text, "advertised_url").contains("http://table-0.example.org"), "{text}");
}

#[test]
fn inspect_names_a_directory_without_a_store() {
    let empty = tempfile::tempdir().expect("directory");
    let directory = empty.path().display().to_string();
    let (code, text) = TABLE.program.ask(&["inspect", &directory]).expect("the binary starts");
    assert_eq!((code, text.contains("no store in")), (6, true), "{text}");
}
