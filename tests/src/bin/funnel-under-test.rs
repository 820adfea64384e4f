//! The funnel as `funnel run` does it, as a program of this package so that tests find it.

use std::process::ExitCode;

use clap::Parser;
use nubium_funnel::cli::ConfigFile;
use nubium_funnel::commands;
use nubium_funnel::settings::Settings;
use nubium_service::start::Start;

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    file: ConfigFile,
}

fn main() -> ExitCode {
    let file = Options::parse().file.config;
    let start = Start::begin(Settings::load(&file));
    start.map_or_else(|exit| exit, |start| commands::run::run(&start))
}
