//! Hurts apps of Nubium in every way that has a name, counts what was checked, and prints one table.
//!
//! A *cell* is one fault on one kind of app; it ends in *checks*, one for each law that must hold
//! after it. Only a check that passed counts as passed: a cell that hangs, or cannot decide, fails.
//! The laws are judged by `nubium-tests`, on what an independent reader finds on the broker.

mod areas;
mod board;
mod case;
mod cell;
mod laws;
mod plan;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use crate::board::Board;
use crate::plan::Choice;

/// Hurts apps of Nubium in every way that has a name, and prints what held.
///
/// Exits with 0 if every check passed, and with 1 otherwise.
#[derive(Debug, Parser)]
#[command(name = "chaos", after_help = HELP)]
struct Cli {
    #[command(flatten)]
    choice: Choice,
    #[command(subcommand)]
    action: Option<Action>,
}

const HELP: &str = "Examples:
  scripts/chaos                                 everything that needs one broker
  scripts/chaos --area kill,pause               two areas
  scripts/chaos --area kill --cell table --seed 7
  scripts/chaos --all                           three brokers, too, and the mutants
  scripts/chaos --list                          what there is
  scripts/chaos mutants                         planted bugs, and what catches them
  scripts/chaos soak --hours 2                  random faults, with pauses to recover";

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the planted bugs of the product, and say which check catches each.
    Mutants,
    /// Random faults with pauses to recover; memory, files, threads and stores are watched.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 1.0)]
        hours: f64,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let started = Instant::now();
    let outcome = match cli.action {
        None => plan::run(&cli.choice),
        Some(Action::Mutants) => areas::mutants::run(&cli.choice),
        Some(Action::Soak { hours }) => {
            areas::soak::run(&cli.choice, Duration::from_secs_f64(hours * 3600.0))
        }
    };
    match outcome {
        Ok(board) => finish(&board, started.elapsed()),
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn finish(board: &Board, took: Duration) -> ExitCode {
    say(&board.table());
    say(&format!("{} s", took.as_secs()));
    say(&board.result_line());
    if board.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "the output of a command line tool")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the errors of a command line tool")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}
