//! The binary `dude`: see `dude --help`.

use std::process::ExitCode;

use clap::Parser as _;
use nubium_cli::cli::Cli;
use nubium_cli::commands;

/// Serves librdkafka's allocations too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::run(&Cli::parse())
}
