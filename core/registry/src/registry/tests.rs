//! Faults of the registry, as the area "Registry" of the reliability board lists them.

use std::time::Duration;

use nubium_local::{Fault, Registry as Local};
use serde::Deserialize;
use tokio::runtime::Handle;

mod unusable;

use super::{Backoff, Registry, RegistryConfig, RegistryError};
use crate::{Codec, Dynamic, SchemaId, Value};

const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
const V2: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
    {"name":"b","type":"string","default":"none"}]}"#;
const BAD: &str = r#"{"type":"record","name":"R","fields":[{"name":"c","type":"int"}]}"#;

/// Patience for tests: short waits between attempts, and never out of time by accident.
fn config(urls: &str) -> RegistryConfig {
    RegistryConfig {
        timeout: Duration::from_secs(2),
        backoff: Backoff { first: Duration::from_millis(1), max: Duration::from_millis(20) },
        not_found_grace: Duration::from_secs(60),
        startup_deadline: Duration::from_secs(60),
        ..RegistryConfig::new(urls)
    }
}

fn codec(config: RegistryConfig) -> Codec {
    Codec::new(Registry::new(config, Handle::current()).expect("valid settings"))
}

/// Waits until a condition holds that other tasks bring about.
async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..30_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{what} did not happen");
}

/// Counts the requests for a path.
fn asked(local: &Local, path: &str) -> usize {
    local.requests().iter().filter(|request| request.ends_with(path)).count()
}

#[tokio::test]
async fn down_at_start_then_up() {
    let address = Local::start().unwrap().address();
    let codec = codec(config(&format!("http://{address}")));
    let task = tokio::spawn({
        let codec = codec.clone();
        async move { codec.prepare_topic("t", V1, true).await }
    });
    let registry = codec.registry().unwrap();
    until("a failure", || !registry.health().is_reachable()).await;
    assert!(registry.health().last_error.unwrap().contains(&address.to_string()));
    assert!(registry.requests().iter().any(|count| count.status == 0));
    let _local = Local::start_on(address).unwrap();
    let encoder = task.await.unwrap().unwrap();
    assert_eq!((encoder.value_id(), encoder.key_id()), (SchemaId(1), SchemaId(2)));
    assert!(registry.health().is_reachable());
}

#[tokio::test]
async fn a_deadline_ends_the_start() {
    let address = Local::start().unwrap().address();
    let patience = Duration::from_millis(50);
    let config = RegistryConfig {
        startup_deadline: patience,
        ..config(&format!("http://ann:hunter2@{address}"))
    };
    let error = codec(config).prepare_topic("t", V1, true).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("register the schema of subject `t-value`"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn down_with_a_warm_cache_changes_nothing() {
    let local = Local::start().unwrap();
    let codec = codec(config(&local.url()));
    let mut encoder = codec.prepare_topic("t", V1, true).await.unwrap();
    let mut bytes = Vec::new();
    encoder.encode_value(&Dynamic(&serde_json::json!({"a": 5})), &mut bytes).unwrap();
    assert_eq!(codec.decode::<Value>(&bytes).unwrap_err().not_fetched(), Some(SchemaId(1)));
    codec.ensure(SchemaId(1)).await.unwrap();
    drop(local);
    codec.ensure(SchemaId(1)).await.unwrap();
    assert_eq!(codec.decode::<Value>(&bytes).unwrap().get("a"), Some(&Value::Int(5)));
}

#[tokio::test]
async fn down_with_a_cold_id_is_waited_for() {
    let local = Local::start().unwrap();
    local.register("t-value", V1).unwrap();
    local.break_down(Fault::status(503));
    let codec = codec(config(&local.url()));
    let task = tokio::spawn({
        let codec = codec.clone();
        async move { codec.ensure(SchemaId(1)).await.map(|schema| schema.text()) }
    });
    until("a third attempt", || local.requests().len() >= 3).await;
    assert!(!task.is_finished());
    local.heal();
    assert_eq!(task.await.unwrap(), Ok(V1));
}

#[tokio::test]
async fn what_passes_is_asked_again() {
    let faults = [
        Fault::status(500),
        Fault::status(502),
        Fault::status(503),
        Fault::status(504),
        Fault::status(408),
        Fault::status(425),
        Fault::status(429).with_header("retry-after", "0"),
        Fault::Answer { status: 500, headers: vec![], body: "<html>no JSON".into() },
        Fault::status(404),
        Fault::Close,
        Fault::body("<html>this is not JSON"),
        Fault::body("{}"),
        Fault::body(r#"{"schema": 5}"#),
    ];
    for fault in faults {
        let local = Local::start().unwrap();
        local.register("t-value", V1).unwrap();
        local.inject(fault.clone(), 2);
        let found = codec(config(&local.url())).ensure(SchemaId(1)).await;
        assert_eq!(found.map(|schema| schema.text()), Ok(V1), "{fault:?}");
        assert_eq!(asked(&local, "/schemas/ids/1"), 3, "{fault:?}");

        local.inject(fault.clone(), 1);
        let outcome = codec(config(&local.url())).prepare_topic("t", V1, true).await;
        if fault == Fault::status(404) {
            let error = outcome.unwrap_err();
            assert!(matches!(error, RegistryError::Refused { status: 404, .. }), "{error}");
        } else {
            assert_eq!(outcome.unwrap().value_id(), SchemaId(1), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn slow_and_silent_servers_are_given_up_and_asked_again() {
    for fault in [Fault::Delay(Duration::from_secs(3600)), Fault::Silence] {
        let local = Local::start().unwrap();
        local.register("t-value", V1).unwrap();
        local.inject(fault, 1);
        let config = RegistryConfig { timeout: Duration::from_millis(200), ..config(&local.url()) };
        assert!(codec(config).ensure(SchemaId(1)).await.is_ok());
        assert!(asked(&local, "/schemas/ids/1") >= 2);
    }
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let local = Local::start().unwrap();
    local.inject(Fault::status(429).with_header("retry-after", "50"), 1);
    let config =
        RegistryConfig { startup_deadline: Duration::from_secs(40), ..config(&local.url()) };
    let error = codec(config).prepare_topic("t", V1, true).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    assert_eq!(local.requests().len(), 1, "it does not ask before the 50 s are over");
}

#[tokio::test]
async fn refusals_are_final_clear_and_secret_free() {
    for (status, word) in [(401, "password"), (403, "right"), (409, "compatib"), (422, "injected")]
    {
        let local = Local::start().unwrap();
        local.inject(Fault::status(status), 1);
        let codec = codec(config(&local.url()).with_login("ann", "hunter2"));
        let error = codec.prepare_topic("t", V1, true).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, RegistryError::Refused { .. }), "{text}");
        assert!(text.contains(&status.to_string()) && text.contains(word), "{text}");
        assert!(text.contains("`t-value`") && !text.contains("hunter2"), "{text}");
        assert_eq!(local.requests().len(), 1);
        assert!(codec.registry().unwrap().health().is_reachable(), "a refusal is an answer");
        assert!(codec.prepare_topic("t", V1, true).await.is_ok(), "nothing is remembered");
    }
}

#[tokio::test]
async fn incompatible_and_invalid_schemas_stop_the_start() {
    let local = Local::start().unwrap();
    local.register("t-value", V1).unwrap();
    let codec = codec(config(&local.url()));
    let error = codec.prepare_topic("t", BAD, true).await.unwrap_err().to_string();
    assert!(error.contains("409") && error.contains("compatibility"), "{error}");
    let error = codec.prepare_topic("t", "{", true).await.unwrap_err().to_string();
    assert!(error.contains("the value schema of topic `t`"), "{error}");
}

#[tokio::test]
async fn looking_up_changes_nothing() {
    let local = Local::start().unwrap();
    let codec = codec(config(&local.url()));
    let error = codec.prepare_topic("t", V1, false).await.unwrap_err();
    assert!(matches!(error, RegistryError::NotRegistered { .. }), "{error}");
    codec.prepare_topic("t", V1, true).await.unwrap();
    let error = codec.prepare_topic("t", V2, false).await.unwrap_err();
    assert!(error.to_string().contains("`t-value`"), "{error}");
    let before = local.requests().len();
    assert_eq!(codec.prepare_topic("t", V1, false).await.unwrap().value_id(), SchemaId(1));
    let new = &local.requests()[before..];
    assert_eq!(new, ["POST /subjects/t-value", "POST /subjects/t-key"]);
}

#[tokio::test]
async fn an_unknown_id_is_asked_for_again_later() {
    let local = Local::start().unwrap();
    let grace = Duration::from_millis(20);
    let codec = codec(RegistryConfig { not_found_grace: grace, ..config(&local.url()) });
    let error = codec.ensure(SchemaId(1)).await.unwrap_err();
    assert!(matches!(error, RegistryError::UnknownSchema { id: SchemaId(1), .. }), "{error}");
    assert!(asked(&local, "/schemas/ids/1") >= 2, "a follower may lag");
    local.register("t-value", V1).unwrap();
    assert!(codec.ensure(SchemaId(1)).await.is_ok());
}

#[tokio::test]
async fn a_schema_evolves_while_the_app_runs() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct New {
        a: i64,
        #[serde(default)]
        b: String,
    }
    let local = Local::start().unwrap();
    let codec = codec(config(&local.url()));
    let mut found = Vec::new();
    for (schema, json) in [(V1, r#"{"a":1}"#), (V2, r#"{"a":2,"b":"x"}"#)] {
        let mut encoder = codec.prepare_topic("t", schema, true).await.unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let mut bytes = Vec::new();
        encoder.encode_value(&Dynamic(&json), &mut bytes).unwrap();
        codec.ensure(encoder.value_id()).await.unwrap();
        found.push(codec.decode::<New>(&bytes).unwrap());
    }
    assert_eq!(found, [New { a: 1, b: String::new() }, New { a: 2, b: "x".into() }]);
    assert_eq!(codec.latest("t-value").await.unwrap().0, SchemaId(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_cause_one_request() {
    let local = Local::start().unwrap();
    local.register("t-value", V1).unwrap();
    local.set_delay(Duration::from_millis(50));
    let codec = codec(config(&local.url()));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let codec = codec.clone();
            tokio::spawn(async move { codec.ensure(SchemaId(1)).await.is_ok() })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(local.requests().len(), 1);
}

#[tokio::test]
async fn a_fetch_ends_when_nobody_waits_and_starts_again() {
    let local = Local::start().unwrap();
    local.register("t-value", V1).unwrap();
    local.break_down(Fault::status(500));
    let codec = codec(config(&local.url()));
    let impatient = tokio::spawn({
        let codec = codec.clone();
        async move { codec.ensure(SchemaId(1)).await.is_ok() }
    });
    until("an attempt", || !local.requests().is_empty()).await;
    impatient.abort();
    assert!(impatient.await.is_err());
    until("the end of the fetch", || codec.0.flights.is_empty()).await;
    local.heal();
    assert!(codec.ensure(SchemaId(1)).await.is_ok());
}

#[tokio::test]
async fn the_next_url_is_used_and_preferred() {
    let dead = Local::start().unwrap().url();
    let (lagging, good) = (Local::start().unwrap(), Local::start().unwrap());
    good.register("t-value", V1).unwrap();
    let codec = codec(config(&format!("{dead},{},{}", lagging.url(), good.url())));
    codec.ensure(SchemaId(1)).await.unwrap();
    assert_eq!((lagging.requests().len(), good.requests().len()), (1, 1));
    codec.prepare_topic("t", V1, true).await.unwrap();
    assert_eq!((lagging.requests().len(), good.requests().len()), (1, 3));
}

#[tokio::test]
async fn logins_are_sent() {
    let local = Local::start().unwrap();
    local.register("t-value", V1).unwrap();
    local.require_login("ann", "hunt er2@");
    let with_setting = codec(config(&local.url()).with_login("ann", "hunt er2@"));
    assert!(with_setting.ensure(SchemaId(1)).await.is_ok());
    let url = local.url().replace("http://", "http://ann:hunt%20er2%40@");
    let registry = Registry::new(config(&url), Handle::current()).unwrap();
    registry.check().await.unwrap();
    let shown = format!("{registry:?} {:?}", codec(config(&url)));
    assert!(!shown.contains("hunt"), "{shown}");
    let without = Registry::new(config(&local.url()), Handle::current()).unwrap();
    let error = without.check().await.unwrap_err();
    assert!(matches!(error, RegistryError::Refused { status: 401, .. }), "{error}");
}

#[tokio::test]
async fn references_are_fetched_too() {
    let local = Local::start().unwrap();
    let person = r#"{"type":"record","name":"x.P","fields":[{"name":"home","type":"x.A"}]}"#;
    let address = r#"{"type":"record","name":"x.A","fields":[{"name":"c","type":"x.C"}]}"#;
    let city = r#"{"type":"record","name":"x.C","fields":[{"name":"n","type":"string"}]}"#;
    let answer = |schema: &str, reference: &str| {
        let references = match reference {
            "" => serde_json::json!([]),
            subject => serde_json::json!([{"name": "n", "subject": subject, "version": 1}]),
        };
        let body = serde_json::json!({"schema": schema, "references": references});
        Fault::body(&body.to_string())
    };
    local.inject(answer(person, "address"), 1);
    local.inject(answer(address, "city"), 1);
    local.inject(answer(city, ""), 1);
    let schema = codec(config(&local.url())).ensure(SchemaId(9)).await.unwrap();
    assert_eq!(schema.text(), person);
    let wanted = ["/schemas/ids/9", "/subjects/address/versions/1", "/subjects/city/versions/1"];
    assert_eq!(local.requests(), wanted.map(|path| format!("GET {path}")));
}

/// A certificate that is not trusted needs a TLS server; a server without TLS fails in the same
/// place, and so does the class of the error.
#[tokio::test]
async fn a_tls_failure_is_told_as_such() {
    let local = Local::start().unwrap();
    let url = local.url().replace("http://", "https://");
    let deadline = Duration::from_millis(50);
    let config = RegistryConfig { startup_deadline: deadline, ..config(&url) };
    let Ok(registry) = Registry::new(config, Handle::current()) else {
        panic!("this machine has no CA certificates: install ca-certificates");
    };
    let error = Codec::new(registry).prepare_topic("t", V1, true).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
}

#[test]
fn the_codec_can_be_awaited_on_runtimes_that_come_and_go() {
    let local = Local::start().unwrap();
    for name in ["a", "b", "c"] {
        local.register(name, &V1.replace("\"R\"", &format!("\"{name}\""))).unwrap();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let registry = Registry::new(config(&local.url()), runtime.handle().clone()).unwrap();
    let codec = Codec::new(registry);
    for id in 1..=3 {
        let short = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(short.block_on(codec.ensure(SchemaId(id))).is_ok());
    }
    drop(runtime);
    let short = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = short.block_on(codec.ensure(SchemaId(4))).unwrap_err();
    assert_eq!(error, RegistryError::Stopped);
}

#[test]
fn bad_settings_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = |config| {
        let error = Registry::new(config, runtime.handle().clone()).unwrap_err();
        assert!(matches!(error, RegistryError::Settings(_)), "{error}");
    };
    refused(RegistryConfig::new(""));
    refused(RegistryConfig::new("registry:8081"));
    refused(RegistryConfig {
        ca_pem: Some(b"nothing".to_vec()),
        ..RegistryConfig::new("https://registry")
    });
}
