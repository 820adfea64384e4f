//! The fifth service, of CONTRIBUTING.md, is held to what all are held to: the frame gives it every
//! command.
//!
//! No harness of the compiler's: this program is the service itself when it is told to be.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use nubium_local::commands::Service;
use nubium_local::program::{AS_PROGRAM, Program};

#[path = "../examples/tagger.rs"]
#[allow(unused, reason = "its tests run with the example")]
mod tagger;

const SCHEMA: &str = r#"{"type": "record", "name": "Signup", "fields": [
    {"name": "email", "type": "string"}, {"name": "tag", "type": "string"}]}"#;
static TAGGER: Service = Service {
    program: Program::this(),
    name: "tagger",
    app: "signup-tagger",
    variable: "NU_TAGGER_CONFIG",
    files: &[
        ("tagger.yaml", "{from: signups, to: tagged, schema: tagged.avsc, tag: spring}"),
        ("tagged.avsc", SCHEMA),
    ],
    settings: &[
        ("NU_SCHEMA_REGISTRY_USERNAME", "user"),
        ("NU_SCHEMA_REGISTRY_PASSWORD", "hidden-1"),
    ],
    secret: "hidden-1",
    commands: &[],
    wrong: ("{from: 1, tga: x}", &["from", "to", "schema", "tag", "tga"]),
    wrong_program: None,
    shown: &[("NU_SCHEMA_REGISTRY_PASSWORD", "[redacted]")],
    missing: &[("topic signups", "FAILED"), ("topic tagged", "FAILED")],
    topics: &[("signups", 1), ("tagged", 1)],
    subjects: &[],
    well: &[("topic signups", "1 partition"), ("schema of tagged", "will be registered")],
};

fn main() -> ExitCode {
    if std::env::var_os(AS_PROGRAM).is_some() {
        return tagger::main();
    }
    let tests: [(&str, fn()); 4] = [
        ("the_command_line_explains_itself", || TAGGER.explains_itself()),
        ("all_bad_settings_are_named_at_once", || TAGGER.names_all_bad_settings_at_once()),
        ("config_prints_what_is_in_force", || TAGGER.shows_what_is_in_force_without_secrets()),
        ("check_says_what_is_missing", || TAGGER.checks_without_changing_anything()),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.map(trial).into()).exit_code()
}
