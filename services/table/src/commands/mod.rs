//! The commands of the binary, one file each.

use std::process::ExitCode;

use clap::Parser as _;
use nubium_service::start::Start;
use nubium_service::terminal;

use crate::cli::{Cli, Command, ConfigFile};
use crate::settings::Settings;

pub mod check;
pub mod config;
pub mod inspect;
pub mod run;
pub mod verify;

/// Does what the command line says; answers the process's exit code.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(file) => with(&file, run::run),
        Command::Check(file) => with(&file, check::run),
        Command::Config(file) => with(&file, config::run),
        Command::Inspect(options) => inspect::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Completions { shell } => terminal::completions::<Cli>(shell),
    }
}

fn with(file: &ConfigFile, command: impl FnOnce(&Start<Settings>) -> ExitCode) -> ExitCode {
    let settings = Settings::load(&file.config)
        .and_then(|settings| settings.advertise(file.advertised_url.as_deref()));
    Start::begin(settings).map_or_else(|exit| exit, |start| command(&start))
}
