//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  http-receiver check --config /etc/nubium/http-receiver.yaml
  NU_HTTP_RECEIVER_CONFIG=/etc/nubium/http-receiver.yaml http-receiver run
  curl --json '{\"email\": \"ada@example.org\"}' http://localhost:8080/forms

Kafka and the schema registry are set by NU_* variables: see docs/settings.md. The receiver's own
file is in docs/http-receiver.md.

Exit codes:
  0  a stop was obeyed, or every check passed
  1  a check failed
  2  settings, program or schemas are wrong; nothing was sent
  3  Kafka or the registry refused for good
  5  a stop took longer than its limit
  6  the machine is in the way: a port, a file, a thread";

/// Takes records over HTTP and produces them; answers 200 only once Kafka has acknowledged them.
#[derive(Debug, Parser)]
#[command(name = "http-receiver", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Names what the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take records until told to stop (INT or TERM).
    Run(ConfigFile),
    /// Check settings, programs, schemas, registry and topics; change nothing.
    Check(ConfigFile),
    /// Print every setting as it is in force, secrets redacted.
    Config(ConfigFile),
    /// Print the description of the interface, OpenAPI 3.1, without starting anything.
    Openapi(ConfigFile),
    /// Print completions for a shell.
    Completions {
        /// Shell to complete for.
        shell: clap_complete::Shell,
    },
}

/// Names the receiver's file.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// The receiver's settings: routes, callers, limits.
    #[arg(
        long,
        env = "NU_HTTP_RECEIVER_CONFIG",
        value_name = "FILE",
        default_value = "http-receiver.yaml"
    )]
    pub config: PathBuf,
}
