//! The binary `batch-uploader`.

use std::process::ExitCode;

use clap::Parser as _;
use nubium_batch_uploader::cli::{Cli, Command};
use nubium_batch_uploader::commands;

/// Serves librdkafka's allocations too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(file) => commands::run::run(&file),
        Command::Check(file) => commands::check::run(&file),
        Command::Config(file) => commands::config::run(&file),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}
