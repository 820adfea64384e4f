//! `table check`: would `table run` work? Changes nothing.

use anyhow::{Context as _, ensure};
use nubium_core::topic::changelog_of;
use nubium_service::check::{Checks, Finding, Verdict};
use nubium_service::cluster::Topics;
use nubium_service::start::Start;

use crate::settings::Settings;

/// Adds the table's own findings.
pub fn add(start: &Start<Settings>, checks: &mut Checks<'_>) {
    let Start { config, settings, .. } = start;
    let codec = checks.registry();
    let schemas = checks.inputs(&settings.inputs, codec.as_ref());
    checks.programs(&settings.inputs, &schemas, |schemas| settings.compile(schemas));
    if let Some(codec) = &codec {
        checks.outputs(&settings.outputs, codec);
    }
    let changelog = changelog_of(&config.app.name);
    let mut topics = settings.topics();
    topics.insert(&changelog);
    topics.extend(config.routes.retry.iter().map(String::as_str));
    topics.extend(config.routes.failure.iter().map(String::as_str));
    if let Some(known) = checks.topics(&topics) {
        let found = same_partitions(&known, settings.topic(), &changelog);
        checks.add(Finding::of("changelog", found));
        if config.routes.failure.is_empty() {
            let detail = "none: a message that cannot be mapped stops the table";
            checks.add(Finding::new("failure topic", Verdict::Passed, detail));
        }
    }
    checks.add(Finding::of("store", writable(&config.table.path)));
}

/// Each partition of the input has its rows in the partition of the same number.
fn same_partitions(known: &Topics, input: &str, changelog: &str) -> anyhow::Result<String> {
    let of_input = known.partitions(input).with_context(|| format!("no topic {input}"))?;
    let of_changelog = known.partitions(changelog).with_context(|| {
        format!("no topic {changelog}: create it, compacted, with {of_input} partitions")
    })?;
    ensure!(
        of_input == of_changelog,
        "{changelog} has {of_changelog} partitions, {input} has {of_input}: they must have as many"
    );
    Ok(format!("{changelog}, as many partitions as {input}"))
}

fn writable(path: &std::path::Path) -> anyhow::Result<String> {
    let shown = path.display();
    let found = path.metadata().with_context(|| format!("NU_TABLE_PATH {shown}"))?;
    ensure!(found.is_dir(), "NU_TABLE_PATH {shown} is no directory");
    ensure!(!found.permissions().readonly(), "NU_TABLE_PATH {shown} is read-only");
    Ok(shown.to_string())
}
