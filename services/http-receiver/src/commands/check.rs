//! `http-receiver check`: would `run` work? Changes nothing.

use std::process::ExitCode;

use nubium_host::Exit;
use nubium_service::check::{Checks, Finding, Verdict};
use nubium_service::start::{self, Start};
use nubium_service::{schemas, terminal};

use crate::settings::Settings;

/// Checks and prints a table; answers 1 if anything failed.
pub fn run(start: &Start<Settings>) -> ExitCode {
    let runtime = match schemas::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return start::end(Err((Exit::HostFailed, format!("{error:#}")))),
    };
    let Start { config, settings, .. } = start;
    let (routes, callers) = (settings.routes.len(), settings.credentials.len());
    let counted = format!("{routes} routes, {callers} callers");
    let mut checks = Checks::new(config, &runtime, &counted);
    programs(settings).into_iter().for_each(|finding| checks.add(finding));
    if let Some(codec) = checks.registry() {
        checks.outputs(&settings.outputs(), &codec);
    }
    checks.topics(&settings.topics());
    checks.report()
}

fn programs(settings: &Settings) -> Vec<Finding> {
    let what = "programs";
    match settings.compile() {
        Ok(mappings) => {
            let all = mappings.iter().flatten();
            all.flat_map(|mapping| mapping.warnings()).for_each(terminal::tell);
            let sources = settings.routes.iter().filter_map(|route| route.program.as_ref());
            let mut names: Vec<_> = sources.map(|source| source.name.as_str()).collect();
            names.dedup();
            let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            vec![Finding::new(what, Verdict::Passed, found)]
        }
        Err(problems) => {
            let failed = |problem| Finding::new(what, Verdict::Failed, problem);
            problems.into_iter().map(failed).collect()
        }
    }
}
