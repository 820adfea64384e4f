//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  nubium-provision plan                        what would change? (exit code 2: something would)
  nubium-provision plan --out rollout.json     and keep the plan
  nubium-provision apply rollout.json          do exactly that
  nubium-provision check --app contacts        may the app start? (for an init container)
  nubium-provision import > topics.yaml        the map of topics of a running cluster
  nubium-provision docs --out topics.md        who reads and writes what

Clusters, topics and the schema registry are the NU_* settings that the apps read: see
docs/settings.md. Manifests and plans are in docs/provision.md.

Exit codes:
  0  it is done, nothing would change, or everything fits
  1  settings are wrong, something does not fit, or the work stopped before its end
  2  there are changes to make (plan only)
  3  Kafka or the schema registry does not answer, or refuses to be asked
  6  a file cannot be read or written";

/// Plans and makes topics, changelogs, schemas and rights before a rollout.
#[derive(Debug, Parser)]
#[command(name = "nubium-provision", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The apps' manifests: YAML files or directories of them, separated by commas.
    #[arg(long, global = true, env = "NU_PROVISION_MANIFESTS", value_name = "PATHS")]
    #[arg(value_delimiter = ',')]
    pub manifests: Vec<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Names what the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what would be created and changed; change nothing.
    Plan(PlanOptions),
    /// Do exactly what a saved plan says, or nothing if the clusters are not as it found them.
    Apply(ApplyOptions),
    /// Check as an app that all it needs is there and fits; change nothing.
    Check(CheckOptions),
    /// Write the map of topics of a running cluster, as YAML.
    Import(ImportOptions),
    /// Write a page of topics, schemas and who reads and writes them, as Markdown with a graph.
    Docs(Output),
    /// Print completions for a shell.
    Completions {
        /// Shell to complete for.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory.
    Man {
        /// The directory; it must exist.
        directory: PathBuf,
    },
}

/// Says what is planned and how it is shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nubium-provision plan --out rollout.json
  nubium-provision plan --prune --cluster main
  nubium-provision plan --json | jq '.clusters.main.topics'")]
pub struct PlanOptions {
    /// Keep the plan in this file, for `apply`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the plan as JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    /// Also plan the deletion of topics that neither the map nor a manifest names.
    #[arg(long)]
    pub prune: bool,
    /// Only this cluster; may be given again.
    #[arg(long, value_name = "NAME")]
    pub cluster: Vec<String>,
}

/// Says which plan is applied.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nubium-provision apply rollout.json
  nubium-provision apply rollout.json --delete old_contacts,older_contacts")]
pub struct ApplyOptions {
    /// The plan that `plan --out` kept.
    pub plan: PathBuf,
    /// Delete these topics, which the plan must have as deletions; all others are left alone.
    #[arg(long, value_name = "TOPICS", value_delimiter = ',')]
    pub delete: Vec<String>,
    /// Delete without asking.
    #[arg(long)]
    pub yes: bool,
}

/// Says what is checked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nubium-provision check --app contacts --wait 120")]
pub struct CheckOptions {
    /// Only this app; may be given again.
    #[arg(long, value_name = "NAME", env = "NU_APP_NAME")]
    pub app: Vec<String>,
    /// Look again for so many seconds while something is missing.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u64,
    /// When all fits and the group leaves partitions to nobody, take this instance's own static
    /// member, which must not run, out of it, so that they are spread anew.
    #[arg(long)]
    pub rejoin: bool,
    /// Print the findings as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Says what is imported.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nubium-provision import --cluster main --out topics.yaml")]
pub struct ImportOptions {
    /// The cluster; needed when the settings name several.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Where the map goes.
    #[command(flatten)]
    pub output: Output,
}

/// Says where a result goes.
#[derive(Debug, Args)]
pub struct Output {
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
