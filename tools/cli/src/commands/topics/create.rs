//! `dude topics create` and `sync`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use clap::Args;
use nubium_admin::{Mode, NewTopic, TopicDescription};
use serde_json::json;

use super::{Shape, counted, judge, left_alone, mapped, new_topic, refuse_foreign};
use crate::session::{Session, Target};
use crate::terminal;
use nubium_host::failure::{Failure, Outcome};

/// Says which to create.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude topics create                                     all of the map that are not there
  dude topics create orders payments                     these of the map
  dude topics create scratch --partitions 3 --set retention.ms=3600000")]
pub struct Options {
    /// Topics; without any, all that the map has on the cluster.
    topics: Vec<String>,
    #[command(flatten)]
    shape: Shape,
    /// Number of copies of each partition; else the map's, else the cluster's default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    replication: Option<u16>,
    /// Let the cluster check it and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Says how to sync.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude topics sync --dry-run      what would be created and deleted
  dude topics sync --cluster dev
  dude topics sync --keep         create alone")]
pub struct SyncOptions {
    /// Show what would be done and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete nothing.
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(session: &Session, options: &Options) -> Outcome {
    let asked: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    refuse_foreign(session, asked.iter().copied())?;
    let targets = match asked[..] {
        [] => session.targets()?,
        _ => vec![session.target(&asked)?],
    };
    let mut results = Vec::new();
    for target in targets {
        let wanted = wanted(session, &target, options)?;
        results.extend(create(session, &target, &wanted, options.dry_run)?);
    }
    if results.is_empty() && asked.is_empty() {
        terminal::tell("The map of topics has no topics here (NU_TOPIC_CONFIGS_JSON or _YAML).");
    }
    report(session, results)
}

/// What became of one topic.
struct Created {
    cluster: String,
    topic: String,
    what: &'static str,
}

/// Puts together what the map says and what the command line says over it.
fn wanted(session: &Session, target: &Target, options: &Options) -> Outcome<Vec<NewTopic>> {
    let map = mapped(session, &target.name);
    let names: Vec<&str> = match options.topics[..] {
        [] => map.keys().copied().filter(|topic| !left_alone(session, topic)).collect(),
        _ => options.topics.iter().map(String::as_str).collect(),
    };
    let make = |name: &str| {
        let mut topic = match map.get(name) {
            Some(topic) => new_topic(name, topic),
            None if options.shape.partitions.is_none() => {
                return Err(Failure::settings(format!(
                    "topic {name} is not in the map of cluster {}: say --partitions N",
                    target.name
                )));
            }
            None => NewTopic {
                name: name.to_owned(),
                partitions: None,
                replication: None,
                configs: BTreeMap::new(),
            },
        };
        topic.partitions = options.shape.partitions.or(topic.partitions);
        topic.replication = options.replication.or(topic.replication);
        topic.configs.extend(options.shape.settings.iter().cloned());
        Ok(topic)
    };
    names.into_iter().map(make).collect()
}

/// Creates what is not there, and waits for leaders.
fn create(
    session: &Session,
    target: &Target,
    wanted: &[NewTopic],
    dry_run: bool,
) -> Outcome<Vec<Created>> {
    let admin = session.admin(target)?;
    let names: Vec<&str> = wanted.iter().map(|topic| topic.name.as_str()).collect();
    let there = session.runtime.block_on(admin.describe_topics(&names)).context("topics")?;
    let absent: Vec<NewTopic> =
        wanted.iter().filter(|topic| !there.contains_key(&topic.name)).cloned().collect();
    if !absent.is_empty() {
        let mode = if dry_run { Mode::Validate } else { Mode::Apply };
        let outcomes = session.runtime.block_on(admin.create_topics(&absent, mode));
        judge("create topics", &outcomes.context("create topics")?)?;
        if !dry_run {
            let leaders: Vec<_> =
                absent.iter().map(|t| (t.name.as_str(), t.partitions.unwrap_or(1))).collect();
            let waited = admin.wait_for_leaders(&leaders, session.timeout());
            session.runtime.block_on(waited).context("topics are created, but")?;
        }
    }
    let what = |topic: &NewTopic| match there.contains_key(&topic.name) {
        true => "skipped: it is there already",
        false if dry_run => "would be created",
        false => "created",
    };
    let created = |topic: &NewTopic| Created {
        cluster: target.name.clone(),
        topic: topic.name.clone(),
        what: what(topic),
    };
    Ok(wanted.iter().map(created).collect())
}

fn report(session: &Session, results: Vec<Created>) -> Outcome {
    if session.options.json {
        let rows: Vec<_> = results
            .iter()
            .map(|r| json!({"cluster": r.cluster, "topic": r.topic, "outcome": r.what}))
            .collect();
        return terminal::show_json(&rows);
    }
    let mut table = terminal::table(&["Cluster", "Topic", "Outcome"]);
    for result in results {
        table.add_row([result.cluster, result.topic, result.what.to_owned()]);
    }
    if table.is_empty() { Ok(()) } else { terminal::show(table) }
}

pub(super) fn sync(session: &Session, options: &SyncOptions) -> Outcome {
    if session.topology.topics.is_empty() {
        return Err(Failure::settings(
            "there is no map of topics (NU_TOPIC_CONFIGS_JSON or _YAML): sync would delete all",
        ));
    }
    let mut results = Vec::new();
    for target in session.targets()? {
        let map = mapped(session, &target.name);
        let admin = session.admin(&target)?;
        let there = session.runtime.block_on(admin.topics()).context("topics")?;
        let extra = extra(session, &map.keys().copied().collect(), &there);
        let extra = if options.keep { Vec::new() } else { extra };
        if !extra.is_empty() && !options.dry_run {
            target.may_destroy("delete topics (sync --keep creates alone)")?;
            let changelogs = extra.iter().filter(|topic| topic.ends_with("__changelog")).count();
            let tables = match changelogs {
                0 => String::new(),
                some => format!(
                    " With {}, the tables of their apps are lost.",
                    counted(some, "changelog")
                ),
            };
            let question = format!(
                "Cluster {} has {} that the map does not have: {}.{tables} Delete with all \
                 messages?",
                target.name,
                counted(extra.len(), "topic"),
                extra.join(", ")
            );
            terminal::confirm(&question, session.options.yes)?;
        }
        let wanted = map.iter().filter(|(name, _)| !left_alone(session, name));
        let wanted: Vec<_> = wanted.map(|(name, topic)| new_topic(name, topic)).collect();
        results.extend(create(session, &target, &wanted, options.dry_run)?);
        if !extra.is_empty() && !options.dry_run {
            let names: Vec<&str> = extra.iter().map(String::as_str).collect();
            let outcomes = session.runtime.block_on(admin.delete_topics(&names));
            judge("delete topics", &outcomes.context("delete topics")?)?;
        }
        let what = if options.dry_run { "would be deleted" } else { "deleted" };
        let cluster = &target.name;
        let deleted =
            extra.into_iter().map(|topic| Created { cluster: cluster.clone(), topic, what });
        results.extend(deleted);
    }
    report(session, results)
}

/// Finds the topics that the map lacks. A changelog is a topic like any other here.
fn extra(
    session: &Session,
    map: &BTreeSet<&str>,
    there: &BTreeMap<String, TopicDescription>,
) -> Vec<String> {
    let extra = there.iter().filter(|(name, topic)| {
        !map.contains(name.as_str()) && !topic.internal && !left_alone(session, name)
    });
    extra.map(|(name, _)| name.clone()).collect()
}
