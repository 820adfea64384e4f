//! `funnel check`: would `funnel run` work? Changes nothing.

use nubium_service::check::{Checks, Finding, Verdict};
use nubium_service::start::Start;

use crate::settings::Settings;

/// Adds the funnel's own findings.
pub fn add(start: &Start<Settings>, checks: &mut Checks<'_>) {
    let Start { config, settings, .. } = start;
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
}
