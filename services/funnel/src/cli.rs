//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  funnel demo                                  see it work, with nothing installed
  funnel check --config /etc/funnel/funnel.yaml
  NU_FUNNEL_CONFIG=/etc/funnel/funnel.yaml funnel run

Kafka and the schema registry are set by NU_* variables: see docs/settings.md. The funnel's own file
and the mapping language are in docs/funnel.md.

Exit codes:
  0  the work ended, a stop was obeyed, or every check passed
  1  a message could not be handled and the error policy says to stop; or a check failed
  2  settings, program or schemas are wrong; nothing was sent
  3  Kafka or the registry refused for good
  4  a call hung, and the watchdog ended the process
  5  a stop took longer than its limit
  6  the machine is in the way: a port, a file, a thread";

/// Reads several topics and produces canonical ones, exactly once, by a mapping program in a file.
#[derive(Debug, Parser)]
#[command(name = "funnel", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Names what the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the funnel until it is told to stop (INT or TERM).
    Run(ConfigFile),
    /// Check settings, program, schemas, registry and topics; change nothing.
    Check(ConfigFile),
    /// Print every setting as it is in force, secrets redacted.
    Config(ConfigFile),
    /// Run real records through a funnel, with an embedded broker and registry or on a cluster.
    Demo(DemoOptions),
    /// Print completions for a shell.
    Completions {
        /// Shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// Names the funnel's file.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The funnel's settings: inputs, outputs, program.
    #[arg(long, env = "NU_FUNNEL_CONFIG", value_name = "FILE", default_value = "funnel.yaml")]
    pub config: PathBuf,
}

/// Says where and how long the demo runs.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// A cluster to run on, instead of the embedded broker.
    #[arg(long, value_name = "HOST:PORT", requires = "registry")]
    pub bootstrap: Option<String>,
    /// A schema registry, instead of the embedded one.
    #[arg(long, value_name = "URL", requires = "bootstrap")]
    pub registry: Option<String>,
    /// How many records to feed; the data set has 5,000 and is repeated from there on.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub records: u64,
}
