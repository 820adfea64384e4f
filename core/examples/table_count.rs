//! The counter of the benchmark as a table app: counts events by key, and says the count for each.
//!
//! It is a peer of `scripts/bench`, which names topics and brokers in `BENCH_*`; an app of your own
//! would call `App::from_env()` and have no other `main`.

mod call;

use nubium_core::{App, Config, Record, Transaction};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

/// librdkafka's memory too, which is most of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is needed of the input; the other fields are skipped.
#[derive(Deserialize)]
struct Event {
    seq: i64,
    sent_ns: i64,
}

#[derive(Serialize)]
struct KeyCount<'a> {
    seq: i64,
    sent_ns: i64,
    key: &'a str,
    count: i64,
}

#[derive(Default, Deserialize, Serialize)]
struct Entry {
    count: i64,
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
        ("NU_TABLE_PATH", var("BENCH_STATE_DIR")),
        ("NU_TABLE_CREATE_CHANGELOG", "true".into()),
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
    App::new(config()).consume([input]).produce(output.clone(), schema).table().run(
        async move |tx: &Transaction<'_>| {
            let Event { seq, sent_ns } = tx.value()?;
            let mut entry: Entry = tx.read_table_entry()?.unwrap_or_default();
            call::call().await?;
            entry.count += 1;
            tx.update_table_entry(&entry)?;
            let key = tx.key()?.unwrap_or_default();
            let counted = KeyCount { seq, sent_ns, key, count: entry.count };
            tx.produce(Record::to(&output).value(&counted))
        },
    )
}
