//! What the commands print: results on standard output, everything else on standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
pub use nubium_host::terminal::{show, table, tell};

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
