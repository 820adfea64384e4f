//! What the tool does, one file a verb.

pub mod completions;
pub mod consume;
pub mod lag;
pub mod offsets;
pub mod produce;
pub mod replay;
pub mod run_local;
pub mod schema;
pub mod topics;
pub mod transactions;

use std::process::ExitCode;

use nubium_host::Exit;

use crate::cli::{Cli, Command};
use crate::session::Session;
use crate::terminal;
use nubium_host::failure::Outcome;

/// Does what the command line says; prints why not.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    match dispatch(cli) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            terminal::tell(format!("dude: {:#}", failure.error));
            failure.exit.into()
        }
    }
}

fn dispatch(cli: &Cli) -> Outcome {
    match &cli.command {
        // These need no settings.
        Command::Completions(options) => return completions::run(options),
        Command::Man(options) => return completions::man(options),
        _ => {}
    }
    let needs_cluster = !matches!(cli.command, Command::Schema(_) | Command::RunLocal(_));
    let session = &Session::open(&cli.global, needs_cluster)?;
    match &cli.command {
        Command::Topics(verb) => topics::run(session, verb),
        Command::Produce(options) => produce::run(session, options),
        Command::Consume(options) => consume::run(session, options),
        Command::Lag(options) => lag::run(session, options),
        Command::Offsets(verb) => offsets::run(session, verb),
        Command::Replay(options) => replay::run(session, options),
        Command::Schema(verb) => schema::run(session, verb),
        Command::Tx(verb) => transactions::run(session, verb),
        Command::RunLocal(options) => run_local::run(session, options),
        Command::Completions(_) | Command::Man(_) => Ok(()),
    }
}
