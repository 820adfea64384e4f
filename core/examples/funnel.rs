//! The funnel of the benchmark as a typed app: decode an event, count a click, say who processed
//! it, pass it on.
//!
//! It is a peer of `scripts/bench`, which names topics and brokers in `BENCH_*`; an app of your own
//! would call
//! `App::from_env()` and have no other `main`.

mod call;

use nubium_core::{App, Config, Record, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::ExitCode;

/// librdkafka's memory too, which is most of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    New,
    Open,
    Qualified,
    Closed,
}

#[derive(Deserialize, Serialize)]
struct Address<'a> {
    street: &'a str,
    city: &'a str,
    postcode: &'a str,
    country: &'a str,
}

/// The input; text is borrowed from the message. With `processed_by` it is the output too: that
/// field is not in the input's schema and gets its default.
#[derive(Deserialize, Serialize)]
struct Event<'a> {
    seq: i64,
    sent_ns: i64,
    campaign_id: &'a str,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    company: Option<&'a str>,
    score: f64,
    clicks: i32,
    active: bool,
    status: Status,
    #[serde(borrow)]
    tags: Vec<&'a str>,
    #[serde(borrow)]
    attributes: BTreeMap<&'a str, &'a str>,
    address: Address<'a>,
    created_at: i64,
    notes: Option<&'a str>,
    #[serde(default)]
    processed_by: &'a str,
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; see scripts/bench"))
}

fn config() -> Config {
    let app = var("BENCH_APP_ID");
    let clusters = serde_json::json!({ "bench": { "url": var("BENCH_BOOTSTRAP") } });
    let mut vars = vec![
        ("NU_APP_NAME", app.clone()),
        ("NU_HOSTNAME", format!("{app}-0")),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters.to_string()),
        ("NU_TOPIC_CONFIGS_JSON", "{}".into()),
        ("NU_SCHEMA_REGISTRY_URL", var("BENCH_REGISTRY")),
        ("NU_CONSUMER_AUTO_OFFSET_RESET", "earliest".into()),
        ("NU_DO_METRICS_PUSHING", "false".into()),
        ("NU_HEALTH_FILE", "off".into()),
        ("NU_APP_THREADS", std::env::var("BENCH_THREADS").unwrap_or("1".into())),
        ("NU_LOGLEVEL", std::env::var("BENCH_LOGLEVEL").unwrap_or("WARNING".into())),
    ];
    // Settings given in the environment win, so that a benchmark can vary them.
    vars.retain(|(name, _)| std::env::var_os(name).is_none());
    let given = std::env::vars().filter(|(name, _)| name.starts_with("NU_"));
    let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(given);
    Config::from_vars(vars).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn main() -> ExitCode {
    let (input, output) = (var("BENCH_INPUT"), var("BENCH_OUTPUT"));
    let schema = std::fs::read_to_string(var("BENCH_OUTPUT_SCHEMA")).expect("output schema");
    App::new(config()).consume([input]).produce(output.clone(), schema).run(
        async move |tx: &Transaction<'_>| {
            let mut event: Event<'_> = tx.value()?;
            call::call().await?;
            event.clicks += 1;
            event.processed_by = "bench";
            tx.produce(Record::to(&output).value(&event))
        },
    )
}
