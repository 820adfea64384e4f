//! The one log subscriber of the process: level, text or JSON, UTC, standard error.

use std::fmt;
use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::errors::Code;

/// Libraries that tell more than an app's author wants to know at level DEBUG.
const CHATTY: &str = "hyper=info,hyper_util=info,h2=info,reqwest=info,rustls=info";

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One line for people: time, level, module, sentence, fields.
    #[default]
    Text,
    /// One JSON object a line, with the fields at the top level.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not a log format; expected `text` or `json`")),
        }
    }
}

/// What is logged: one level for all, or `tracing` directives such as `info,nubium_core=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".into())
    }
}

impl FromStr for LogLevel {
    type Err = String;

    /// Reads a level, also by Python's names (`WARNING`, `CRITICAL`, `NOTSET`), in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let directives = match text.to_ascii_uppercase().as_str() {
            "NOTSET" | "TRACE" => "trace".into(),
            "DEBUG" => format!("debug,{CHATTY}"),
            "INFO" => "info".into(),
            "WARNING" | "WARN" => "warn".into(),
            "ERROR" | "CRITICAL" | "FATAL" => "error".into(),
            "OFF" => "off".into(),
            // A single unknown word would be taken for the name of a module.
            _ if text.contains('=') && EnvFilter::try_new(text).is_ok() => text.to_owned(),
            _ => {
                return Err(format!(
                    "`{text}` is not a log level; expected DEBUG, INFO, WARNING, ERROR or \
                     CRITICAL, or directives such as `info,nubium_core=debug`"
                ));
            }
        };
        Ok(Self(directives))
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sends logs to standard error from now on, and panics to the log.
///
/// Times are UTC. Standard output stays free for what a command prints.
///
/// # Errors
/// Fails when the process has a subscriber already.
pub fn init(level: &LogLevel, format: LogFormat) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&level.0)?)
        .with_timer(SystemTime)
        .with_writer(io::stderr)
        .with_ansi(format == LogFormat::Text && io::stderr().is_terminal())
        // Else a closed standard error makes the next log line panic.
        .log_internal_errors(false);
    let set = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => {
            let json = subscriber.json().flatten_event(true).with_current_span(false);
            json.with_span_list(false).try_init()
        }
    };
    set.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let said = panic.payload_as_str().unwrap_or("(no text)");
    let thread = std::thread::current();
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread.name().unwrap_or("unnamed");
    tracing::error!(thread, location, said, "{}: Panic: a bug.", Code::Panic);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_levels_by_the_names_of_python_and_rust() {
        for (given, want) in [
            ("INFO", "info"),
            ("warning", "warn"),
            (" Warn ", "warn"),
            ("CRITICAL", "error"),
            ("ERROR", "error"),
            ("NOTSET", "trace"),
            ("info,nubium_core=debug", "info,nubium_core=debug"),
        ] {
            assert_eq!(given.parse::<LogLevel>().map(|level| level.0), Ok(want.into()), "{given}");
        }
        let debug: LogLevel = "DEBUG".parse().expect("a level");
        assert!(EnvFilter::try_new(&debug.0).is_ok() && debug.0.starts_with("debug,"));
    }

    #[test]
    fn refuses_what_is_no_level_and_says_what_is() {
        for given in ["", "LOUD", "10", "info,=", "x=loud"] {
            let problem = given.parse::<LogLevel>().expect_err(given);
            assert!(problem.contains("WARNING"), "{problem}");
        }
        assert_eq!("JSON".parse(), Ok(LogFormat::Json));
        assert!("xml".parse::<LogFormat>().expect_err("xml").contains("`text` or `json`"));
    }
}
