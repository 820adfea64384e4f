//! `http-receiver completions`: a script for the shell.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::Cli;

/// Prints the completions of a shell.
pub fn run(shell: clap_complete::Shell) -> ExitCode {
    let mut out = std::io::stdout();
    clap_complete::generate(shell, &mut Cli::command(), "http-receiver", &mut out);
    ExitCode::SUCCESS
}
