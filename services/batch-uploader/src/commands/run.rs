//! `batch-uploader run`: the app.

use std::process::ExitCode;

use nubium_core::App;
use nubium_core::metrics::Metrics;
use nubium_host::{Or as _, Outcome};

use crate::start::{self, Start};
use crate::upload::Uploader;
use crate::uploads;

/// Runs the uploader until it is told to stop; answers the process's exit code.
///
/// # Errors
/// It cannot start.
pub fn run(start: &Start) -> Outcome<ExitCode> {
    let Start { config, settings, .. } = start;
    let metrics = Metrics::new(&config.app.name, &config.app.hostname);
    let (tries, has_failure_topic) = (start::tries(start), start::has_failure_topic(config));
    let uploader =
        Uploader::new(settings.clone(), &config.app.name, tries, has_failure_topic, &metrics);
    let uploader = uploader.or_settings()?;
    let mut app = App::new(config.clone()).consume(start::topics(start)).metrics(metrics);
    if let Some(produce) = &settings.produce {
        app = app.produce(&produce.topic, &produce.schema);
    }
    Ok(app.run_pattern(uploads::pattern(settings, uploader)))
}
