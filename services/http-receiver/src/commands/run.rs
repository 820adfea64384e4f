//! `http-receiver run`: the service.

use std::process::ExitCode;

use nubium_host::{Failure, Outcome, Stop, daemon};
use nubium_service::start::Start;
use nubium_service::terminal;

use crate::serve;
use crate::settings::Settings;

/// Serves until told to stop; answers the process's exit code.
///
/// # Errors
/// It cannot start.
pub fn run(start: &Start<Settings>) -> Outcome<ExitCode> {
    let mappings = start.settings.compile();
    let mappings = mappings.map_err(|problems| Failure::settings(problems.join("\n\n")))?;
    mappings.iter().flatten().flat_map(|mapping| mapping.warnings()).for_each(terminal::tell);
    let stop = Stop::new();
    let (level, format) = start.config.log.for_host().map_err(Failure::host)?;
    daemon::begin(&level, format, &stop)?;
    Ok(daemon::end(serve::run(start, mappings, &stop)))
}
