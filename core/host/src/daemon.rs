//! The shell of a program that runs until it is told to stop: its log and signals, what lasts while
//! it works, and how it ends.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::errors::Code;
use crate::exit::Exit;
use crate::failure::{Failure, Or as _, Outcome};
use crate::health_file::HealthFile;
use crate::logging::{self, LogFormat, LogLevel};
use crate::signals;
use crate::stop::{Stop, StopHook};

/// What the end of a process takes besides its last step. Without it an orderly stop would look like
/// a hang.
const MARGIN: Duration = Duration::from_secs(1);

/// Starts the log, and lets INT and TERM ask for a stop.
///
/// # Errors
/// The system has no handler left.
pub fn begin(level: &LogLevel, format: LogFormat, stop: &Stop) -> Outcome {
    logging::init(level, format).or_host()?;
    signals::install(stop).context("signal handlers").or_host()
}

/// Lasts while a program works: its health file, and the limit of its stop.
#[derive(Debug)]
pub struct Shift {
    stop: Stop,
    limit: Duration,
    _health: Option<HealthFile>,
    _bound: Option<StopHook>,
}

impl Shift {
    /// Makes the health file. From a request to stop on, all steps of it have `limit` together: then
    /// the process says its last words and ends with [`Exit::StopTimedOut`]. Without last words
    /// nothing ends it, for a program that is a guest in another's process.
    ///
    /// # Errors
    /// The health file cannot be made.
    pub fn start(
        stop: &Stop,
        limit: Duration,
        health: Option<PathBuf>,
        last_words: Option<&'static str>,
    ) -> Outcome<Self> {
        let health = health.map(HealthFile::create).transpose().context("health file").or_host()?;
        let bound = last_words.map(|words| {
            stop.bound(limit, move || {
                tracing::error!(
                    ?limit,
                    "{}: The stop took too long (NU_SHUTDOWN_TIMEOUT_SECONDS): {words}.",
                    Code::StopTimedOut
                );
            })
        });
        Ok(Self { stop: stop.clone(), limit, _health: health, _bound: bound })
    }

    /// Returns what a last step may take, such as a last push of metrics.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.stop.left(self.limit).saturating_sub(MARGIN)
    }
}

/// Ends a program: the log says why, and the exit code too.
pub fn end(outcome: Outcome) -> ExitCode {
    let exit = match outcome {
        Ok(()) => Exit::Ok,
        Err(Failure { exit, error }) => {
            tracing::error!("{error:#}");
            exit
        }
    };
    tracing::info!(code = exit.code(), "Ended.");
    exit.into()
}
