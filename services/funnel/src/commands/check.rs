//! `funnel check`: would `funnel run` work? Changes nothing.

use std::process::ExitCode;

use nubium_host::Exit;
use nubium_service::check::{Checks, Finding, Verdict};
use nubium_service::schemas;
use nubium_service::start::{self, Start};

use crate::settings::Settings;

/// Checks and prints a table; answers 1 if anything failed.
pub fn run(start: &Start<Settings>) -> ExitCode {
    let runtime = match schemas::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return start::end(Err((Exit::HostFailed, format!("{error:#}")))),
    };
    let Start { config, settings, .. } = start;
    let counted = format!("{} inputs, {} outputs", settings.inputs.len(), settings.outputs.len());
    let mut checks = Checks::new(config, &runtime, &counted);
    let codec = checks.registry();
    let schemas = checks.inputs(&settings.inputs, codec.as_ref());
    checks.programs(&settings.inputs, &schemas, |schemas| settings.compile(schemas));
    if let Some(codec) = &codec {
        checks.outputs(&settings.outputs, codec);
    }
    let mut topics = settings.topics();
    topics.extend(config.routes.retry.iter().map(String::as_str));
    topics.extend(config.routes.failure.iter().map(String::as_str));
    if checks.topics(&topics).is_some() && config.routes.failure.is_empty() {
        let detail = "none: a message that cannot be mapped stops the funnel";
        checks.add(Finding::new("failure topic", Verdict::Passed, detail));
    }
    checks.report()
}
