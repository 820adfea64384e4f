//! The app under test in batches: copies every ledger input to the output, with where it came from.
//!
//! It grows every batch on demand, and marks single messages as their fate says. Written against
//! the public API alone.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use nubium_core::{App, Batch, BatchTransaction, Exception, Record};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Input<'a> {
    seq: i64,
    fate: &'a str,
}

#[derive(Serialize)]
struct Output<'a> {
    source_topic: &'a str,
    source_partition: i32,
    source_offset: i64,
    seq: i64,
}

/// What the test asks for.
struct Orders {
    output: String,
    /// Messages of a batch in all, and how long it waits for them.
    grow: Option<(Duration, usize)>,
    /// Fails every batch with this message in it.
    bad: Option<i64>,
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

fn main() -> ExitCode {
    let inputs = env::var("LEDGER_INPUTS").unwrap_or_default();
    let output = env::var("LEDGER_OUTPUT").unwrap_or_default();
    let schema = env::var("LEDGER_OUTPUT_SCHEMA").unwrap_or_default();
    let wait = Duration::from_millis(number("BATCH_GROW_MILLISECONDS").unwrap_or(50));
    let grow = number("BATCH_GROW_TO").map(|count| (wait, count));
    let orders = Orders { output: output.clone(), grow, bad: number("BATCH_BAD") };
    let function = async move |batch: &BatchTransaction<'_>| copy(batch, &orders).await;
    App::from_env()
        .consume(inputs.split(','))
        .produce(output, schema)
        .run_pattern(Batch::new(function))
}

async fn copy(batch: &BatchTransaction<'_>, orders: &Orders) -> anyhow::Result<()> {
    let first = batch.messages().next().map(|message| message.offset());
    if let Some((time, count)) = orders.grow {
        let now = batch.consume_within(time, count).await?;
        anyhow::ensure!(now <= count, "{now} messages, {count} asked for");
    }
    anyhow::ensure!(first == batch.messages().next().map(|message| message.offset()));
    for message in batch.messages() {
        let input: Input<'_> = message.value()?;
        let copied = Output {
            source_topic: message.topic(),
            source_partition: message.partition(),
            source_offset: message.offset(),
            seq: input.seq,
        };
        match input.fate {
            "drop" => {}
            "retry" => batch.retry(message, Exception::new("Later", "asked to be retried")),
            "failure" => batch.fail(message, Exception::new("Broken", "asked to fail")),
            _ => batch.produce(message, Record::to(&orders.output).value(&copied))?,
        }
        if orders.bad == Some(input.seq) {
            return Err(Exception::new("Planned", format!("fails at {}", input.seq)).into());
        }
    }
    Ok(())
}
