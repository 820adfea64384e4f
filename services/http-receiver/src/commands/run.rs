//! `http-receiver run`: the service.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use nubium_core::config::{Choice as _, Config};
use nubium_host::{Exit, Stop, StopHook, logging, signals};
use nubium_service::start::Start;
use nubium_service::terminal;

use crate::serve;
use crate::settings::Settings;

/// Serves until told to stop; answers the process's exit code.
pub fn run(start: &Start<Settings>) -> ExitCode {
    let mappings = match start.settings.compile() {
        Ok(mappings) => mappings,
        Err(problems) => {
            terminal::tell(problems.join("\n\n"));
            return Exit::BadSettings.into();
        }
    };
    mappings.iter().flatten().flat_map(|mapping| mapping.warnings()).for_each(terminal::tell);
    let stop = Stop::new();
    if let Err(error) = install(&start.config, &stop) {
        terminal::tell(format!("{error:#}"));
        return Exit::HostFailed.into();
    }
    let _bound = bound_the_stop(&stop, start.config.operation.shutdown_timeout);
    let exit = match serve::run(start, mappings, &stop) {
        Ok(()) => Exit::Ok,
        Err(failed) => {
            tracing::error!("{:#}", failed.error);
            failed.exit
        }
    };
    tracing::info!(code = exit.code(), "ended");
    exit.into()
}

fn install(config: &Config, stop: &Stop) -> anyhow::Result<()> {
    let level = config.log.level.name().parse().map_err(anyhow::Error::msg)?;
    let format = config.log.format.name().parse().map_err(anyhow::Error::msg)?;
    logging::init(&level, format)?;
    signals::install(stop).context("signal handlers")
}

/// Ends the process if a stop takes longer than `NU_SHUTDOWN_TIMEOUT_SECONDS`.
fn bound_the_stop(stop: &Stop, limit: Duration) -> StopHook {
    stop.bound(limit, move || {
        tracing::error!(
            ?limit,
            "The stop took too long (NU_SHUTDOWN_TIMEOUT_SECONDS); requests in hand were cut off \
             without an answer."
        );
    })
}
