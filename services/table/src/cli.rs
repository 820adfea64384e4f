//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  table check --config /etc/nubium/table.yaml
  NU_TABLE_CONFIG=/etc/nubium/table.yaml table run
  curl http://localhost:8080/table/some-key    look an entry up, where `lookups` is in the file
  table inspect /opt/app-root/data             counts and positions of the stores there
  table inspect /opt/app-root/data --key some-key
  table inspect /opt/app-root/data --dump > entries.jsonl
  table verify /opt/app-root/data              compare the stores with their changelog

Kafka, the schema registry and the store are set by NU_* variables: see docs/settings.md. The
table's own file is in docs/table-service.md, the mapping language in docs/funnel.md.

Exit codes:
  0  the work ended, a stop was obeyed, every check passed, or the stores are as their changelog
  1  a message could not be handled and the error policy says to stop; a check failed; a store
     differs from its changelog; or there is no such key
  2  settings, program or schemas are wrong; nothing was sent
  3  Kafka or the registry refused for good
  4  a call hung, and the watchdog ended the process
  5  a stop took longer than its limit
  6  the machine is in the way: a port, a file, a store, a thread";

/// Keeps the latest record of each key, maps by it, and answers look-ups by HTTP; exactly once.
#[derive(Debug, Parser)]
#[command(name = "table", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Names what the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the table until it is told to stop (INT or TERM).
    Run(ConfigFile),
    /// Check settings, program, schemas, registry and topics; change nothing.
    Check(ConfigFile),
    /// Print every setting as it is in force, secrets redacted.
    Config(ConfigFile),
    /// Show what stores hold: counts and positions, one key, or everything as JSON lines.
    Inspect(Inspect),
    /// Compare stores with their changelog, row by row; change nothing.
    Verify(Verify),
    /// Print completions for a shell.
    Completions {
        /// Shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// Names the table's file.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The table's settings: input, program or mode, outputs, look-ups.
    #[arg(long, env = "NU_TABLE_CONFIG", value_name = "FILE", default_value = "table.yaml")]
    pub config: PathBuf,
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
