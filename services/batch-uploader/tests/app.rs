//! The uploader against an API that answers as it is told: the real loop, no broker.

use std::path::Path;
use std::time::Duration;

use nubium_batch_uploader::commands::run::pattern;
use nubium_batch_uploader::settings::Settings;
use nubium_batch_uploader::upload::Uploader;
use nubium_core::Pattern;
use nubium_core::codec;
use nubium_core::driver::{Delivered, Driver, Fault, Step};
use nubium_core::metrics::Metrics;
use nubium_local::{Answer, Api, Request};
use serde_json::{Value, json};

const SCHEMA: &str = r#"{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "raw", "type": "bytes"}]}"#;

struct Test {
    api: Api,
    metrics: Metrics,
    directory: tempfile::TempDir,
}

impl Test {
    fn new(script: impl FnMut(&Request, usize) -> Answer + Send + 'static) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let api = Api::start(script).expect("API");
        Self { api, metrics: Metrics::new("app", "job"), directory }
    }

    /// A driver with `orders` messages, an uploader of these settings, and `tries`.
    fn driver(
        &self,
        orders: i64,
        tries: u32,
        request: &str,
        more: &str,
    ) -> Driver<impl Pattern + use<>> {
        let url = self.api.url("/in");
        let text = format!(
            "request: {{url: '{url}', name: crm, timeout_seconds: 0.3, {request}}}\n\
             retry: {{backoff_seconds: 0.001}}\n{more}"
        );
        let settings = Settings::parse("u.yaml", &text, self.directory.path())
            .unwrap_or_else(|problems| panic!("{problems:?}"));
        let uploader = Uploader::new(settings.clone(), "app", tries, true, &self.metrics);
        let pattern = pattern(&settings, uploader.expect("uploader"));
        let mut driver = Driver::new(pattern).expect("driver");
        driver.input("orders", 2, SCHEMA).expect("input");
        driver.retry.retry_topics = vec!["later".into()];
        driver.retry.failure_topics = vec!["failed".into()];
        for id in 0..orders {
            let fields = [
                ("id", codec::Value::from(id)),
                ("at", codec::Value::from(1_700_000_000_000_i64 + id)),
                ("raw", codec::Value::from(&[0, 0xff][..])),
            ];
            let value = codec::Value::Map(fields.into_iter().collect());
            driver.send("orders", (id % 2) as i32, "key", &value).expect("sent");
        }
        driver
    }

    fn counted(&self, status: u16) -> f64 {
        let text = self.metrics.text();
        let line = text.lines().find(|line| {
            line.starts_with("external_requests{")
                && line.contains(&format!("status_code=\"{status}\""))
        });
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }
}

const BATCH: &str = "batch: {count: 4, seconds: 0}";

fn ids(request: &Request) -> Vec<i64> {
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    body.as_array().expect("array").iter().filter_map(|item| item["id"].as_i64()).collect()
}

fn all_ids(requests: &[Request]) -> Vec<i64> {
    let mut all: Vec<_> = requests.iter().flat_map(ids).collect();
    all.sort_unstable();
    all
}

fn ids_of<P: Pattern>(driver: &Driver<P>, topic: &str) -> Vec<i64> {
    let values: Vec<codec::Value> = driver.values(topic).expect("values");
    let id = |value: &codec::Value| value.get("id").and_then(codec::Value::as_i64);
    let mut ids: Vec<_> = values.iter().filter_map(id).collect();
    ids.sort_unstable();
    ids
}

fn done<P: Pattern>(driver: &Driver<P>, orders: i64) -> bool {
    driver.committed("orders", 0) == Some((orders + 1) / 2)
        && driver.committed("orders", 1) == Some(orders / 2)
}

fn exception(delivered: &Delivered) -> Value {
    serde_json::from_str(delivered.header("exception").expect("exception")).expect("JSON")
}

#[test]
fn batches_are_sent_in_order_with_headers_and_decoded_values() {
    let test = Test::new(|_, _| Answer::status(200));
    let more = format!("{BATCH}\nauth: {{basic: {{username: u, password_file: p}}}}");
    std::fs::write(test.directory.path().join("p"), "w").expect("file");
    let mut driver = test.driver(8, 1, "headers: {x-tenant: '7'}", &more);
    driver.run().expect("ran");
    let requests = test.api.requests();
    assert_eq!(requests.iter().map(ids).collect::<Vec<_>>(), [[0, 2, 4, 6], [1, 3, 5, 7]]);
    let first = &requests[0];
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/in"));
    assert_eq!(first.header("x-tenant"), Some("7"));
    assert_eq!(first.header("content-type"), Some("application/json"));
    assert_eq!(first.header("authorization"), Some("Basic dTp3"));
    let body: Value = serde_json::from_slice(&first.body).expect("JSON");
    assert_eq!(body[1], json!({"id": 2, "at": 1_700_000_000_002_i64, "raw": "\u{0}\u{ff}"}));
    assert!(done(&driver, 8));
    assert_eq!(test.counted(200), 2.0);
    let text = test.metrics.text();
    for label in [r#"request_to="crm""#, r#"request_endpoint="/in""#, r#"is_bulk="True""#] {
        assert!(text.contains(label), "{text}");
    }
}

#[test]
fn one_request_a_message_and_lines_of_json_are_other_bodies() {
    let test = Test::new(|_, _| Answer::status(202));
    let mut driver = test.driver(3, 1, "body: single, item: envelope, method: PUT", BATCH);
    driver.run().expect("ran");
    let requests = test.api.requests();
    assert_eq!(requests.len(), 3);
    let item: Value = serde_json::from_slice(&requests[1].body).expect("JSON");
    assert_eq!((item["id"].as_str(), item["key"].as_str()), (Some("orders-0-1"), Some("key")));
    assert_eq!((item["value"]["id"].as_i64(), item["partition"].as_i64()), (Some(2), Some(0)));
    assert_eq!(item["headers"]["guid"], "orders-0-key");
    assert!(test.metrics.text().contains(r#"is_bulk="False""#));

    let test = Test::new(|_, _| Answer::status(202));
    test.driver(4, 1, "body: ndjson, gzip: true", BATCH).run().expect("ran");
    let request = &test.api.requests()[0];
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&*request.body);
    std::io::Read::read_to_string(&mut decoder, &mut text).expect("gzip");
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn what_is_refused_goes_to_the_failure_topic_with_status_and_excerpt() {
    let script = |request: &Request, _| match ids(request).contains(&2) {
        true => Answer::body(422, "no such customer"),
        false => Answer::status(200),
    };
    let test = Test::new(script);
    let mut driver = test.driver(8, 3, "", BATCH);
    driver.run().expect("ran");
    assert_eq!(ids_of(&driver, "failed"), [0, 2, 4, 6]);
    let said = exception(&driver.delivered("failed")[0]);
    assert_eq!(said["name"], "Http422");
    let text = said["description"].as_str().expect("text");
    assert!(text.contains("422") && text.ends_with("crm POST /in: no such customer"), "{text}");
    assert!(done(&driver, 8));
}

#[test]
fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    let script = |request: &Request, _| match ids(request).len() {
        1 if ids(request) == [3] => Answer::body(413, "too large"),
        1 | 2 if !ids(request).contains(&3) => Answer::status(200),
        _ => Answer::status(413),
    };
    let test = Test::new(script);
    let mut driver = test.driver(8, 3, "", "batch: {count: 8, seconds: 0}");
    driver.run().expect("ran");
    assert_eq!(ids_of(&driver, "failed"), [3]);
    assert_eq!(exception(&driver.delivered("failed")[0])["name"], "Http413");
    assert!(ids_of(&driver, "later").is_empty());
    assert!(done(&driver, 8));
}

#[test]
fn results_of_items_are_mapped_to_messages_and_the_rest_is_tried_again() {
    let script = |request: &Request, before: usize| {
        let result = |id: &i64| match id {
            0 => json!({"ref": id, "status": 201}),
            2 => json!({"ref": id, "status": 400, "error": "bad"}),
            4 if before == 0 => json!({"ref": id, "status": 503}),
            6 => json!({"ref": id, "status": 429}),
            _ => json!({"ref": id, "status": "created"}),
        };
        let results: Vec<_> = ids(request).iter().rev().map(result).collect();
        Answer::body(207, json!({ "results": results }).to_string())
    };
    let test = Test::new(script);
    let answer = "answer: {items: /results, status: /status, done: [created], id: /ref, \
        item_id: /id}";
    let mut driver = test.driver(8, 3, "", &format!("{BATCH}\n{answer}"));
    driver.run().expect("ran");
    assert_eq!(ids_of(&driver, "failed"), [2]);
    assert!(
        exception(&driver.delivered("failed")[0])["description"]
            .as_str()
            .is_some_and(|text| text.contains("bad"))
    );
    assert_eq!(ids_of(&driver, "later"), [6]);
    let sent: Vec<_> = test.api.requests().iter().map(ids).collect();
    assert_eq!(sent, [vec![0, 2, 4, 6], vec![4, 6], vec![6], vec![1, 3, 5, 7]]);
    assert!(done(&driver, 8));
}

#[test]
fn errors_and_silence_are_tried_again_and_then_routed_to_be_retried() {
    let answers = [Answer::status(500), Answer::Hang, Answer::Close, Answer::status(200)];
    let test = Test::new(move |_, before| answers[before.min(3)].clone());
    let mut driver = test.driver(4, 4, "", "batch: {count: 4, seconds: 0}");
    driver.run().expect("ran");
    assert_eq!(test.api.requests().len(), 4);
    assert!(ids_of(&driver, "later").is_empty() && done(&driver, 4));
    assert_eq!((test.counted(500), test.counted(0), test.counted(200)), (1.0, 2.0, 1.0));

    let test = Test::new(|_, _| Answer::body(502, "bad gateway"));
    let mut driver = test.driver(4, 3, "", "batch: {count: 4, seconds: 0}");
    driver.run().expect("ran");
    assert_eq!(test.api.requests().len(), 3);
    assert_eq!(ids_of(&driver, "later"), [0, 1, 2, 3]);
    assert_eq!(exception(&driver.delivered("later")[0])["name"], "Http502");
    assert!(done(&driver, 4));
}

#[test]
fn a_service_that_says_when_to_come_back_is_obeyed_and_that_costs_no_try() {
    for status in [429, 503] {
        let script = move |_: &Request, before| match before {
            0..3 => Answer::Status(status, vec![("retry-after", "0".into())], String::new()),
            _ => Answer::status(200),
        };
        let test = Test::new(script);
        let mut driver = test.driver(4, 1, "", "batch: {count: 4, seconds: 0}");
        driver.run().expect("ran");
        assert_eq!(test.api.requests().len(), 4);
        assert!(ids_of(&driver, "later").is_empty() && done(&driver, 4));
    }
    let script = |_: &Request, before| match before {
        0 => Answer::Status(503, vec![("retry-after", "1".into())], String::new()),
        _ => Answer::status(200),
    };
    let test = Test::new(script);
    let mut driver =
        test.driver(8, 1, "", "batch: {count: 2, seconds: 0}\nlimits: {concurrency: 1}");
    let begin = std::time::Instant::now();
    driver.run().expect("ran");
    assert!(begin.elapsed() >= Duration::from_secs(1), "it waited as it was told");
    assert!(done(&driver, 8));
}

#[test]
fn what_is_in_flight_when_the_service_asks_for_a_break_is_all_that_is_sent() {
    let script = |_: &Request, before| match before {
        0 => Answer::Status(429, vec![("retry-after", "0".into())], String::new()),
        _ => Answer::status(200),
    };
    let test = Test::new(script);
    let more = "batch: {count: 1, seconds: 0}\nlimits: {concurrency: 2, requests_per_second: 500}";
    let mut driver = test.driver(9, 1, "", more);
    driver.run().expect("ran");
    assert_eq!(all_ids(&test.api.requests()[1..]), (0..9).collect::<Vec<_>>());
    assert!(done(&driver, 9));
}

#[test]
fn a_replay_carries_the_same_idempotency_key_and_no_other_request_does() {
    for (step, fault) in [
        (Step::Commit, Fault::Abort),
        (Step::SendOffsets, Fault::Timeout),
        (Step::Commit, Fault::Crash),
        (Step::Serve, Fault::Rebalance),
    ] {
        let test = Test::new(|_, _| Answer::status(200));
        let request = "idempotency_header: Idempotency-Key";
        let mut driver = test.driver(12, 1, request, "batch: {count: 3, seconds: 0}");
        driver.fail(step, 3, fault);
        driver.run().expect("ran");
        driver.run().expect("ran again");
        assert!(done(&driver, 12), "{step:?} {fault:?}");
        let mut keys: Vec<(String, Vec<i64>)> = Vec::new();
        for request in test.api.requests() {
            let key = request.header("idempotency-key").expect("key").to_owned();
            let (mut same, ids) = (keys.iter().filter(|(known, _)| *known == key), ids(&request));
            assert!(same.all(|(_, known)| *known == ids), "one key, other messages");
            keys.push((key, ids));
        }
        let mut sent: Vec<i64> = keys.iter().flat_map(|(_, ids)| ids.clone()).collect();
        sent.sort_unstable();
        sent.dedup();
        assert_eq!(sent, (0..12).collect::<Vec<_>>());
        let mut distinct: Vec<_> = keys.iter().map(|(key, _)| key).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 4, "{step:?} {fault:?}: {keys:?}");
    }
}

#[test]
fn access_tokens_are_kept_until_they_are_refused() {
    let tokens = Api::start(|request, before| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert_eq!(body, "grant_type=client_credentials&scope=orders.write");
        // "id:s%26" in base64: form-encoded before it becomes basic credentials.
        assert_eq!(request.header("authorization"), Some("Basic aWQ6cyUyNg=="));
        Answer::body(
            200,
            json!({"access_token": format!("t{before}"), "expires_in": 3600}).to_string(),
        )
    })
    .expect("token endpoint");
    let script = |request: &Request, before| match (before, request.header("authorization")) {
        (1, Some("Bearer t0")) => Answer::status(401),
        (0, Some("Bearer t0")) | (2.., Some("Bearer t1")) => Answer::status(200),
        _ => Answer::status(400),
    };
    let test = Test::new(script);
    std::fs::write(test.directory.path().join("s"), "s&\n").expect("file");
    let auth = format!(
        "auth: {{oauth2: {{token_url: '{}', client_id: id, client_secret_file: s, \
         scope: orders.write}}}}",
        tokens.url("/token")
    );
    let mut driver = test.driver(8, 1, "", &format!("batch: {{count: 2, seconds: 0}}\n{auth}"));
    driver.run().expect("ran");
    assert!(done(&driver, 8));
    assert!(ids_of(&driver, "failed").is_empty() && ids_of(&driver, "later").is_empty());
    assert_eq!(tokens.requests().len(), 2);
    assert_eq!(test.api.requests().len(), 5);
}

#[test]
fn refused_credentials_and_a_token_endpoint_that_is_down_lose_nothing() {
    let test = Test::new(|_, _| Answer::status(401));
    std::fs::write(test.directory.path().join("t"), "token").expect("file");
    let bearer = format!("{BATCH}\nauth: {{bearer: {{token_file: t}}}}");
    let mut driver = test.driver(4, 2, "", &bearer);
    driver.run().expect("ran");
    assert_eq!((test.api.requests().len(), ids_of(&driver, "later").len()), (2, 4));
    assert_eq!(test.api.requests()[0].header("authorization"), Some("Bearer token"));

    let tokens = Api::start(|_, _| Answer::body(500, "secret stuff")).expect("token endpoint");
    let test = Test::new(|_, _| Answer::status(200));
    std::fs::write(test.directory.path().join("s"), "hush").expect("file");
    let url = tokens.url("/token");
    let auth =
        format!("auth: {{oauth2: {{token_url: '{url}', client_id: i, client_secret_file: s}}}}");
    let mut driver = test.driver(4, 2, "", &format!("{BATCH}\n{auth}"));
    driver.run().expect("ran");
    let said = exception(&driver.delivered("later")[0]).to_string();
    assert!(said.contains("CredentialsError") && said.contains("500"), "{said}");
    assert!(!said.contains("hush"), "{said}");
    assert!(test.api.requests().is_empty());
}

#[test]
fn what_cannot_be_decoded_fails_alone() {
    let test = Test::new(|_, _| Answer::status(200));
    let mut driver = test.driver(4, 1, "", "batch: {count: 9, seconds: 0}");
    let broken = nubium_core::message::MessageBody {
        value: Some(b"no Avro".to_vec()),
        headers: vec![nubium_core::headers::Header::new("guid", "g")],
        ..Default::default()
    };
    driver.send_raw("orders", 0, broken);
    driver.run().expect("ran");
    assert_eq!(all_ids(&test.api.requests()), [0, 1, 2, 3]);
    assert_eq!(driver.delivered("failed").len(), 1);
    assert_eq!(exception(&driver.delivered("failed")[0])["name"], "DecodeError");
}

#[test]
fn the_directory_of_the_file_is_where_secrets_are() {
    let text = "request: {url: 'http://x/'}\nauth: {bearer: {token_file: nowhere}}";
    assert!(Settings::parse("u.yaml", text, Path::new("/")).is_err());
}
