//! The funnel as a service: see `funnel --help`.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use nubium_core::config::Problem;
use nubium_host::Outcome;
use nubium_service::check::Checks;
use nubium_service::service::{About, NoOptions, Service};
use nubium_service::start::Start;

use crate::commands::{check, config, demo, run};
use crate::settings::Settings;

/// Reads several topics and produces canonical ones, exactly once, by a mapping program in a file.
#[derive(Debug)]
pub struct Funnel;

/// Names what the funnel can do besides.
#[derive(Debug, Subcommand)]
pub enum Commands {
    /// Run real records through a funnel, with an embedded broker and registry or on a cluster.
    Demo(DemoOptions),
}

/// Says where and how long the demo runs.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// A cluster to run on, instead of the embedded broker.
    #[arg(long, value_name = "HOST:PORT", requires = "registry")]
    pub bootstrap: Option<String>,
    /// A schema registry, instead of the embedded one.
    #[arg(long, value_name = "URL", requires = "bootstrap")]
    pub registry: Option<String>,
    /// How many records to feed; the data set has 5,000 and is repeated from there on.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub records: u64,
}

impl Service for Funnel {
    type Settings = Settings;
    type Options = NoOptions;
    type Commands = Commands;

    const ABOUT: About = About {
        name: "funnel",
        sentence: "Reads several topics and produces canonical ones, exactly once, by a mapping \
                   program in a file",
        file: "The funnel's settings: inputs, outputs, program",
        variable: "NU_FUNNEL_CONFIG",
        default: "funnel.yaml",
        examples: "  \
  funnel demo                                  see it work, with nothing installed
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

    fn command(Commands::Demo(options): Commands) -> Outcome<ExitCode> {
        demo::run(&options)
    }
}
