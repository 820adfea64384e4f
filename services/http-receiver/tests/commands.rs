//! The binary as a person or a start script meets it: what it prints, and what it answers.

use nubium_local::commands::{Place, Service};
use nubium_local::program::Program;

const SCHEMA: &str = r#"{"type": "record", "name": "Form", "fields": [
    {"name": "id", "type": "long"}, {"name": "email", "type": "string"}]}"#;
const SETTINGS: &str = "
credentials: {crm: {api_key_file: crm.keys}}
routes:
  - {path: /forms, topic: forms, schema: form.avsc, key: /email, auth: [crm]}
  - {path: /any, topic: forms, schema: form.avsc, program: forms.vrl}
";
const KEY: &str = "do-not-print-me-0123456789";
static RECEIVER: Service = Service {
    program: Program::new(env!("CARGO_BIN_EXE_http-receiver")),
    name: "http-receiver",
    app: "web-forms",
    variable: "NU_HTTP_RECEIVER_CONFIG",
    files: &[
        ("http-receiver.yaml", SETTINGS),
        ("form.avsc", SCHEMA),
        ("forms.vrl", ". = {\"id\": 1, \"email\": string!(.email)}"),
        ("crm.keys", KEY),
    ],
    settings: &[("NU_HEALTH_FILE", "off")],
    secret: KEY,
    commands: &["openapi"],
    wrong: ("routes: 7\nlistne: x\nlimits: {items: -1}", &["routes", "listne", "limits.items"]),
    wrong_program: Some(("forms.vrl", ". = {\"id\": 1, \"email\": downcase(.email)}")),
    shown: &[("/forms", "crm"), ("/any", "anybody"), ("API key", "1 valid")],
    missing: &[("topic forms", "FAILED"), ("schema of forms", "will be registered")],
    topics: &[("forms", 3)],
    subjects: &[],
    well: &[("topic forms", "3 partitions"), ("programs", "forms.vrl")],
};

nubium_local::command_tests!(RECEIVER);

#[test]
fn check_tells_of_routes_where_anybody_may_post() {
    let (_, text) = Place::new(&RECEIVER).run(&["check"]);
    assert!(text.contains("/any: anybody may post here"), "{text}");
}

#[test]
fn openapi_is_printed_without_keys() {
    let (code, text) = Place::new(&RECEIVER).run(&["openapi"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("\"openapi\": \"3.1.0\"") && !text.contains(KEY), "{text}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let place = Place::new(&RECEIVER);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let address = taken.local_addr().expect("address");
    place.write_settings(&format!("listen: {address}\n{SETTINGS}"));
    let (code, text) = place.run(&["run"]);
    assert_eq!(code, 6, "{text}");
    assert!(text.contains(&address.to_string()), "{text}");
}
