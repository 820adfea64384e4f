//! The table app under test: counts inputs by key, and copies every one to the output.
//!
//! Written as a user would write it, against the public API alone. An entry also holds the sum of
//! the inputs' numbers, so that one counted twice for another left out shows.

use std::env;
use std::process::ExitCode;

use nubium_core::{App, Record, Transaction};
use serde::{Deserialize, Serialize};

mod copying;

use copying::{Input, Output, Route};

#[derive(Default, Deserialize, Serialize)]
struct Entry {
    count: i64,
    sum: i64,
}

fn main() -> ExitCode {
    let Route { inputs, output, schema } = Route::from_env();
    let mut app = App::from_env().consume(inputs).produce(output.clone(), schema).table();
    let lookup = env::var("TABLE_LOOKUP").ok();
    if let Some(changelog) = &lookup {
        app = app.lookup(changelog.clone());
    }
    app.run(async move |tx: &Transaction<'_>| count(tx, &output, lookup.as_deref()))
}

fn count(tx: &Transaction<'_>, output: &str, lookup: Option<&str>) -> anyhow::Result<()> {
    let input: Input<'_> = tx.value()?;
    if input.fate == "drop" {
        return tx.delete_table_entry();
    }
    let mut entry: Entry = tx.read_table_entry()?.unwrap_or_default();
    entry.count += 1;
    entry.sum += input.seq;
    if let Some(changelog) = lookup {
        let key = tx.key()?.unwrap_or_default();
        entry.sum = tx.look_up::<Entry>(changelog, key)?.map_or(-1, |other| other.sum);
    }
    tx.update_table_entry(&entry)?;
    tx.produce(Record::to(output).value(&Output::of(tx.message(), input.seq)))
}
