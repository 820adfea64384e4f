//! The table service: see `table --help`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use nubium_core::config::Problem;
use nubium_host::Outcome;
use nubium_service::check::Checks;
use nubium_service::service::{About, Service};
use nubium_service::start::Start;

use crate::commands::{check, config, inspect, run, verify};
use crate::settings::Settings;

/// Keeps the latest record of each key, maps by it, and answers look-ups by HTTP; exactly once.
#[derive(Debug)]
pub struct TableService;

/// Names what the table service can do besides.
#[derive(Debug, Subcommand)]
pub enum Commands {
    /// Show what stores hold: counts and positions, one key, or everything as JSON lines.
    Inspect(Inspect),
    /// Compare stores with their changelog, row by row; change nothing.
    Verify(Verify),
}

/// Says what differs between instances.
#[derive(Debug, Args)]
pub struct Options {
    /// Where clients reach this instance, instead of `lookups.advertised_url`: for an address that
    /// each instance has of its own.
    #[arg(long, env = "NU_TABLE_ADVERTISED_URL", value_name = "URL")]
    pub advertised_url: Option<String>,
}

/// Says which stores to show, and what of them.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A store, or a directory with stores in it, such as NU_TABLE_PATH.
    pub directory: PathBuf,
    /// Print the entry of this key as JSON.
    #[arg(long, conflicts_with = "dump")]
    pub key: Option<String>,
    /// Print every entry as a JSON line, by partition and key.
    #[arg(long)]
    pub dump: bool,
    /// With --dump: only keys that begin so.
    #[arg(long, requires = "dump", default_value = "")]
    pub prefix: String,
}

/// Says which stores to compare.
#[derive(Debug, Args)]
pub struct Verify {
    /// A store, or a directory with stores in it, such as NU_TABLE_PATH.
    pub directory: PathBuf,
    /// How many differences to print for each store; all are counted.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub show: usize,
    /// Give up when the brokers send nothing for so long.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub patience: u64,
}

impl Service for TableService {
    type Settings = Settings;
    type Options = Options;
    type Commands = Commands;

    const ABOUT: About = About {
        name: "table",
        sentence: "Keeps the latest record of each key, maps by it, and answers look-ups by HTTP; \
                   exactly once",
        file: "The table's settings: input, program or mode, outputs, look-ups",
        variable: "NU_TABLE_CONFIG",
        default: "table.yaml",
        examples: "  \
  table check --config /etc/nubium/table.yaml
  NU_TABLE_CONFIG=/etc/nubium/table.yaml table run
  curl http://localhost:8080/table/some-key    look an entry up, where `lookups` is in the file
  table inspect /opt/app-root/data             counts and positions of the stores there
  table inspect /opt/app-root/data --key some-key
  table inspect /opt/app-root/data --dump > entries.jsonl
  table verify /opt/app-root/data              compare the stores with their changelog",
        pages: "The table's own file is in docs/table-service.md, the mapping language in \
                docs/funnel.md.",
        failed: "a message could not be handled and the error policy says to stop; a check \
                 failed;\n     a store differs from its changelog; or there is no such key",
    };

    fn settings(file: &Path, options: &Options) -> Result<Settings, Vec<Problem>> {
        Settings::load(file)
            .and_then(|settings| settings.advertise(options.advertised_url.as_deref()))
    }

    fn counted(settings: &Settings) -> String {
        format!("input {}, {} outputs", settings.topic(), settings.outputs.len())
    }

    fn check(start: &Start<Settings>, checks: &mut Checks<'_>) {
        check::add(start, checks);
    }

    fn show(start: &Start<Settings>) {
        config::show(start);
    }

    fn run(start: &Start<Settings>) -> Outcome<ExitCode> {
        run::run(start)
    }

    fn command(command: Commands) -> Outcome<ExitCode> {
        match command {
            Commands::Inspect(options) => inspect::run(&options),
            Commands::Verify(options) => verify::run(&options),
        }
    }
}
