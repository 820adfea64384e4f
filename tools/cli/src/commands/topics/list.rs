//! `dude topics list` and `describe`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use nubium_admin::{At, ConfigOrigin, ConfigScope, Configs, TopicDescription, naming};
use nubium_topic::TopicPartition;
use serde_json::json;

use super::left_alone;
use crate::session::{Session, Target};
use crate::terminal;
use nubium_host::failure::{Failure, Outcome};

/// Says which to list.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude topics list
  dude topics list --like order --configs
  dude topics list --json | jq -r '.[].topic'")]
pub struct ListOptions {
    /// Only topics whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    like: Option<String>,
    /// Show the settings that topics have of their own.
    #[arg(long)]
    configs: bool,
    /// Show Kafka's own topics too.
    #[arg(long)]
    internal: bool,
}

/// Says which to describe.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude topics describe orders
  dude topics describe orders payments --all-configs")]
pub struct DescribeOptions {
    /// Topics.
    #[arg(required = true)]
    topics: Vec<String>,
    /// Show the settings that are not the topic's own too.
    #[arg(long)]
    all_configs: bool,
}

pub(super) fn list(session: &Session, options: &ListOptions) -> Outcome {
    let mut table = terminal::table(&["Cluster", "Topic", "Partitions", "Replicas", "Note"]);
    if options.configs {
        table.set_header(["Cluster", "Topic", "Partitions", "Replicas", "Note", "Settings"]);
    }
    let mut rows = Vec::new();
    for target in session.targets()? {
        for (name, topic, configs) in found(session, &target, options)? {
            let note = note(session, &target, &name, &topic);
            let own = settings(&configs);
            let mut row = vec![
                target.name.clone(),
                name.clone(),
                topic.partitions.len().to_string(),
                topic.replication().to_string(),
                note.to_owned(),
            ];
            if options.configs {
                row.push(
                    own.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("\n"),
                );
            }
            table.add_row(row);
            rows.push(json!({"cluster": target.name, "topic": name, "note": note,
                "partitions": topic.partitions.len(), "replicas": topic.replication(),
                "configs": own}));
        }
    }
    if session.options.json { terminal::show_json(&rows) } else { terminal::show(table) }
}

type Found = (String, TopicDescription, Configs);

fn found(session: &Session, target: &Target, options: &ListOptions) -> Outcome<Vec<Found>> {
    let admin = session.admin(target)?;
    let topics = session.runtime.block_on(admin.topics()).context("topics")?;
    let wanted = |name: &str| {
        let like = options.like.as_ref().is_none_or(|like| name.contains(like.as_str()));
        like && (options.internal || !naming::is_internal(name))
    };
    let topics: Vec<_> = topics.into_iter().filter(|(name, _)| wanted(name)).collect();
    let names: Vec<&str> = topics.iter().map(|(name, _)| name.as_str()).collect();
    let mut configs = match options.configs || session.options.json {
        true => session.runtime.block_on(admin.topic_configs(&names, ConfigScope::Own)),
        false => Ok(BTreeMap::new()),
    };
    let configs =
        configs.as_mut().map_err(|error| anyhow::anyhow!("settings of topics: {error}"))?;
    let with = topics.into_iter().map(|(name, topic)| {
        let own = configs.remove(&name).unwrap_or_default();
        (name, topic, own)
    });
    Ok(with.collect())
}

fn note(session: &Session, target: &Target, name: &str, topic: &TopicDescription) -> &'static str {
    let mapped = session.topology.topics.get(name).is_some_and(|t| t.cluster == target.name);
    match () {
        () if !topic.is_led() => "no leader",
        () if naming::is_internal(name) => "Kafka's own",
        () if left_alone(session, name) => "mirror",
        () if !mapped && !session.topology.topics.is_empty() => "not in the map",
        () => "",
    }
}

/// The values that are there to be seen.
fn settings(configs: &Configs) -> BTreeMap<&str, &str> {
    let seen = configs.iter().filter(|(_, entry)| !entry.sensitive);
    seen.map(|(name, entry)| (name.as_str(), entry.value.as_deref().unwrap_or_default())).collect()
}

pub(super) fn describe(session: &Session, options: &DescribeOptions) -> Outcome {
    let names: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    let target = session.target(&names)?;
    let admin = session.admin(&target)?;
    let scope = if options.all_configs { ConfigScope::All } else { ConfigScope::Own };
    let (topics, configs, first, end) = session.runtime.block_on(async {
        let topics = admin.describe_topics(&names).await?;
        let partitions = topics.iter().flat_map(|(name, topic)| {
            let numbers = topic.partitions.iter().map(|partition| partition.number);
            numbers.map(|number| TopicPartition::new(name, number))
        });
        let partitions = partitions.collect::<Vec<_>>();
        let first = admin.offsets(&partitions, At::Earliest).await?;
        let end = admin.offsets(&partitions, At::Latest).await?;
        let configs = admin.topic_configs(&names, scope).await?;
        Ok::<_, anyhow::Error>((topics, configs, first, end))
    })?;
    if let Some(absent) = names.iter().find(|name| !topics.contains_key(**name)) {
        return Err(anyhow::anyhow!("cluster {} has no topic {absent}", target.name).into());
    }
    let offset = |offsets: &BTreeMap<TopicPartition, Option<i64>>, at| {
        offsets.get(&at).copied().flatten().unwrap_or(-1)
    };
    let mut all = Vec::new();
    for (name, topic) in &topics {
        let partitions = topic.partitions.iter().map(|partition| {
            let at = TopicPartition::new(name, partition.number);
            json!({"partition": partition.number, "leader": partition.leader,
                "replicas": partition.replicas, "in_sync": partition.in_sync,
                "first": offset(&first, at), "end": offset(&end, at)})
        });
        let partitions = partitions.collect::<Vec<_>>();
        let none = Configs::new();
        let settings = configs.get(name).unwrap_or(&none);
        all.push(json!({"cluster": target.name, "topic": name, "id": topic.id,
            "replicas": topic.replication(), "partitions": partitions,
            "configs": self::settings(settings)}));
        if !session.options.json {
            show(&target, name, topic, &partitions, settings)?;
        }
    }
    if session.options.json { terminal::show_json(&all) } else { Ok(()) }
}

fn show(
    target: &Target,
    name: &str,
    topic: &TopicDescription,
    partitions: &[serde_json::Value],
    configs: &Configs,
) -> Result<(), Failure> {
    terminal::show(format!(
        "Topic {name} on cluster {}: {} partitions, {} replicas",
        target.name,
        partitions.len(),
        topic.replication()
    ))?;
    let mut table =
        terminal::table(&["Partition", "Leader", "Replicas", "In sync", "First", "End"]);
    for row in partitions {
        let cell = |name: &str| row[name].to_string().trim_matches(['[', ']']).replace(',', " ");
        table.add_row(["partition", "leader", "replicas", "in_sync", "first", "end"].map(cell));
    }
    terminal::show(table)?;
    if configs.is_empty() {
        return terminal::show("No settings of its own.");
    }
    let mut table = terminal::table(&["Setting", "Value", "From"]);
    for (name, entry) in configs {
        let from = match entry.origin {
            ConfigOrigin::Topic => "topic",
            ConfigOrigin::Broker => "brokers",
            ConfigOrigin::BrokerFile => "brokers' files",
            ConfigOrigin::Default => "Kafka",
            ConfigOrigin::Other(_) => "elsewhere",
        };
        let value = match entry.sensitive {
            true => "[hidden]",
            false => entry.value.as_deref().unwrap_or_default(),
        };
        table.add_row([name, value, from]);
    }
    terminal::show(table)
}
