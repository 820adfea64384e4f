//! The binary as a person or a start script meets it: what it prints, and what it answers.

use nubium_local::program::{Program, Said, row, said};
use nubium_local::{Broker, Registry};

const RECEIVER: Program = Program::new(env!("CARGO_BIN_EXE_http-receiver"));

const SCHEMA: &str = r#"{"type": "record", "name": "Form", "fields": [
    {"name": "id", "type": "long"}, {"name": "email", "type": "string"}]}"#;
const SETTINGS: &str = "
credentials: {crm: {api_key_file: crm.keys}}
routes:
  - {path: /forms, topic: forms, schema: form.avsc, key: /email, auth: [crm]}
  - {path: /any, topic: forms, schema: form.avsc, program: forms.vrl}
";
const PROGRAM: &str = ". = {\"id\": 1, \"email\": string!(.email)}";
const KEY: &str = "do-not-print-me-0123456789";

/// A receiver's directory, and the cluster that its settings name.
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
        place.write("http-receiver.yaml", SETTINGS);
        place.write("form.avsc", SCHEMA);
        place.write("forms.vrl", PROGRAM);
        place.write("crm.keys", KEY);
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).expect("file");
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = RECEIVER.command_on(&self.broker, &self.registry, "web-forms", arguments);
        command
            .env("NU_HTTP_RECEIVER_CONFIG", self.directory.path().join("http-receiver.yaml"))
            .env("NU_HEALTH_FILE", "off");
        said(&mut command).expect("the binary starts")
    }
}

#[test]
fn check_says_what_is_missing_and_then_that_all_is_well() {
    let place = Place::new();
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "topic forms").contains("FAILED"), "{text}");
    assert!(row(&text, "schema of forms").contains("will be registered"), "{text}");
    assert!(text.contains("/any: anybody may post here"), "{text}");

    place.broker.create_topic("forms", 3).expect("topic");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 0, "{text}");
    assert!(row(&text, "topic forms").contains("3 partitions"), "{text}");
    assert!(row(&text, "programs").contains("forms.vrl"), "{text}");
    let posted = |request: &&String| request.starts_with("POST") && request.contains("versions");
    let requests = place.registry.requests();
    assert!(!requests.iter().any(|r| posted(&r)), "check changes nothing: {requests:?}");
}

#[test]
fn a_program_that_is_wrong_is_shown_with_its_line_and_is_a_wrong_setting() {
    let place = Place::new();
    place.write("forms.vrl", ". = {\"id\": 1, \"email\": downcase(.email)}");
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("┌─ forms.vrl:1:"), "{text}");
    let (code, text) = place.run(&["run"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("┌─ forms.vrl:1:"), "{text}");
}

#[test]
fn all_bad_settings_are_named_at_once_before_anything_is_asked() {
    let place = Place::new();
    place.write("http-receiver.yaml", "routes: 7\nlistne: x\nlimits: {items: -1}");
    for command in ["run", "check", "config", "openapi"] {
        let (code, text) = place.run(&[command]);
        assert_eq!(code, 2, "{text}");
        for problem in ["routes", "listne", "limits.items"] {
            assert!(text.contains(problem), "{command} does not name {problem}:\n{text}");
        }
    }
    assert!(place.registry.requests().is_empty(), "nothing was asked of the network");
    let (code, text) = RECEIVER.ask(&["run"]).expect("the binary starts");
    assert_eq!(code, 2);
    for problem in ["NU_HTTP_RECEIVER_CONFIG", "NU_KAFKA_CLUSTERS_CONFIGS_JSON", "NU_APP_NAME"] {
        assert!(text.contains(problem), "no {problem} in\n{text}");
    }
}

#[test]
fn config_and_openapi_print_what_is_in_force_without_keys() {
    let place = Place::new();
    let (code, text) = place.run(&["config"]);
    assert_eq!(code, 0, "{text}");
    assert!(row(&text, "/forms").contains("crm"), "{text}");
    assert!(row(&text, "/any").contains("anybody"), "{text}");
    assert!(row(&text, "API key").contains("1 valid"), "{text}");
    assert!(!text.contains(KEY), "{text}");
    let (code, text) = place.run(&["openapi"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("\"openapi\": \"3.1.0\"") && !text.contains(KEY), "{text}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let address = taken.local_addr().expect("address");
    place.write("http-receiver.yaml", &format!("listen: {address}\n{SETTINGS}"));
    let (code, text) = place.run(&["run"]);
    assert_eq!(code, 6, "{text}");
    assert!(text.contains(&address.to_string()), "{text}");
}

#[test]
fn the_command_line_explains_itself() {
    let ask = |arguments: &[&str]| RECEIVER.ask(arguments).expect("the binary starts");
    let (code, text) = ask(&["--help"]);
    assert_eq!(code, 0);
    for word in ["run", "check", "config", "openapi", "completions", "Exit codes", "Examples"] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    assert_eq!(ask(&["--version"]).0, 0);
    assert_eq!(ask(&["no-such-command"]).0, 2);
    let (code, script) = ask(&["completions", "bash"]);
    assert_eq!(code, 0);
    assert!(script.contains("http-receiver"), "{script}");
}
