//! The binary as a person or a start script meets it: what it prints, and what it answers.

use nubium_local::commands::{Place, Service};
use nubium_local::program::{Program, row};
use nubium_local::{Fault, Registry};

const SCHEMA: &str = r#"{"type": "record", "name": "Form", "fields": [
    {"name": "id", "type": "long"}, {"name": "email", "type": "string"}]}"#;
const SETTINGS: &str = "
program: forms.vrl
inputs:
  - topic: forms
outputs:
  - {topic: contacts, schema: contact.avsc}
";
static FUNNEL: Service = Service {
    program: Program::new(env!("CARGO_BIN_EXE_funnel")),
    name: "funnel",
    app: "forms-funnel",
    variable: "NU_FUNNEL_CONFIG",
    files: &[
        ("funnel.yaml", SETTINGS),
        ("forms.vrl", ".email = downcase(.email)"),
        ("contact.avsc", SCHEMA),
    ],
    settings: &[
        ("NU_SCHEMA_REGISTRY_USERNAME", "user"),
        ("NU_SCHEMA_REGISTRY_PASSWORD", "do-not-print-me"),
    ],
    secret: "do-not-print-me",
    commands: &[],
    wrong: ("inputs: []\noutputs: 7\nprogramm: x", &["programm", "inputs", "outputs"]),
    wrong_program: Some(("forms.vrl", ".email = downcase(.emial)")),
    shown: &[("contacts", "contact.avsc"), ("NU_SCHEMA_REGISTRY_PASSWORD", "[redacted]")],
    missing: &[
        ("schema of forms", "FAILED"),
        ("programs", "skipped"),
        ("topic forms", "FAILED"),
        ("topic contacts", "FAILED"),
    ],
    topics: &[("forms", 3), ("contacts", 2)],
    subjects: &[("forms-value", SCHEMA)],
    well: &[("topic forms", "3 partitions"), ("schema of contacts", "will be registered")],
};

nubium_local::command_tests!(FUNNEL);

#[test]
fn check_names_a_registry_and_brokers_that_do_not_answer() {
    let mut place = Place::new(&FUNNEL);
    let schema = "topic: forms\n    schema: contact.avsc";
    place.write_settings(&SETTINGS.replace("topic: forms", schema));
    place.registry = Registry::start().expect("another");
    place.registry.break_down(Fault::status(500));
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "registry").contains("FAILED"), "{text}");
    assert!(row(&text, "programs").contains("ok"), "types are in files: {text}");
}
