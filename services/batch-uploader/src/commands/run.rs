//! `batch-uploader run`: the app.

use std::process::ExitCode;

use nubium_core::App;
use nubium_core::metrics::Metrics;
use nubium_host::Exit;

use crate::cli::ConfigFile;
use crate::start::Start;
use crate::terminal;
use crate::upload::Uploader;
use crate::uploads;

/// Runs the uploader until it is told to stop; answers the process's exit code.
pub fn run(file: &ConfigFile) -> ExitCode {
    let start = match Start::load(&file.config) {
        Ok(start) => start,
        Err(problems) => {
            terminal::tell(problems);
            return Exit::BadSettings.into();
        }
    };
    start.warnings.iter().for_each(|warning| terminal::tell(format!("warning: {warning}")));
    let config = start.config.clone();
    let metrics = Metrics::new(&config.app.name, &config.app.hostname);
    let (tries, has_failure_topic) = (start.tries(), start.has_failure_topic());
    let settings = start.settings.clone();
    let uploader = Uploader::new(settings, &config.app.name, tries, has_failure_topic, &metrics);
    match uploader {
        Ok(uploader) => {
            let app = App::new(config).consume(start.topics()).metrics(metrics);
            app.run_pattern(uploads::pattern(&start.settings, uploader))
        }
        Err(error) => {
            terminal::tell(format!("{error:#}"));
            Exit::BadSettings.into()
        }
    }
}
