//! `dude topics alter`.

use anyhow::Context as _;
use clap::Args;
use nubium_admin::{ConfigChange, ConfigScope, Mode, is_same_value};

use super::{Shape, judge, refuse_foreign};
use crate::session::Session;
use crate::terminal;
use nubium_host::failure::{Failure, Outcome};

/// Says what to change.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude topics alter orders --set retention.ms=604800000
  dude topics alter orders --unset cleanup.policy        the cluster's default again
  dude topics alter orders --partitions 12
  dude topics alter orders --from-map                    what the map of topics says
  dude topics alter orders --from-map --dry-run")]
pub struct Options {
    /// Topic.
    topic: String,
    #[command(flatten)]
    shape: Shape,
    /// Setting to leave to the cluster's default again; may be repeated.
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    /// Take partitions and settings from the map of topics.
    #[arg(long)]
    from_map: bool,
    /// Let the cluster check it and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// One line of the plan.
struct Change {
    name: String,
    from: String,
    to: String,
}

pub(super) fn run(session: &Session, options: &Options) -> Outcome {
    let topic = &options.topic;
    refuse_foreign(session, [topic.as_str()].into_iter())?;
    let target = session.target(&[topic])?;
    let (partitions, settings) = wanted(session, options)?;
    let admin = session.admin(&target)?;
    let runtime = &session.runtime;
    let found = runtime.block_on(admin.describe_topics(&[topic])).context("topic")?;
    let found = found.get(topic).with_context(|| {
        format!("cluster {} has no topic {topic}: create it first", target.name)
    })?;
    let now = runtime.block_on(admin.topic_configs(&[topic], ConfigScope::All));
    let now = now.context("settings of the topic")?.remove(topic).unwrap_or_default();
    let value = |name: &str| now.get(name).and_then(|e| e.value.clone()).unwrap_or_default();
    let count = u32::try_from(found.partitions.len()).unwrap_or(u32::MAX);
    let partitions = partitions.filter(|wanted| *wanted != count);
    if let Some(fewer) = partitions.filter(|wanted| *wanted < count) {
        return Err(Failure::no(format!(
            "{topic} has {count} partitions, and Kafka cannot take any away: {fewer} needs a new \
             topic"
        )));
    }
    let mut settings = settings;
    settings.retain(|(name, to)| !is_same_value(name, &value(name), to));
    let mut plan = Vec::new();
    plan.extend(partitions.map(|to| Change {
        name: "partitions".into(),
        from: count.to_string(),
        to: to.to_string(),
    }));
    let set = settings.iter();
    plan.extend(set.map(|(name, to)| Change {
        name: name.clone(),
        from: value(name),
        to: to.clone(),
    }));
    let unset = options.unset.iter();
    plan.extend(unset.map(|name| Change {
        name: name.clone(),
        from: value(name),
        to: "(the cluster's default)".into(),
    }));
    if plan.is_empty() {
        return terminal::show(format!("Topic {topic} is as it shall be."));
    }
    show(session, &plan)?;
    if !options.dry_run {
        target.may_destroy("alter topics")?;
        terminal::confirm(&question(topic, partitions.is_some()), session.options.yes)?;
    }
    let mode = if options.dry_run { Mode::Validate } else { Mode::Apply };
    if let Some(count) = partitions {
        let wanted = [(topic.clone(), count)];
        let more = runtime.block_on(admin.create_partitions(&wanted, mode));
        judge("add partitions", &more.context("add partitions")?)?;
        if !options.dry_run {
            let leaders = [(topic.as_str(), count)];
            let waited = admin.wait_for_leaders(&leaders, session.timeout());
            runtime.block_on(waited).context("partitions are added, but")?;
        }
    }
    let mut changes: Vec<_> =
        settings.into_iter().map(|(name, to)| ConfigChange::Set(name, to)).collect();
    changes.extend(options.unset.iter().cloned().map(ConfigChange::Unset));
    if !changes.is_empty() {
        let changed = [(topic.clone(), changes)];
        let changed = runtime.block_on(admin.alter_topic_configs(&changed, mode));
        judge("change settings", &changed.context("change settings")?)?;
    }
    let done = if options.dry_run { "The cluster would take it." } else { "Done." };
    terminal::tell(done);
    Ok(())
}

type Wanted = (Option<u32>, Vec<(String, String)>);

/// Puts together what the map says and what the command line says over it.
fn wanted(session: &Session, options: &Options) -> Outcome<Wanted> {
    let (mut partitions, mut settings) = (None, Vec::new());
    if options.from_map {
        let topic = session.topology.topics.get(&options.topic);
        let Some(topic) = topic else {
            return Err(Failure::settings(format!(
                "topic {} is not in the map of topics (NU_TOPIC_CONFIGS_JSON or _YAML)",
                options.topic
            )));
        };
        partitions = topic.num_partitions;
        settings.extend(topic.config.clone());
    }
    settings.retain(|(name, _)| !options.shape.settings.iter().any(|(own, _)| own == name));
    settings.extend(options.shape.settings.iter().cloned());
    partitions = options.shape.partitions.or(partitions);
    if partitions.is_none() && settings.is_empty() && options.unset.is_empty() {
        let what = "nothing to change: say --partitions, --set, --unset or --from-map";
        return Err(Failure::settings(what));
    }
    Ok((partitions, settings))
}

fn question(topic: &str, more_partitions: bool) -> String {
    let moves = match more_partitions {
        true => {
            " Keys will lead to other partitions than before, which a table's apps cannot bear."
        }
        false => "",
    };
    format!("Change topic {topic} like this?{moves}")
}

fn show(session: &Session, plan: &[Change]) -> Outcome {
    if session.options.json {
        let rows: Vec<_> = plan
            .iter()
            .map(|c| serde_json::json!({"setting": c.name, "from": c.from, "to": c.to}))
            .collect();
        return terminal::show_json(&rows);
    }
    let mut table = terminal::table(&["Setting", "From", "To"]);
    for change in plan {
        table.add_row([&change.name, &change.from, &change.to]);
    }
    terminal::show(table)
}
