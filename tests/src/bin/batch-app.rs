//! The app under test in batches: copies every ledger input to the output, with where it came from.
//!
//! It grows every batch on demand, and marks single messages as their fate says. Written against
//! the public API alone.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use nubium_core::{App, Batch, BatchTransaction, Exception, Record};

mod copying;

use copying::{Input, Output, Route};

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
    let Route { inputs, output, schema } = Route::from_env();
    let wait = Duration::from_millis(number("BATCH_GROW_MILLISECONDS").unwrap_or(50));
    let grow = number("BATCH_GROW_TO").map(|count| (wait, count));
    let orders = Orders { output: output.clone(), grow, bad: number("BATCH_BAD") };
    let function = async move |batch: &BatchTransaction<'_>| copy(batch, &orders).await;
    App::from_env().consume(inputs).produce(output, schema).run_pattern(Batch::new(function))
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
        let copied = Output::of(message, input.seq);
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
