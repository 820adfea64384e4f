//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{
    completions, consume, lag, offsets, produce, replay, run_local, schema, topics, transactions,
};
use crate::session::Global;

const EXAMPLES: &str = "\
Examples:
  dude topics list                                   what is there
  dude consume orders --last 10                      the newest ten messages
  dude consume orders | jq .value.total              results go through pipes
  dude produce orders orders.jsonl --key-field id    a file into a topic
  dude lag billing --watch                           how far a group is behind
  dude --bootstrap localhost:9092 topics list        without any settings

Clusters, topics and the registry are set by NU_* variables (docs/settings.md), in the environment
or in the file that --config-file names. docs/dude.md has the rest.

Exit codes:
  0  done
  1  the answer is no: a check failed, schemas differ, input was wrong, a value could not be
     decoded, a person declined, or the cluster is protected
  2  the command line or a setting is wrong; nothing was sent
  3  Kafka or the registry refused, or did not answer in time
  6  the machine is in the way: a file, a port, a thread
  130, 143  a second INT or TERM came, a second or more after the first, before the work at hand
     was finished";

/// Works on topics, messages, groups, schemas and transactions.
#[derive(Debug, Parser)]
#[command(name = "dude", version, after_help = EXAMPLES)]
pub struct Cli {
    /// The options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Names what the tool can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List, describe, create, alter, delete, sync or wipe topics.
    #[command(subcommand)]
    Topics(topics::Verb),
    /// Produce the records of a file to a topic.
    Produce(produce::Options),
    /// Print or save the messages of a topic.
    Consume(consume::Options),
    /// Show how far a group is behind, without counting what is no message.
    Lag(lag::Options),
    /// Show or reset what a group has committed.
    #[command(subcommand)]
    Offsets(offsets::Verb),
    /// Produce the messages of a failure topic again, exactly once.
    Replay(replay::Options),
    /// Get, compare, check, register or evolve schemas.
    #[command(subcommand)]
    Schema(schema::Verb),
    /// List open transactions, or abort one that hangs.
    #[command(subcommand)]
    Tx(transactions::Verb),
    /// Run an app with an embedded broker and registry.
    RunLocal(run_local::Options),
    /// Print completions for a shell.
    Completions(completions::Options),
    /// Write the man pages of every command to a directory.
    Man(completions::ManOptions),
}
