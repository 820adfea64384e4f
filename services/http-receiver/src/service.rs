//! The HTTP receiver as a service: see `http-receiver --help`.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use nubium_core::config::Problem;
use nubium_host::Outcome;
use nubium_service::check::Checks;
use nubium_service::service::{About, Common, NoOptions, Service};
use nubium_service::start::Start;

use crate::commands::{check, config, openapi, run};
use crate::settings::Settings;

/// Takes records over HTTP and produces them; answers 200 only once Kafka has acknowledged them.
#[derive(Debug)]
pub struct HttpReceiver;

/// Names what the receiver can do besides.
#[derive(Subcommand)]
pub enum Commands {
    /// Print the description of the interface, OpenAPI 3.1, without starting anything.
    Openapi(Common<HttpReceiver>),
}

impl Service for HttpReceiver {
    type Settings = Settings;
    type Options = NoOptions;
    type Commands = Commands;

    const ABOUT: About = About {
        name: "http-receiver",
        sentence: "Takes records over HTTP and produces them; answers 200 only once Kafka has \
                   acknowledged them",
        file: "The receiver's settings: routes, callers, limits",
        variable: "NU_HTTP_RECEIVER_CONFIG",
        default: "http-receiver.yaml",
        examples: "  \
  http-receiver check --config /etc/nubium/http-receiver.yaml
  NU_HTTP_RECEIVER_CONFIG=/etc/nubium/http-receiver.yaml http-receiver run
  curl --json '{\"email\": \"ada@example.org\"}' http://localhost:8080/forms",
        pages: "The receiver's own file is in docs/http-receiver.md.",
        failed: "a check failed",
    };

    fn settings(file: &Path, _: &NoOptions) -> Result<Settings, Vec<Problem>> {
        Settings::load(file)
    }

    fn rules(start: &mut Start<Settings>) -> Vec<Problem> {
        let open = start.settings.routes.iter().filter(|route| route.auth.is_empty());
        let warning = |path: &String| format!("{path}: anybody may post here; `auth` says who may");
        start.warnings.extend(open.map(|route| warning(&route.path)));
        Vec::new()
    }

    fn counted(settings: &Settings) -> String {
        format!("{} routes, {} callers", settings.routes.len(), settings.credentials.len())
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

    fn command(Commands::Openapi(common): Commands) -> Outcome<ExitCode> {
        Ok(common.start().map_or_else(|exit| exit, |start| openapi::run(&start)))
    }
}
