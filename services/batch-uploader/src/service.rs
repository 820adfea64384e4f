//! The batch-uploader as a service: see `batch-uploader --help`.

use std::path::Path;
use std::process::ExitCode;

use nubium_core::config::Problem;
use nubium_host::Outcome;
use nubium_service::check::Checks;
use nubium_service::service::{About, NoCommands, NoOptions, Service};

use crate::commands::{check, config, run};
use crate::settings::Settings;
use crate::start::{self, Start};

/// Sends batches of messages to an HTTP API, at least once and with idempotency keys.
#[derive(Debug)]
pub struct BatchUploader;

impl Service for BatchUploader {
    type Settings = Settings;
    type Options = NoOptions;
    type Commands = NoCommands;

    const ABOUT: About = About {
        name: "batch-uploader",
        sentence: "Sends batches of messages to an HTTP API, at least once and with idempotency \
                   keys",
        file: "The uploader's settings: request, credentials, batches, answers",
        variable: "NU_BATCH_UPLOADER_CONFIG",
        default: "batch-uploader.yaml",
        examples: "  \
  batch-uploader check --config /etc/nubium/batch-uploader.yaml
  batch-uploader config
  NU_BATCH_UPLOADER_CONFIG=/etc/nubium/batch-uploader.yaml batch-uploader run",
        pages: "The uploader's own file is in docs/batch-uploader.md.",
        failed: "a message could not be handled and there is no failure topic; or a check failed",
    };

    fn settings(file: &Path, _: &NoOptions) -> Result<Settings, Vec<Problem>> {
        Settings::load(file)
    }

    fn rules(start: &mut Start) -> Vec<Problem> {
        start::rules(start)
    }

    fn counted(settings: &Settings) -> String {
        format!("and those of {}", settings.name)
    }

    fn check(start: &Start, checks: &mut Checks<'_>) {
        check::add(start, checks);
    }

    fn show(start: &Start) {
        config::show(start);
    }

    fn run(start: &Start) -> Outcome<ExitCode> {
        run::run(start)
    }

    fn command(command: NoCommands) -> Outcome<ExitCode> {
        command.never()
    }
}
