//! The binary as a person or a start script meets it: what it prints, and what it answers.

use nubium_local::program::{Program, Said, row, said};
use nubium_local::{Answer, Api, Broker, Registry};

const UPLOADER: Program = Program::new(env!("CARGO_BIN_EXE_batch-uploader"));

/// An uploader's directory, and what its settings name.
struct Place {
    directory: tempfile::TempDir,
    broker: Broker,
    registry: Registry,
    api: Api,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let api = Api::start(|_, _| Answer::status(204)).expect("API");
        let broker = Broker::start().expect("broker");
        let registry = Registry::start().expect("registry");
        let place = Self { directory, broker, registry, api };
        place.write("token", "do-not-print-me\n");
        let url = place.api.url("/in");
        place.write(
            "batch-uploader.yaml",
            &format!(
                "topics: [orders]\nrequest: {{url: '{url}', idempotency_header: Idempotency-Key}}\n\
                 auth: {{bearer: {{token_file: token}}}}"
            ),
        );
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).expect("file");
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command =
            UPLOADER.command_on(&self.broker, &self.registry, "orders-uploader", arguments);
        command
            .env("NU_BATCH_UPLOADER_CONFIG", self.directory.path().join("batch-uploader.yaml"))
            .env("NU_PRODUCE_FAILURE_TOPICS", "orders-failed");
        said(&mut command).expect("the binary starts")
    }
}

#[test]
fn check_says_what_is_missing_and_then_that_all_is_well() {
    let place = Place::new();
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "topic orders ").contains("FAILED"), "{text}");
    for topic in ["orders", "orders-failed"] {
        place.broker.create_topic(topic, 2).expect("topic");
    }
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 0, "{text}");
    for what in ["settings", "registry", "credentials", "API", "brokers", "topic orders-failed"] {
        assert!(row(&text, what).contains(" ok "), "{what} in\n{text}");
    }
    assert!(place.api.requests().iter().all(|request| request.method == "OPTIONS"));
    assert!(!text.contains("do-not-print-me"), "{text}");
}

#[test]
fn check_names_an_api_that_does_not_answer() {
    let place = Place::new();
    place.api.answer(|_, _| Answer::Close);
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "API").contains("FAILED"), "{text}");
}

#[test]
fn all_bad_settings_are_named_at_once_before_anything_is_asked() {
    let place = Place::new();
    place.write("batch-uploader.yaml", "request: {url: nowhere, timeout_second: 1}\nbatches: 1");
    for command in ["run", "check", "config"] {
        let (code, text) = place.run(&[command]);
        assert_eq!(code, 2, "{text}");
        for problem in ["batches", "request.url", "timeout_second"] {
            assert!(text.contains(problem), "{command} does not name {problem}:\n{text}");
        }
    }
    let url = place.api.url("/in");
    let slow = format!("request: {{url: '{url}', timeout_seconds: 100}}\nretry: {{tries: 2}}");
    place.write("batch-uploader.yaml", &slow);
    let (code, text) = place.run(&["run"]);
    assert_eq!(code, 2, "{text}");
    for problem in ["topics", "NU_CONSUME_TOPICS", "request.timeout_seconds", "60 s"] {
        assert!(text.contains(problem), "no {problem} in\n{text}");
    }
    assert!(place.api.requests().is_empty() && place.registry.requests().is_empty());
}

#[test]
fn config_prints_what_is_in_force_without_secrets() {
    let place = Place::new();
    let (code, text) = place.run(&["config"]);
    assert_eq!(code, 0, "{text}");
    assert!(row(&text, "request.idempotency_header").contains("Idempotency-Key"), "{text}");
    assert!(row(&text, "retry.tries").contains("for ever"), "{text}");
    assert!(!text.contains("do-not-print-me"), "{text}");
}

#[test]
fn the_command_line_explains_itself() {
    let ask = |arguments: &[&str]| UPLOADER.ask(arguments).expect("the binary starts");
    let (code, text) = ask(&["--help"]);
    assert_eq!(code, 0);
    for word in ["run", "check", "config", "completions", "Exit codes", "Examples"] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    assert_eq!(ask(&["--version"]).0, 0);
    assert_eq!(ask(&["no-such-command"]).0, 2);
    let (code, script) = ask(&["completions", "bash"]);
    assert_eq!(code, 0);
    assert!(script.contains("complete -F _batch"), "{script}");
}
