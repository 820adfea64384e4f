//! What the commands print: results on standard output, everything else on standard error, so that
//! a pipe carries results alone.

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
pub use nubium_host::terminal::{table, tell};
use serde::Serialize;

use nubium_host::failure::{Failure, Outcome};

/// Prints a result. A reader that has closed the pipe has seen enough: that is no error.
///
/// # Errors
/// Standard output cannot be written.
pub fn show(text: impl Display) -> Outcome {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::host(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a result as indented JSON.
///
/// # Errors
/// Standard output cannot be written.
pub fn show_json(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value);
    show(text.map_err(|error| Failure::host(format!("JSON: {error}")))?)
}

/// Asks whether to go on; `--yes` has answered already. Without a terminal nobody can be asked, so
/// the answer is no.
///
/// # Errors
/// The answer is no.
pub fn confirm(question: &str, yes: bool) -> Outcome {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::no(format!(
            "{question} There is no terminal to ask at, so nothing was done; repeat it with --yes."
        )));
    }
    tell(format!("{question} [y/N]"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        true => Ok(()),
        false => Err(Failure::no("Nothing was done.")),
    }
}

/// Shows how far a long work has come: a bar on a terminal, elsewhere a line every few seconds.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: Option<u64>,
    begun: Instant,
    told: Instant,
    unit: &'static str,
    quiet: bool,
}

/// How often a line is told where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Progress {
    /// Starts at nothing; `total` is left out where the end is not known.
    #[must_use]
    pub fn start(total: Option<u64>, unit: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = match total {
                Some(_) => "{bar:30} {pos}/{len} {msg}  {per_sec}, {eta} left",
                None => "{spinner} {pos} {msg}  {per_sec}",
            };
            let style = ProgressStyle::with_template(template);
            let target = ProgressDrawTarget::stderr_with_hz(8);
            let bar = ProgressBar::with_draw_target(total, target).with_message(unit);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = Instant::now();
        Self { bar, total, begun: now, told: now, unit, quiet: false }
    }

    /// Starts at nothing of a file of so many bytes; what is counted are its records.
    #[must_use]
    pub fn of_file(size: Option<u64>, unit: &'static str) -> Self {
        let progress = Self::start(size, unit);
        if let (Some(bar), Some(_)) = (&progress.bar, size) {
            let style = ProgressStyle::with_template("{bar:30} {percent}% {msg}, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        }
        Self { total: None, ..progress }
    }

    /// Shows that so many records, and so many bytes of the file, are done.
    pub fn at_byte(&mut self, done: u64, bytes: u64) {
        match &self.bar {
            Some(bar) if bar.length().is_some() => {
                bar.set_position(bytes);
                bar.set_message(format!("{done} {}, {:.0}/s", self.unit, self.rate(done)));
            }
            _ => self.at(done),
        }
    }

    /// Keeps quiet, for output that goes to the same terminal.
    #[must_use]
    pub fn quiet(mut self, quiet: bool) -> Self {
        self.quiet = quiet;
        if quiet {
            self.bar = None;
        }
        self
    }

    /// Shows that so many are done.
    pub fn at(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if !self.quiet && self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let of = self.total.map(|total| format!(" of {total}")).unwrap_or_default();
            tell(format!("{done}{of} {}, {:.0}/s", self.unit, self.rate(done)));
        }
    }

    /// How many a second it were so far.
    #[must_use]
    pub fn rate(&self, done: u64) -> f64 {
        done as f64 / self.begun.elapsed().as_secs_f64().max(0.001)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
