//! The funnel as a service: see `funnel --help`.

use std::path::Path;
use std::process::ExitCode;

use nubium_core::config::Problem;
use nubium_host::Outcome;
use nubium_service::check::Checks;
use nubium_service::service::{About, NoCommands, NoOptions, Service};
use nubium_service::start::Start;

use crate::commands::{check, config, run};
use crate::settings::Settings;

/// Reads several topics and produces canonical ones, exactly once, by a mapping program in a file.
#[derive(Debug)]
pub struct Funnel;

impl Service for Funnel {
    type Settings = Settings;
    type Options = NoOptions;
    type Commands = NoCommands;

    const ABOUT: About = About {
        name: "funnel",
        sentence: "Reads several topics and produces canonical ones, exactly once, by a mapping \
                   program in a file",
        file: "The funnel's settings: inputs, outputs, program",
        variable: "NU_FUNNEL_CONFIG",
        default: "funnel.yaml",
        examples: "  \
  funnel check --config /etc/funnel/funnel.yaml
  NU_FUNNEL_CONFIG=/etc/funnel/funnel.yaml funnel run",
        pages: "The funnel's own file and the mapping language are in docs/funnel.md.",
        failed: "a message could not be handled and the error policy says to stop; or a check \
                 failed",
    };

    fn settings(file: &Path, _: &NoOptions) -> Result<Settings, Vec<Problem>> {
        Settings::load(file)
    }

    fn counted(settings: &Settings) -> String {
        format!("{} inputs, {} outputs", settings.inputs.len(), settings.outputs.len())
    }

    fn check(start: &Start<Settings>, checks: &mut Checks<'_>) {
        check::add(start, checks);
    }

    fn show(start: &Start<Settings>) {
        config::show(start);
    }

    fn run(start: &Start<Settings>) -> Outcome<ExitCode> {
        run::run(start)
    }

    fn command(command: NoCommands) -> Outcome<ExitCode> {
        command.never()
    }
}
