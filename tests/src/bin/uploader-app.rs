//! The service `batch-uploader run`, as a program of this package so that tests find it.

use std::process::ExitCode;

use clap::Parser;
use nubium_batch_uploader::cli::ConfigFile;
use nubium_batch_uploader::commands;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    file: ConfigFile,
}

fn main() -> ExitCode {
    commands::with(&Options::parse().file, commands::run::run)
}
