//! The tool `dude` as its binary runs it, so that the tests of this package have it built.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    nubium_cli::commands::run(&nubium_cli::cli::Cli::parse())
}
