//! What the commands print: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

/// Prints a result.
#[expect(clippy::print_stdout, reason = "this is the command's result")]
pub fn show(text: impl Display) {
    println!("{text}");
}

/// Prints what went wrong, or what is worth knowing beside the result.
#[expect(clippy::print_stderr, reason = "a command talks to the person who started it")]
pub fn tell(text: impl Display) {
    eprintln!("{text}");
}

/// Starts a table that fits the terminal.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table
}

/// Shows how far a piece of work is: a bar for people, a line a batch for logs.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    total: u64,
}

impl Progress {
    /// Starts at nothing of `total`.
    pub fn new(total: usize) -> Self {
        let total = total as u64;
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        let bar = ProgressBar::new(total);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, total }
    }

    /// Counts what was done.
    pub fn advance(&self, count: usize, what: &str) {
        self.bar.inc(count as u64);
        self.bar.set_message(what.to_owned());
        if self.bar.is_hidden() {
            tell(format!("{} of {} done: {what}", self.bar.position(), self.total));
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// Writes a number with its noun.
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !noun.ends_with("ay") => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}
