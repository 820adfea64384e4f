//! The binary as a person or a start script meets it: what it prints, and what it answers.

use nubium_local::program::{Program, Said, row, said};
use nubium_local::{Broker, Registry};

const FUNNEL: Program = Program::new(env!("CARGO_BIN_EXE_funnel"));

const SCHEMA: &str = r#"{"type": "record", "name": "Form", "fields": [
    {"name": "id", "type": "long"}, {"name": "email", "type": "string"}]}"#;
const SETTINGS: &str = "
program: forms.vrl
inputs:
  - topic: forms
outputs:
  - {topic: contacts, schema: contact.avsc}
";

/// A funnel's directory, and the cluster that its settings name.
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
        place.write("funnel.yaml", SETTINGS);
        place.write("forms.vrl", ".email = downcase(.email)");
        place.write("contact.avsc", SCHEMA);
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).expect("file");
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command =
            FUNNEL.command_on(&self.broker, &self.registry, "forms-funnel", arguments);
        command
            .env("NU_FUNNEL_CONFIG", self.directory.path().join("funnel.yaml"))
            .env("NU_SCHEMA_REGISTRY_USERNAME", "user")
            .env("NU_SCHEMA_REGISTRY_PASSWORD", "do-not-print-me");
        said(&mut command).expect("the binary starts")
    }
}

#[test]
fn check_says_what_is_missing_and_then_that_all_is_well() {
    let place = Place::new();
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "schema of forms").contains("FAILED"), "{text}");
    assert!(row(&text, "programs").contains("skipped"), "{text}");
    assert!(row(&text, "topic forms").contains("FAILED"), "{text}");
    assert!(row(&text, "topic contacts").contains("FAILED"), "{text}");

    place.broker.create_topic("forms", 3).expect("topic");
    place.broker.create_topic("contacts", 2).expect("topic");
    place.registry.register("forms-value", SCHEMA).expect("schema");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 0, "{text}");
    assert!(row(&text, "topic forms").contains("3 partitions"), "{text}");
    assert!(row(&text, "schema of contacts").contains("will be registered"), "{text}");
    let subjects = place.registry.requests();
    let changes: Vec<_> = subjects
        .iter()
        .filter(|request| request.contains("versions"))
        .filter(|request| request.starts_with("POST"))
        .collect();
    assert!(changes.is_empty(), "check changes nothing, but: {changes:?}");
    assert!(!text.contains("do-not-print-me"));
}

#[test]
fn check_shows_where_a_program_is_wrong() {
    let place = Place::new();
    place.registry.register("forms-value", SCHEMA).expect("schema");
    place.write("forms.vrl", ".email = downcase(.emial)");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("┌─ forms.vrl:1:"), "{text}");
    let (code, text) = place.run(&["run"]);
    assert_eq!(code, 2, "a program that is wrong is a wrong setting:\n{text}");
    assert!(text.contains("┌─ forms.vrl:1:"), "{text}");
}

#[test]
fn check_names_a_registry_and_brokers_that_do_not_answer() {
    let mut place = Place::new();
    place.write(
        "funnel.yaml",
        &SETTINGS.replace("topic: forms", "topic: forms\n    schema: contact.avsc"),
    );
    place.registry = Registry::start().expect("another");
    place.registry.break_down(nubium_local::Fault::status(500));
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "registry").contains("FAILED"), "{text}");
    assert!(row(&text, "programs").contains("ok"), "types are in files: {text}");
}

#[test]
fn all_bad_settings_are_named_at_once_before_anything_is_asked() {
    let place = Place::new();
    place.write("funnel.yaml", "inputs: []\noutputs: 7\nprogramm: x");
    for command in ["run", "check", "config"] {
        let (code, text) = place.run(&[command]);
        assert_eq!(code, 2, "{text}");
        for problem in ["programm", "inputs", "outputs"] {
            assert!(text.contains(problem), "{command} does not name {problem}:\n{text}");
        }
    }
    assert!(place.registry.requests().is_empty(), "nothing was asked of the network");
    let (code, text) = FUNNEL.ask(&["run"]).expect("the binary starts");
    assert_eq!(code, 2);
    for problem in ["NU_FUNNEL_CONFIG", "NU_KAFKA_CLUSTERS_CONFIGS_JSON", "NU_APP_NAME"] {
        assert!(text.contains(problem), "no {problem} in\n{text}");
    }
}

#[test]
fn config_prints_what_is_in_force_without_secrets() {
    let place = Place::new();
    let (code, text) = place.run(&["config"]);
    assert_eq!(code, 0, "{text}");
    assert!(row(&text, "NU_APP_NAME").contains("forms-funnel"));
    assert!(row(&text, "contacts").contains("contact.avsc"));
    assert!(row(&text, "NU_SCHEMA_REGISTRY_PASSWORD").contains("[redacted]"), "{text}");
    assert!(!text.contains("do-not-print-me"), "{text}");
}

#[test]
fn the_command_line_explains_itself() {
    let ask = |arguments: &[&str]| FUNNEL.ask(arguments).expect("the binary starts");
    let (code, text) = ask(&["--help"]);
    assert_eq!(code, 0);
    for word in ["run", "check", "config", "completions", "Exit codes", "Examples"] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    assert_eq!(ask(&["--version"]).0, 0);
    assert_eq!(ask(&["no-such-command"]).0, 2);
    let (code, script) = ask(&["completions", "bash"]);
    assert_eq!(code, 0);
    assert!(script.contains("complete -F _funnel"));
}
