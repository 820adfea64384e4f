//! `watch`: follows input and output of a pipeline that is at work.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rdkafka::Offset;

use crate::cli::{Watch, say};
use crate::kafka::{self, Reader};

/// What is known of one guid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Known {
    /// When its input was seen.
    input: Option<Instant>,
    results: u32,
    /// It was counted as missing.
    missed: bool,
}

/// What was counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    inputs: u64,
    matched: u64,
    late: u64,
    missing: u64,
    doubled: u64,
}

/// Matches results with inputs.
#[derive(Debug, Default)]
struct Book {
    known: HashMap<Vec<u8>, Known>,
    counts: Counts,
}

impl Book {
    fn input(&mut self, guid: Vec<u8>, now: Instant) {
        let known = self.known.entry(guid).or_default();
        if known.input.replace(now).is_none() {
            self.counts.inputs += 1;
            self.counts.matched += u64::from(known.results > 0);
        }
    }

    fn result(&mut self, guid: Vec<u8>, now: Instant, late: Duration) {
        let known = self.known.entry(guid).or_default();
        known.results += 1;
        match (known.results, known.input) {
            (1, Some(began)) => {
                self.counts.matched += 1;
                self.counts.late += u64::from(now - began > late);
                if std::mem::take(&mut known.missed) {
                    self.counts.missing -= 1;
                }
            }
            (2, _) => self.counts.doubled += 1,
            _ => {}
        }
    }

    /// Counts what has waited for too long.
    fn look(&mut self, now: Instant, limit: Duration) {
        for known in self.known.values_mut() {
            let waited = known.input.is_some_and(|began| now - began > limit);
            if waited && known.results == 0 && !std::mem::replace(&mut known.missed, true) {
                self.counts.missing += 1;
            }
        }
    }
}

impl Counts {
    fn metrics(&self, options: &Watch) -> String {
        let labels = format!("{{input=\"{}\",output=\"{}\"}}", options.input, options.output);
        let rows = [
            ("inputs_total", "counter", self.inputs),
            ("matched_total", "counter", self.matched),
            ("late_total", "counter", self.late),
            ("missing", "gauge", self.missing),
            ("doubled_total", "counter", self.doubled),
        ];
        let line = |(name, kind, value)| {
            format!("# TYPE nubium_verify_{name} {kind}\nnubium_verify_{name}{labels} {value}\n")
        };
        rows.map(line).concat()
    }
}

/// Watches for the time that was asked for; answers whether nothing is missing or doubled.
///
/// # Errors
/// A topic is not there, or the metrics cannot be written.
pub fn watch(options: &Watch) -> Result<bool> {
    let config = kafka::properties(&options.cluster)?;
    // The output first: what comes of an input is never seen before its input could be.
    let results = Reader::new(&config, &[&options.output], Offset::End)?;
    results.take(&mut |_| {})?;
    let inputs = Reader::new(&config, &[&options.input], Offset::End)?;
    let late = Duration::from_secs_f64(options.late_seconds);
    let limit = Duration::from_secs_f64(options.missing_seconds);
    let watched = Duration::from_secs_f64(options.minutes * 60.0);
    let (mut book, began) = (Book::default(), Instant::now());
    // Inputs of the last moments get the time that they may take.
    while began.elapsed() < watched + limit {
        let now = Instant::now();
        if began.elapsed() < watched {
            inputs.take(&mut |message| {
                if let Some(guid) = kafka::header(message, &options.key) {
                    book.input(guid, now);
                }
            })?;
        }
        results.take(&mut |message| {
            if let Some(guid) = kafka::header(message, &options.key) {
                book.result(guid, Instant::now(), late);
            }
        })?;
        book.look(Instant::now(), limit);
        if let Some(path) = &options.metrics {
            write(path, &book.counts.metrics(options))?;
        }
        let Counts { inputs, matched, .. } = book.counts;
        if began.elapsed() >= watched && inputs == matched {
            break;
        }
    }
    let Counts { inputs, matched, late, missing, doubled } = book.counts;
    say(&format!(
        "inputs {inputs}\nmatched {matched}\nlate {late}\nmissing {missing}\ndoubled {doubled}"
    ));
    Ok(missing == 0 && doubled == 0)
}

/// Writes a file as a whole: whoever reads it never sees half of it.
fn write(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("tmp");
    std::fs::write(&aside, text).with_context(|| aside.display().to_string())?;
    std::fs::rename(&aside, path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_late_missing_and_doubled() {
        let (mut book, began) = (Book::default(), Instant::now());
        let second = Duration::from_secs(1);
        for guid in [b"a", b"b", b"c", b"d"] {
            book.input(guid.to_vec(), began);
        }
        book.result(b"a".to_vec(), began + second / 2, second);
        book.result(b"b".to_vec(), began + second * 2, second);
        book.result(b"c".to_vec(), began, second);
        book.result(b"c".to_vec(), began, second);
        book.look(began + second * 5, second * 4);
        let counts = Counts { inputs: 4, matched: 3, late: 1, missing: 1, doubled: 1 };
        assert_eq!(book.counts, counts);
        // It comes after all.
        book.result(b"d".to_vec(), began + second * 6, second);
        assert_eq!(book.counts.missing, 0);
        // A result of an input from before the watch.
        book.result(b"z".to_vec(), began, second);
        assert_eq!(book.counts.inputs, 4);
    }
}
