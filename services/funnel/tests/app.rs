//! The mapping as an app function, in the core's test driver: real engine, no broker.

use std::sync::Arc;

use nubium_core::codec::{Dynamic, wire};
use nubium_core::driver::{Driver, Fault, Step};
use nubium_core::message::MessageBody;
use nubium_core::metrics::Metrics;
use nubium_core::{Pattern, Single, Transaction};
use nubium_funnel::funnel::Funnel;
use nubium_funnel::settings::Settings;
use serde_json::{Value, json};

const FORM: &str = r#"{"type": "record", "name": "Form", "fields": [
    {"name": "id", "type": "long"}, {"name": "email", "type": "string"}]}"#;
const SETTINGS: &str = "
inputs: [{topic: forms, schema: form.avsc, program: forms.vrl}]
outputs: [{topic: contacts, schema: form.avsc}, {topic: staff, schema: form.avsc}]
default_output: contacts
";
const PROGRAM: &str = r#"
if .id < 0 { abort "a test form" }
assert!(contains(.email, "@"), "no e-mail address")
.email = downcase(.email)
%headers.last_updated_by = "funnel"
%key = .email
if ends_with(.email, "@example.org") { %topic = "staff" }
"#;

fn driver(metrics: &Metrics) -> Driver<impl Pattern> {
    let settings = Settings::parse("funnel.yaml", SETTINGS, &|name| {
        Ok(if name == "forms.vrl" { PROGRAM } else { FORM }.to_owned())
    })
    .expect("settings");
    let mapping = settings.compile(&[]).unwrap_or_else(|problems| panic!("{}", problems[0]));
    let funnel = Funnel::new(Arc::new(mapping), metrics).expect("funnel");
    let function = async move |transaction: &Transaction<'_>| funnel.handle(transaction);
    let mut driver = Driver::new(Single(function)).expect("driver");
    driver.input("forms", 1, FORM).expect("input");
    driver.output("contacts", 1, FORM).expect("output");
    driver.output("staff", 1, FORM).expect("output");
    driver
}

fn send<P: Pattern>(driver: &mut Driver<P>, id: i64, email: &str) {
    let form = json!({"id": id, "email": email});
    driver.send("forms", 0, &format!("k{id}"), &Dynamic(&form)).expect("sent");
}

fn values<P: Pattern>(driver: &Driver<P>, topic: &str) -> Vec<Value> {
    driver.values(topic).expect("values")
}

#[test]
fn messages_are_mapped_routed_and_dropped_in_order() {
    let metrics = Metrics::new("app", "job");
    let mut driver = driver(&metrics);
    for (id, email) in [(1, "A@b"), (2, "B@Example.org"), (-1, "x@y"), (3, "C@d")] {
        send(&mut driver, id, email);
    }
    driver.run().expect("ran");
    let contacts = [json!({"id": 1, "email": "a@b"}), json!({"id": 3, "email": "c@d"})];
    assert_eq!(values(&driver, "contacts"), contacts);
    assert_eq!(values(&driver, "staff"), [json!({"id": 2, "email": "b@example.org"})]);
    assert_eq!(driver.committed("forms", 0), Some(4), "what is dropped is done with too");
    let first = &driver.delivered("contacts")[0];
    assert_eq!(first.header("guid"), Some("forms-0-k1"), "headers pass through");
    assert_eq!(first.header("last_updated_by"), Some("funnel"), "and are overridden");
    let key = first.body.key.as_deref().and_then(|key| wire::split(key).ok());
    assert_eq!(key.and_then(|(_, text)| wire::read_string(text).ok()), Some("a@b"));
    assert!(metrics.text().contains("messages_dropped{app=\"app\",job=\"job\",topic=\"forms\"} 1"));
}

#[test]
fn what_cannot_be_mapped_goes_to_the_failure_topic_as_it_came() {
    let mut driver = driver(&Metrics::new("app", "job"));
    driver.retry.failure_topics = vec!["failures".into()];
    driver.output("failures", 1, FORM).expect("failure topic");
    send(&mut driver, 1, "nobody");
    let broken = MessageBody {
        key: None,
        value: Some(b"not Avro".to_vec()),
        headers: vec![nubium_core::headers::Header::new("guid", "g")],
        timestamp: Some(0),
    };
    driver.send_raw("forms", 0, broken.clone());
    send(&mut driver, 2, "a@b");
    driver.run().expect("ran");
    let failures = driver.delivered("failures");
    assert_eq!(failures.len(), 2);
    let said = |index: usize| failures[index].header("exception").unwrap_or_default().to_owned();
    assert!(said(0).contains("\"MappingError\""), "{}", said(0));
    assert!(said(0).contains("forms.vrl:3: "), "with its line: {}", said(0));
    assert!(said(0).contains("no e-mail address"), "{}", said(0));
    assert!(said(1).contains("magic byte"), "{}", said(1));
    assert_eq!(failures[1].body.value, broken.value, "byte for byte");
    assert_eq!(values(&driver, "contacts"), [json!({"id": 2, "email": "a@b"})]);
}

#[test]
fn without_a_failure_topic_the_funnel_stops_and_says_where() {
    let mut driver = driver(&Metrics::new("app", "job"));
    send(&mut driver, 1, "a@b");
    send(&mut driver, 2, "nobody");
    send(&mut driver, 3, "c@d");
    let error = driver.run().expect_err("stopped");
    let said = format!("{error:#}");
    assert!(said.contains("forms") && said.contains("offset 1"), "{said}");
    assert!(said.contains("no e-mail address"), "{said}");
    assert_eq!(values(&driver, "contacts"), [json!({"id": 1, "email": "a@b"})]);
    assert_eq!(driver.committed("forms", 0), Some(1), "what was complete before it is committed");
}

#[test]
fn a_transaction_that_aborts_is_mapped_again_without_a_trace() {
    let mut driver = driver(&Metrics::new("app", "job"));
    driver.fail(Step::Commit, 1, Fault::Abort);
    for id in 0..50 {
        send(&mut driver, id, "A@b");
    }
    driver.run().expect("ran");
    let ids: Vec<_> = values(&driver, "contacts").iter().map(|v| v["id"].as_i64()).collect();
    assert_eq!(ids, (0..50).map(Some).collect::<Vec<_>>());
    assert_eq!(driver.transactions().1, 1, "one was aborted");
}
