//! The binary as a person or a start script meets it: what it prints, and what it answers.

use nubium_local::Answer;
use nubium_local::commands::{Place, Service};
use nubium_local::program::{Program, row};

static UPLOADER: Service = Service {
    program: Program::new(env!("CARGO_BIN_EXE_batch-uploader")),
    name: "batch-uploader",
    app: "orders-uploader",
    variable: "NU_BATCH_UPLOADER_CONFIG",
    files: &[
        (
            "batch-uploader.yaml",
            "topics: [orders]\nrequest: {url: '{api}', idempotency_header: Idempotency-Key}\n\
             auth: {bearer: {token_file: token}}",
        ),
        ("token", "do-not-print-me\n"),
    ],
    settings: &[("NU_PRODUCE_FAILURE_TOPICS", "orders-failed")],
    secret: "do-not-print-me",
    commands: &[],
    wrong: (
        "request: {url: nowhere, timeout_second: 1}\nbatches: 1",
        &["batches", "request.url", "timeout_second"],
    ),
    wrong_program: None,
    shown: &[("request.idempotency_header", "Idempotency-Key"), ("retry.tries", "for ever")],
    missing: &[("topic orders ", "FAILED")],
    topics: &[("orders", 2), ("orders-failed", 2)],
    subjects: &[],
    well: &[
        ("settings", " ok "),
        ("registry", " ok "),
        ("credentials", " ok "),
        ("API", " ok "),
        ("brokers", " ok "),
        ("topic orders-failed", " ok "),
    ],
};

nubium_local::command_tests!(UPLOADER);

#[test]
fn check_names_an_api_that_does_not_answer() {
    let place = Place::new(&UPLOADER);
    place.api.answer(|_, _| Answer::Close);
    let (code, text) = place.run(&["check"]);
    assert_eq!(code, 1, "{text}");
    assert!(row(&text, "API").contains("FAILED"), "{text}");
}

#[test]
fn what_does_not_go_together_is_named_before_anything_is_asked() {
    let place = Place::new(&UPLOADER);
    place.write_settings("request: {url: '{api}', timeout_seconds: 100}\nretry: {tries: 2}");
    let (code, text) = place.run(&["run"]);
    assert_eq!(code, 2, "{text}");
    for problem in ["topics", "NU_CONSUME_TOPICS", "request.timeout_seconds", "60 s"] {
        assert!(text.contains(problem), "no {problem} in\n{text}");
    }
    assert!(place.api.requests().is_empty() && place.registry.requests().is_empty());
}
