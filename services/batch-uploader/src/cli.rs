//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  batch-uploader check --config /etc/nubium/batch-uploader.yaml
  batch-uploader config
  NU_BATCH_UPLOADER_CONFIG=/etc/nubium/batch-uploader.yaml batch-uploader run

Kafka and the schema registry are set by NU_* variables: see docs/settings.md. The uploader's own
file is in docs/batch-uploader.md.

Exit codes:
  0  the work ended, a stop was obeyed, or every check passed
  1  a message could not be handled and there is no failure topic; or a check failed
  2  settings are wrong; nothing was sent
  3  Kafka or the registry refused for good
  4  a call hung, and the watchdog ended the process
  5  a stop took longer than its limit
  6  the machine is in the way: a port, a file, a thread";

/// Sends batches of messages to an HTTP API, at least once and with idempotency keys.
#[derive(Debug, Parser)]
#[command(name = "batch-uploader", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Names what the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the uploader until it is told to stop (INT or TERM).
    Run(ConfigFile),
    /// Check settings, credentials, registry, topics and whether the API answers; change nothing.
    Check(ConfigFile),
    /// Print every setting as it is in force, secrets redacted.
    Config(ConfigFile),
    /// Print completions for a shell.
    Completions {
        /// Shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// Names the uploader's file.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The uploader's settings: request, credentials, batches, answers.
    #[arg(long, env = "NU_BATCH_UPLOADER_CONFIG", value_name = "FILE")]
    #[arg(default_value = "batch-uploader.yaml")]
    pub config: PathBuf,
}
