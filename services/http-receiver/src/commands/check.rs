//! `http-receiver check`: would `run` work? Changes nothing.

use nubium_service::check::{Checks, Finding, Verdict};
use nubium_service::start::Start;
use nubium_service::terminal;

use crate::settings::Settings;

/// Adds the receiver's own findings.
pub fn add(start: &Start<Settings>, checks: &mut Checks<'_>) {
    let settings = &start.settings;
    programs(settings).into_iter().for_each(|finding| checks.add(finding));
    if let Some(codec) = checks.registry() {
        checks.outputs(&settings.outputs(), &codec);
    }
    checks.topics(&settings.topics());
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
