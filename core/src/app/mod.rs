//! The app builder: settings, output topics and one function become a running, exactly-once app.

mod running;
mod table;

use crate::pattern::{Batch, BatchTransaction, Pattern, Single};
use crate::transaction::Transaction;
use nubium_config::Config;
use nubium_host::{Exit, Failure, Outcome, Stop, daemon};
use nubium_metrics::Metrics;
use nubium_table_store::{Table, TableReader};
use running::Running;

/// An app: what it consumes, what it may produce, and its settings.
///
/// ```no_run
/// use nubium_core::{App, Record, Transaction};
///
/// fn main() -> std::process::ExitCode {
///     App::from_env()
///         .consume(["people"])
///         .produce("people-clean", r#"{"type": "record", "name": "Person", "fields": [
///             {"name": "email", "type": "string"}]}"#)
///         .run(async |tx: &Transaction<'_>| {
///             #[derive(serde::Deserialize, serde::Serialize)]
///             struct Person<'a> { email: &'a str }
///             let person: Person<'_> = tx.value()?;
///             tx.produce(Record::to("people-clean").value(&person))
///         })
/// }
/// ```
#[must_use]
pub struct App {
    config: Result<nubium_config::Loaded, nubium_config::Problems>,
    consume: Vec<String>,
    produce: Vec<(String, String)>,
    install_process: bool,
    stop: Stop,
    metrics: Option<Metrics>,
    table: Option<Table>,
    lookups: Vec<String>,
    tables: TableReader,
}

/// How an app ended, for programs that do more than end with it.
#[derive(Debug)]
pub struct Ended {
    /// The code to leave with.
    pub exit: Exit,
    /// What went wrong, if anything did.
    pub error: Option<anyhow::Error>,
}

impl App {
    /// Starts an app from the process's environment. Bad settings are reported by [`Self::run`],
    /// all at once.
    pub fn from_env() -> Self {
        Self::build(Config::from_env())
    }

    /// Starts an app from settings that were loaded already.
    pub fn new(config: Config) -> Self {
        Self::build(Ok(nubium_config::Loaded { config, warnings: Vec::new() }))
    }

    fn build(config: Result<nubium_config::Loaded, nubium_config::Problems>) -> Self {
        Self {
            config,
            consume: Vec::new(),
            produce: Vec::new(),
            install_process: true,
            stop: Stop::new(),
            metrics: None,
            table: None,
            lookups: Vec::new(),
            tables: TableReader::default(),
        }
    }

    /// Names the topics to consume; without it, those of `NU_CONSUME_TOPICS`.
    pub fn consume<T: Into<String>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        self.consume = topics.into_iter().map(Into::into).collect();
        self
    }

    /// Declares an output topic with its Avro schema as JSON. Every topic the function produces to
    /// is declared, except those for retries and failures, which take messages on as they are.
    pub fn produce(mut self, topic: impl Into<String>, schema: impl Into<String>) -> Self {
        self.produce.push((topic.into(), schema.into()));
        self
    }

    /// Leaves signals, logging and the process's exit to the caller; it stops the app through
    /// `stop`.
    pub fn embedded(mut self, stop: Stop) -> Self {
        (self.stop, self.install_process) = (stop, false);
        self
    }

    /// Gives the handle that stops the app, for what runs beside it and it cannot be without.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Counts into these metrics instead of new ones, so that the app's own can be among them.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Runs the function for every message until the app is stopped, and answers the process's exit
    /// code.
    pub fn run<F>(self, function: F) -> std::process::ExitCode
    where
        F: AsyncFn(&Transaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
    {
        self.run_pattern(Single(function))
    }

    /// Runs the function for every batch of messages; see [`Batch`] and, for its bounds, the
    /// settings `NU_CONSUMER_DEFAULT_BATCH_CONSUME_*`.
    pub fn run_batch<F>(self, function: F) -> std::process::ExitCode
    where
        F: AsyncFn(&BatchTransaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
    {
        self.run_pattern(Batch::new(function))
    }

    /// Runs a consumption pattern: a [`Batch`] with bounds of its own, or one of the app's.
    pub fn run_pattern<P: Pattern>(self, pattern: P) -> std::process::ExitCode {
        let own_process = self.install_process;
        let ended = self.run_to_end(pattern);
        if let Some(error) = &ended.error {
            tracing::error!("{error:#}");
        }
        if own_process {
            tracing::info!(code = ended.exit.code(), "Ended.");
        }
        ended.exit.into()
    }

    /// Runs a pattern and answers how it ended, without printing.
    pub fn run_to_end<P: Pattern>(self, mut pattern: P) -> Ended {
        let loaded = match self.config {
            Ok(ref loaded) => loaded.clone(),
            Err(ref problems) => {
                let error = anyhow::anyhow!("{problems}");
                if self.install_process {
                    // Logging has no level yet; this is for the person who starts the app.
                    print_problems(&error);
                    return Ended { exit: Exit::BadSettings, error: None };
                }
                return Ended { exit: Exit::BadSettings, error: Some(error) };
            }
        };
        pattern.configure(&loaded.config);
        match self.start(loaded, pattern) {
            Ok(()) => Ended { exit: Exit::Ok, error: None },
            Err(Failure { exit, error }) => Ended { exit, error: Some(error) },
        }
    }

    fn start<P: Pattern>(self, loaded: nubium_config::Loaded, pattern: P) -> Outcome {
        let config = loaded.config;
        if self.install_process {
            let (level, format) = config.log.for_host().map_err(Failure::host)?;
            daemon::begin(&level, format, &self.stop)?;
        }
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let running = Running::prepare(self, config)?;
        running.run(pattern)
    }
}

#[expect(clippy::print_stderr, reason = "settings are read before logging can start")]
fn print_problems(error: &anyhow::Error) {
    eprintln!("{error}");
}
