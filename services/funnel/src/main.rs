//! The binary `funnel`: see `funnel --help`.

use std::process::ExitCode;

use clap::Parser as _;
use nubium_funnel::cli::{Cli, Command, ConfigFile};
use nubium_funnel::commands;
use nubium_funnel::settings::Settings;
use nubium_service::start::Start;
use nubium_service::terminal;

/// Serves librdkafka's allocations too, which is worth a tenth of the throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(file) => with(&file, commands::run::run),
        Command::Check(file) => with(&file, commands::check::run),
        Command::Config(file) => with(&file, commands::config::run),
        Command::Demo(options) => commands::demo::run(&options),
        Command::Completions { shell } => terminal::completions::<Cli>(shell),
    }
}

fn with(file: &ConfigFile, command: impl FnOnce(&Start<Settings>) -> ExitCode) -> ExitCode {
    Start::begin(Settings::load(&file.config)).map_or_else(|exit| exit, |start| command(&start))
}
