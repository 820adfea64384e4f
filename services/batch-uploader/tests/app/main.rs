//! The uploader against an API that answers as it is told: the real loop, no broker.

mod answers;
mod credentials;
mod replays;
mod templates;

use nubium_batch_uploader::settings::Settings;
use nubium_batch_uploader::upload::Uploader;
use nubium_batch_uploader::uploads::pattern;
use nubium_core::Pattern;
use nubium_core::codec;
use nubium_core::driver::{Delivered, Driver};
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
        let more = format!("retry: {{backoff_seconds: 0.001}}\n{more}");
        self.driver_with(orders, tries, request, &more)
    }

    /// The same with a back-off of its own.
    fn driver_with(
        &self,
        orders: i64,
        tries: u32,
        request: &str,
        more: &str,
    ) -> Driver<impl Pattern + use<>> {
        self.driver_to("/in", orders, tries, request, more)
    }

    /// The same to another path.
    fn driver_to(
        &self,
        path: &str,
        orders: i64,
        tries: u32,
        request: &str,
        more: &str,
    ) -> Driver<impl Pattern + use<>> {
        let url = self.api.url(path);
        let text = format!(
            "request: {{url: '{url}', name: crm, timeout_seconds: 0.3, {request}}}\n{more}"
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
            let value = order(id);
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

fn order(id: i64) -> codec::Value {
    let fields = [
        ("id", codec::Value::from(id)),
        ("at", codec::Value::from(1_700_000_000_000_i64 + id)),
        ("raw", codec::Value::from(&[0, 0xff][..])),
    ];
    codec::Value::Map(fields.into_iter().collect())
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
    assert_eq!(body[1], json!({"id": 2, "at": "2023-11-14T22:13:20.002Z", "raw": "\u{0}\u{ff}"}));
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
