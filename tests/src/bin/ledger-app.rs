//! The app under test: copies every ledger input to the output, with where it came from.
//!
//! Written as a user would write it, against the public API alone. What an input's `fate` and the
//! `LEDGER_*` variables ask for goes wrong on purpose.

use std::env;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use nubium_core::{App, Exception, Record, Transaction};
use rand::Rng;

mod copying;

use copying::{Input, Output, Route};

/// What goes wrong, and how often.
struct Faults {
    fail_one_in: u32,
    panic_one_in: u32,
    commit_one_in: u32,
    /// The function does not return from this message until this file exists.
    block_at: Option<(i64, String)>,
    /// A call of another service takes up to so many milliseconds.
    call_millis: u64,
    /// These messages fail the first time this process sees them.
    fail_once: Mutex<Vec<i64>>,
}

impl Faults {
    fn from_env() -> Self {
        Self {
            fail_one_in: number("LEDGER_FAIL_ONE_IN").unwrap_or(0),
            panic_one_in: number("LEDGER_PANIC_ONE_IN").unwrap_or(0),
            commit_one_in: number("LEDGER_COMMIT_ONE_IN").unwrap_or(0),
            block_at: number("LEDGER_BLOCK_AT").zip(env::var("LEDGER_BLOCK_FILE").ok()),
            call_millis: number("LEDGER_CALL_MILLIS").unwrap_or(0),
            fail_once: Mutex::new(number("LEDGER_FAIL_ONCE").into_iter().collect()),
        }
    }

    /// Fails, panics or blocks, when it is this message's turn.
    fn strike(&self, seq: i64) -> anyhow::Result<()> {
        if let Some((at, file)) = &self.block_at
            && *at == seq
        {
            tracing::info!(seq, "blocking");
            while !std::path::Path::new(file).exists() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        if hits(self.panic_one_in) {
            panic!("the function panics at {seq}, as it was told");
        }
        let mut once = self.fail_once.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let first = once.iter().position(|planned| *planned == seq).map(|at| once.remove(at));
        if first.is_some() || hits(self.fail_one_in) {
            return Err(Exception::new("Planned", format!("fails at {seq}, as told")).into());
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

fn hits(one_in: u32) -> bool {
    one_in > 0 && rand::rng().random_range(0..one_in) == 0
}

fn main() -> ExitCode {
    let Route { inputs, output, schema } = Route::from_env();
    let faults = Faults::from_env();
    let mut app = App::from_env().consume(inputs).produce(output.clone(), schema.clone());
    let second = env::var("LEDGER_SECOND_OUTPUT").ok();
    if let Some(second) = &second {
        app = app.produce(second.clone(), schema);
    }
    app.run(async move |tx: &Transaction<'_>| {
        if let Some(second) = &second {
            give(tx, second)?;
        }
        copy(tx, &output, &faults).await
    })
}

/// The other leg of a transfer.
fn give(tx: &Transaction<'_>, to: &str) -> anyhow::Result<()> {
    let input: Input<'_> = tx.value()?;
    if input.fate == "drop" {
        return Ok(());
    }
    tx.produce(Record::to(to).value(&Output::of(tx.message(), input.seq)))
}

async fn copy(tx: &Transaction<'_>, output: &str, faults: &Faults) -> anyhow::Result<()> {
    let input: Input<'_> = tx.value()?;
    let copied = Output::of(tx.message(), input.seq);
    match input.fate {
        "drop" => {}
        "retry" => tx.produce_retry(Some(&Exception::new("Later", "asked to be retried")))?,
        "failure" => tx.produce_failure(Some(&Exception::new("Broken", "asked to fail")))?,
        "headers" => tx.produce(
            Record::to(output)
                .value(&copied)
                .header("last_updated_by", "ledger-app")
                .header("added", "by the app")
                .drop_header("unwanted"),
        )?,
        _ => tx.produce(Record::to(output).value(&copied))?,
    }
    if faults.call_millis > 0 {
        let time = rand::rng().random_range(0..=faults.call_millis);
        tokio::time::sleep(Duration::from_millis(time)).await;
    }
    // After producing, so that something is there to be taken back.
    faults.strike(input.seq)?;
    if hits(faults.commit_one_in) {
        tx.commit().await?;
    }
    Ok(())
}
