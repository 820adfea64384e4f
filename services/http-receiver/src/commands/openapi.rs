//! `http-receiver openapi`: the description of the interface.

use std::process::ExitCode;

use nubium_host::Exit;
use nubium_service::start::Start;
use nubium_service::terminal;

use crate::openapi;
use crate::settings::Settings;

/// Prints the description as JSON.
pub fn run(start: &Start<Settings>) -> ExitCode {
    let description = openapi::describe(&start.config.app.name, &start.settings);
    terminal::show(format_args!("{description:#}"));
    Exit::Ok.into()
}
