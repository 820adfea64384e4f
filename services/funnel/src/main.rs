//! The binary `funnel`: see `funnel --help`.

use std::process::ExitCode;

use clap::Parser as _;
use nubium_funnel::cli::{Cli, Command};
use nubium_funnel::commands;

/// Serves librdkafka's allocations too, which is worth a tenth of the throughput.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(file) => commands::run::run(&file),
        Command::Check(file) => commands::check::run(&file),
        Command::Config(file) => commands::config::run(&file),
        Command::Demo(options) => commands::demo::run(&options),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}
