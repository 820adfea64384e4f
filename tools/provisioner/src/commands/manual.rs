//! `nubium-provision completions` and `man`: what a shell and a manual want to know.

use std::path::Path;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::ending::{Ending, Error};
use crate::terminal;

const NAME: &str = "nubium-provision";

/// Prints the completions of a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> Ending {
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut std::io::stdout());
    Ending::Ok
}

/// Writes a man page for the tool and one for each command.
pub(super) fn pages(directory: &Path) -> Result<Ending, Error> {
    clap_mangen::generate_to(Cli::command(), directory).map_err(Error::file(directory))?;
    terminal::tell(format!("Written to {}", directory.display()));
    Ok(Ending::Ok)
}
