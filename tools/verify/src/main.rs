//! The binary `nubium-verify`: see `nubium-verify --help`.

use std::process::ExitCode;

use clap::Parser as _;
use nubium_verify::cli::{Action, Cli};
use nubium_verify::{cli, run, watch};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.action {
        Action::Run(options) => run::run(options),
        Action::Watch(options) => watch::watch(options),
        Action::Completions { shell } => {
            cli::completions(*shell);
            return ExitCode::SUCCESS;
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            cli::complain(&format!("error: {error:#}"));
            ExitCode::from(3)
        }
    }
}
