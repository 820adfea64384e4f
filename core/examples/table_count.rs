//! The counter of the benchmark as a table app: counts events by key, and says the count for each.
//!
//! It is a peer of `scripts/bench`, which names its topics in `BENCH_*`; an app of your own knows
//! them, and has no other `main`.

mod call;

use nubium_core::{App, Record, Transaction};
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

fn main() -> ExitCode {
    let (input, output) = (var("BENCH_INPUT"), var("BENCH_OUTPUT"));
    let schema = std::fs::read_to_string(var("BENCH_OUTPUT_SCHEMA")).expect("output schema");
    App::from_env().consume([input]).produce(output.clone(), schema).table().run(
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
