//! `dude topics`: what is there, and what the map of topics says should be.
//!
//! Topics of Kafka's own (`__…`) and mirrors of other clusters' are never changed.

mod alter;
mod create;
mod delete;
mod list;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use nubium_admin::{NewTopic, Outcomes, naming};
use nubium_config::Topic;

use crate::session::Session;
use nubium_host::failure::{Failure, Outcome};

/// Names what can be done to topics.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the topics of every cluster, or of one.
    List(list::ListOptions),
    /// Show partitions, offsets and every setting of topics.
    Describe(list::DescribeOptions),
    /// Create topics of the map that are not there; what is there is skipped.
    Create(create::Options),
    /// Change partitions or settings; what is not named stays.
    Alter(alter::Options),
    /// Delete topics with all that is in them.
    Delete(delete::Options),
    /// Create what the map has and the cluster lacks; delete what the map lacks, after asking.
    Sync(create::SyncOptions),
    /// Delete all messages of topics and keep the topics.
    Wipe(delete::WipeOptions),
}

/// Does it.
///
/// # Errors
/// Kafka refuses, a person declines, or the cluster is protected.
pub fn run(session: &Session, verb: &Verb) -> Outcome {
    match verb {
        Verb::List(options) => list::list(session, options),
        Verb::Describe(options) => list::describe(session, options),
        Verb::Create(options) => create::run(session, options),
        Verb::Alter(options) => alter::run(session, options),
        Verb::Delete(options) => delete::run(session, options),
        Verb::Sync(options) => create::sync(session, options),
        Verb::Wipe(options) => delete::wipe(session, options),
    }
}

/// How a topic shall look.
#[derive(Debug, Clone, Default, Args)]
struct Shape {
    /// Number of partitions.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,
    /// Setting of the topic; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| format!("{text:?} is not NAME=VALUE, such as retention.ms=604800000"))
}

/// Says whether a topic is left alone: Kafka's own, or a mirror of another cluster's.
fn left_alone(session: &Session, topic: &str) -> bool {
    let clusters = session.topology.clusters.keys().map(String::as_str);
    naming::is_internal(topic) || naming::is_mirror(topic, clusters)
}

/// Refuses topics that are left alone.
fn refuse_foreign<'t>(session: &Session, topics: impl Iterator<Item = &'t str>) -> Outcome {
    let foreign: Vec<_> = topics.filter(|topic| left_alone(session, topic)).collect();
    match foreign[..] {
        [] => Ok(()),
        _ => Err(Failure::no(format!(
            "dude leaves Kafka's own topics and mirrors alone: {}",
            foreign.join(", ")
        ))),
    }
}

/// The topics that the map has on a cluster.
fn mapped<'s>(session: &'s Session, cluster: &str) -> BTreeMap<&'s str, &'s Topic> {
    let here = session.topology.topics.iter().filter(|(_, topic)| topic.cluster == cluster);
    here.map(|(name, topic)| (name.as_str(), topic)).collect()
}

fn new_topic(name: &str, topic: &Topic) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: topic.num_partitions,
        replication: topic.replication_factor,
        configs: topic.config.clone(),
    }
}

/// Gives each refusal by topic, if there is any.
fn judge(what: &str, outcomes: &Outcomes) -> Outcome {
    let refused: Vec<String> = outcomes
        .iter()
        .filter_map(|(topic, outcome)| outcome.as_ref().err().map(|no| format!("{topic}: {no}")))
        .collect();
    match refused[..] {
        [] => Ok(()),
        _ => Err(anyhow::anyhow!("cannot {what}\n  {}", refused.join("\n  ")).into()),
    }
}

/// Counts things in words: `1 topic`, `2 topics`.
fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
