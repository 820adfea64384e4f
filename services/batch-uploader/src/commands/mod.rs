//! The commands of the binary, one file each.

use std::process::ExitCode;

use clap::Parser as _;
use nubium_service::terminal;

use crate::cli::{Cli, Command, ConfigFile};
use crate::start::{self, Start};

pub mod check;
pub mod config;
pub mod run;

/// Does what the command line says; answers the process's exit code.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(file) => with(&file, run::run),
        Command::Check(file) => with(&file, check::run),
        Command::Config(file) => with(&file, config::run),
        Command::Completions { shell } => terminal::completions::<Cli>(shell),
    }
}

/// Does `command` with the settings; where they are wrong, that is the answer.
pub fn with(file: &ConfigFile, command: impl FnOnce(&Start) -> ExitCode) -> ExitCode {
    start::begin(&file.config).map_or_else(|exit| exit, |start| command(&start))
}
