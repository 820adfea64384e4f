//! `table inspect`: what stores hold.

use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use nubium_core::table::{Store, StoredRow};
use nubium_host::{Exit, Or as _, Outcome};
use nubium_service::terminal;
use serde_json::json;

use crate::service::Inspect;
use crate::{entry, stores};

/// How many rows lie between two looks at the progress bar.
const STRIDE: u64 = 10_000;

/// Prints what stores hold; answers 1 when there is no such key.
///
/// # Errors
/// A store cannot be read.
pub fn run(options: &Inspect) -> Outcome<ExitCode> {
    inspect(options).or_host()
}

fn inspect(options: &Inspect) -> Result<ExitCode> {
    let stores = stores::open(&options.directory)?;
    match (&options.key, options.dump) {
        (Some(key), _) => show_key(&stores, key),
        (None, true) => dump(&stores, &options.prefix),
        (None, false) => show_stores(&stores),
    }
}

fn show_stores(stores: &[Store]) -> Result<ExitCode> {
    let header = ["App", "Changelog", "Partition", "Rows", "Position", "Size", "Saved"];
    let mut table = terminal::table(&header);
    for store in stores {
        let of = store.identity();
        let read = || -> Result<_> { Ok((store.rows()?, store.size()?, store.saved_at()?)) };
        let (rows, size, saved) = read().with_context(|| store.path().display().to_string())?;
        table.add_row([
            of.app.clone(),
            of.topic.clone(),
            of.partition.to_string(),
            rows.to_string(),
            store.position().to_string(),
            indicatif::HumanBytes(size).to_string(),
            saved.map_or_else(|| "never".to_owned(), time),
        ]);
    }
    terminal::show(table);
    Ok(Exit::Ok.into())
}

fn show_key(stores: &[Store], key: &str) -> Result<ExitCode> {
    let mut found = false;
    for store in stores {
        let row = store.get(key).with_context(|| store.path().display().to_string())?;
        if let Some(row) = row {
            terminal::show(line(store, row));
            found = true;
        }
    }
    if !found {
        terminal::tell(format!("no store there has an entry of key {key:?}"));
        return Ok(Exit::AppFailed.into());
    }
    Ok(Exit::Ok.into())
}

fn dump(stores: &[Store], prefix: &str) -> Result<ExitCode> {
    let mut total = 0;
    for store in stores {
        total += store.rows().with_context(|| store.path().display().to_string())?;
    }
    // Nothing is drawn where standard error is no terminal.
    let bar = ProgressBar::new(total);
    let style = "{bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).context("progress bar")?);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for store in stores {
        let (mut rows, mut failed) = (0_u64, None);
        let walked = store.walk(prefix, None, |row| {
            rows += 1;
            if rows.is_multiple_of(STRIDE) {
                bar.inc(STRIDE);
            }
            failed = writeln!(out, "{}", line(store, row)).err();
            failed.is_none()
        });
        walked.with_context(|| store.path().display().to_string())?;
        match failed {
            // Whoever read it has enough: `table inspect … --dump | head`.
            Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            Some(error) => return Err(error).context("standard output"),
            None => {}
        }
    }
    match out.flush() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            return Err(error).context("standard output");
        }
        _ => bar.finish_and_clear(),
    }
    Ok(Exit::Ok.into())
}

fn line(store: &Store, row: StoredRow) -> serde_json::Value {
    json!({
        "key": row.key,
        "value": entry::json(row.text),
        "timestamp": row.timestamp,
        "partition": store.identity().partition,
    })
}

fn time(milliseconds: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(milliseconds);
    time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}
