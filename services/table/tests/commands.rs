//! The binary as a person or a start script meets it: what it prints, and what it answers.

use nubium_local::program::{Program, Said, row, said};
use nubium_local::{Broker, Registry};

const TABLE: Program = Program::new(env!("CARGO_BIN_EXE_table"));

const SCHEMA: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "id", "type": "long"}, {"name": "email", "type": "string"}]}"#;
const SETTINGS: &str = "
input: {topic: people}
program: people.vrl
outputs:
  - {topic: changed, schema: person.avsc}
lookups: {port: 18080, bearer_token_file: token}
";

/// A table's directory, and the cluster that its settings name.
struct Place {
    directory: tempfile::TempDir,
    broker: Broker,
    registry: Registry,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let broker = Broker::start().expect("broker");
        let registry = Registry::start().expect("registry");
        let place = Self { directory, broker, registry };
        place.write("table.yaml", SETTINGS);
        place.write("people.vrl", ".email = downcase(.email)");
        place.write("person.avsc", SCHEMA);
        place.write("token", "do-not-print-me\n");
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).expect("file");
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = TABLE.command_on(&self.broker, &self.registry, "people-table", arguments);
        command
            .env("NU_TABLE_CONFIG", self.directory.path().join("table.yaml"))
            .env("NU_TABLE_PATH", self.directory.path());
        said(&mut command).expect("the binary starts")
    }
}

#[test]
fn check_says_what_is_missing_and_then_that_all_is_well() {
    let place = Place::new();
    place.broker.create_topic("people", 3).expect("topic");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "schema of people").contains("FAILED"), "{text}");
    assert!(row(&text, "programs").contains("skipped"), "{text}");
    assert!(row(&text, "topic people-table__changelog").contains("FAILED"), "{text}");
    assert!(row(&text, "│ changelog").contains("FAILED"), "{text}");

    place.broker.create_topic("changed", 2).expect("topic");
    place.broker.create_topic("people-table__changelog", 2).expect("topic");
    place.registry.register("people-value", SCHEMA).expect("schema");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("has 2 partitions"), "the counts differ: {text}");
    assert!(row(&text, "programs").contains("ok"), "{text}");

    let place = Place::new();
    for topic in ["people", "changed", "people-table__changelog"] {
        place.broker.create_topic(topic, 3).expect("topic");
    }
    place.registry.register("people-value", SCHEMA).expect("schema");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 0, "{text}");
    assert!(row(&text, "store").contains("ok"), "{text}");
}

#[test]
fn check_shows_where_a_program_is_wrong() {
    let place = Place::new();
    place.registry.register("people-value", SCHEMA).expect("schema");
    place.write("people.vrl", "%previous = .email");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("┌─ people.vrl:1:"), "{text}");
    let (code, text) = place.run(&["run"]);
    assert_eq!(code, 2, "a program that is wrong is a wrong setting:\n{text}");
}

#[test]
fn all_bad_settings_are_named_at_once_before_anything_is_asked() {
    let place = Place::new();
    place.write("table.yaml", "input: 7\nmode: newest\nlookups: {prot: 1}");
    for command in ["run", "check", "config"] {
        let (code, text) = place.run(&[command]);
        assert_eq!(code, 2, "{text}");
        for problem in ["input", "newest", "prot", "lookups.port"] {
            assert!(text.contains(problem), "{command} does not name {problem}:\n{text}");
        }
    }
    assert!(place.registry.requests().is_empty(), "nothing was asked of the network");
    place.write("table.yaml", SETTINGS);
    let (code, text) = place.run(&["config", "--advertised-url", "not an address"]);
    assert_eq!((code, text.contains("NU_TABLE_ADVERTISED_URL")), (2, true), "{text}");
}

#[test]
fn config_prints_what_is_in_force_without_secrets() {
    let place = Place::new();
    let (code, text) = place.run(&["config", "--advertised-url", "http://table-0.example.org"]);
    assert_eq!(code, 0, "{text}");
    assert!(row(&text, "NU_APP_NAME").contains("people-table"));
    assert!(row(&text, "people-table__changelog").contains("any JSON"), "{text}");
    assert!(row(&text, "advertised_url").contains("http://table-0.example.org"), "{text}");
    assert!(row(&text, "open to").contains("bearer token"), "{text}");
    assert!(!text.contains("do-not-print-me"), "{text}");
}

#[test]
fn the_command_line_explains_itself() {
    let ask = |arguments: &[&str]| TABLE.ask(arguments).expect("the binary starts");
    let (code, text) = ask(&["--help"]);
    assert_eq!(code, 0);
    for word in ["run", "check", "inspect", "verify", "completions", "Exit codes", "Examples"] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    assert_eq!(ask(&["no-such-command"]).0, 2);
    let (code, script) = ask(&["completions", "bash"]);
    assert_eq!(code, 0);
    assert!(script.contains("complete -F _table"));
    let empty = tempfile::tempdir().expect("directory");
    let (code, text) = ask(&["inspect", &empty.path().display().to_string()]);
    assert_eq!((code, text.contains("no store in")), (6, true), "{text}");
}
