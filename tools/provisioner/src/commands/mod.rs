//! What the binary does, one file each.

mod apply;
mod check;
mod docs;
mod import;
mod manual;
mod plan;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command};
use crate::ending::{Ending, Error};
use crate::terminal;

/// Runs the command line of this process and gives its exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Its own code would be 2, which means changes here.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { Ending::Ok } else { Ending::Failed }.into();
        }
    };
    // The registry client and others tell of what they try again; what is done goes to the user.
    let level = "WARNING".parse().unwrap_or_default();
    let _ = nubium_host::logging::init(&level, nubium_host::logging::LogFormat::Text);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::tell(format!("async runtime: {error}"));
            return Ending::Host.into();
        }
    };
    let ending = runtime.block_on(dispatch(cli)).unwrap_or_else(|error| {
        terminal::tell(&error);
        error.ending()
    });
    ending.into()
}

async fn dispatch(cli: Cli) -> Result<Ending, Error> {
    let manifests = &cli.manifests;
    match cli.command {
        Command::Plan(options) => plan::run(manifests, &options).await,
        Command::Apply(options) => apply::run(&options).await,
        Command::Check(options) => check::run(manifests, &options).await,
        Command::Import(options) => import::run(&options).await,
        Command::Docs(output) => docs::run(manifests, &output),
        Command::Completions { shell } => Ok(manual::completions(shell)),
        Command::Man { directory } => manual::pages(&directory),
    }
}

/// Writes a result to the file that is named, or to standard output.
fn write(output: &crate::cli::Output, text: &str) -> Result<(), Error> {
    match &output.out {
        Some(path) => std::fs::write(path, text).map_err(Error::file(path)),
        None => {
            terminal::show(text.trim_end());
            Ok(())
        }
    }
}
