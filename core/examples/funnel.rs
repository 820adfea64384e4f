//! The funnel of the benchmark as a typed app: decode an event, count a click, say who processed
//! it, pass it on.
//!
//! It is a peer of `scripts/bench`, which names its topics in `BENCH_*`; an app of your own knows
//! them, and has no other `main`.

mod call;

use nubium_core::{App, Record, Transaction};
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

fn main() -> ExitCode {
    let (input, output) = (var("BENCH_INPUT"), var("BENCH_OUTPUT"));
    let schema = std::fs::read_to_string(var("BENCH_OUTPUT_SCHEMA")).expect("output schema");
    App::from_env().consume([input]).produce(output.clone(), schema).run(
        async move |tx: &Transaction<'_>| {
            let mut event: Event<'_> = tx.value()?;
            call::call().await?;
            event.clicks += 1;
            event.processed_by = "bench";
            tx.produce(Record::to(&output).value(&event))
        },
    )
}
