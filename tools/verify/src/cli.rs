//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

const CODES: &str = "Exit codes:
  0  every input has its result, once
  1  something is missing, doubled, made up, or out of order
  2  the command line is wrong
  3  Kafka did not answer, or the app could not be started";

/// Tells whether an app handles every message exactly once.
#[derive(Debug, Parser)]
#[command(name = "nubium-verify", version, after_help = CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Feed an app, kill and pause it, and count what comes out.
    Run(Run),
    /// Follow a pipeline that is at work, without touching it.
    Watch(Watch),
    /// Print a shell's completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Where Kafka is.
#[derive(Debug, Args)]
pub struct Cluster {
    /// Brokers, as host:port,host:port.
    #[arg(long, short, env = "VERIFY_BOOTSTRAP")]
    pub bootstrap: String,
    /// A file with librdkafka's properties, `name=value` a line: TLS, passwords.
    #[arg(long)]
    pub properties: Option<PathBuf>,
    /// A property, as name=value; wins over the file.
    #[arg(long, short = 'X')]
    pub property: Vec<String>,
}

const RUN_HELP: &str = "The app is told its topics in {in} and {out} of the command, and in the
variables VERIFY_IN and VERIFY_OUT; {group} and VERIFY_GROUP are a name for its group. It is
to pass on each message of the input, with its headers or its value.

Examples:
  nubium-verify run -b localhost:9092 -- ./my-app --in {in} --out {out}
  nubium-verify run -b localhost:9092 --registry http://localhost:8081 -- my-app run
  nubium-verify run -b broker:9093 --properties client.properties --json report.json -- my-app

Exit codes are those of `nubium-verify --help`.";

/// Settings of `run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub struct Run {
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// Messages in all.
    #[arg(long, default_value_t = 2_000)]
    pub count: u64,
    /// How often the app is killed (SIGKILL) while it works.
    #[arg(long, default_value_t = 4)]
    pub kills: u32,
    /// How often it is paused (SIGSTOP).
    #[arg(long, default_value_t = 2)]
    pub pauses: u32,
    /// How long a pause is.
    #[arg(long, default_value_t = 8.0)]
    pub pause_seconds: f64,
    /// Partitions of each topic.
    #[arg(long, default_value_t = 3)]
    pub partitions: i32,
    /// What the value of a message is; `{id}` becomes its name.
    #[arg(long, default_value = r#"{"id": "{id}"}"#)]
    pub value: String,
    /// Write Avro instead, a record with the string `id`, and register its schema here.
    #[arg(long)]
    pub registry: Option<String>,
    /// How long nothing more may come until what is missing counts as missing.
    #[arg(long, default_value_t = 60)]
    pub settle_seconds: u64,
    /// The seed of the moments.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write a report here, as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Leave the topics.
    #[arg(long)]
    pub keep: bool,
    /// The app, with its arguments.
    #[arg(last = true, required = true)]
    pub app: Vec<String>,
}

const WATCH_HELP: &str = "Results are matched with inputs by the header that --key names.

Examples:
  nubium-verify watch orders orders-clean -b localhost:9092 --key guid
  nubium-verify watch orders orders-clean -b localhost:9092 --minutes 5 --metrics watch.prom

Exit codes are those of `nubium-verify --help`.";

/// Settings of `watch`.
#[derive(Debug, Args)]
#[command(after_help = WATCH_HELP)]
pub struct Watch {
    /// The topic that goes in.
    pub input: String,
    /// The topic that comes out.
    pub output: String,
    /// Where Kafka is.
    #[command(flatten)]
    pub cluster: Cluster,
    /// The header that input and result have in common.
    #[arg(long, default_value = "guid")]
    pub key: String,
    /// A result that takes longer is late.
    #[arg(long, default_value_t = 10.0)]
    pub late_seconds: f64,
    /// A result that takes longer is missing.
    #[arg(long, default_value_t = 60.0)]
    pub missing_seconds: f64,
    /// How long to watch.
    #[arg(long, default_value_t = 1.0)]
    pub minutes: f64,
    /// Write metrics here, again and again, in Prometheus' text format.
    #[arg(long)]
    pub metrics: Option<PathBuf>,
}

/// Prints a shell's completion script.
pub fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "nubium-verify", &mut std::io::stdout());
}

/// Prints a result.
#[expect(clippy::print_stdout, reason = "the output of a command line tool")]
pub fn say(text: &str) {
    println!("{text}");
}

/// Prints an error, or what is going on.
#[expect(clippy::print_stderr, reason = "the errors of a command line tool")]
pub fn complain(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_fits_together() {
        Cli::command().debug_assert();
    }
}
