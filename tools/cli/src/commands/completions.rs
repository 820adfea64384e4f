//! `dude completions` and `dude man`: what the command line says of itself.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use nubium_host::failure::{Or as _, Outcome};

/// Names the shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude completions bash > /etc/bash_completion.d/dude
  source <(dude completions zsh)")]
pub struct Options {
    /// Shell to complete for.
    pub shell: clap_complete::Shell,
}

/// Names the directory.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude man /usr/local/share/man/man1")]
pub struct ManOptions {
    /// Directory to write to; made if it is not there.
    pub directory: PathBuf,
}

/// Prints the completions of a shell.
///
/// # Errors
/// None: a closed pipe has seen enough.
pub fn run(options: &Options) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "dude", &mut script);
    crate::terminal::show(String::from_utf8_lossy(&script).trim_end())
}

/// Writes one page for each command.
///
/// # Errors
/// A file cannot be written.
pub fn man(options: &ManOptions) -> Outcome {
    let what = || options.directory.display().to_string();
    std::fs::create_dir_all(&options.directory).with_context(what).or_host()?;
    clap_mangen::generate_to(Cli::command(), &options.directory).with_context(what).or_host()
}
