//! `http-receiver openapi`: the description of the interface.

use std::process::ExitCode;

use nubium_host::Exit;

use crate::cli::ConfigFile;
use crate::start::Start;
use crate::{openapi, terminal};

/// Prints the description as JSON.
pub fn run(file: &ConfigFile) -> ExitCode {
    let start = match Start::load_or_tell(&file.config) {
        Ok(start) => start,
        Err(exit) => return exit.into(),
    };
    let description = openapi::describe(&start.config.app.name, &start.settings);
    terminal::show(format_args!("{description:#}"));
    Exit::Ok.into()
}
