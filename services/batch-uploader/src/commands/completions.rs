//! `batch-uploader completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::Cli;

/// Prints the completions of a shell.
pub fn run(shell: clap_complete::Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Cli::command(), "batch-uploader", &mut std::io::stdout());
    ExitCode::SUCCESS
}
