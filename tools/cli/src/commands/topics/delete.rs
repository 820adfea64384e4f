//! `dude topics delete` and `wipe`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;
use nubium_admin::{Admin, At, TopicDescription};
use nubium_topic::TopicPartition;
use serde_json::json;

use super::{counted, judge, refuse_foreign};
use crate::session::{Session, Target};
use crate::terminal;
use nubium_host::failure::Outcome;

/// Says which to delete.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude topics delete scratch
  dude topics delete scratch-1 scratch-2 --yes")]
pub struct Options {
    /// Topics.
    #[arg(required = true)]
    topics: Vec<String>,
}

/// Says which to wipe.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude topics wipe scratch")]
pub struct WipeOptions {
    /// Topics.
    #[arg(required = true)]
    topics: Vec<String>,
}

/// Topics that are to lose what they hold.
struct Doomed {
    target: Target,
    admin: Admin,
    topics: BTreeMap<String, TopicDescription>,
    /// Offsets that are taken, which is more than messages where topics are compacted or
    /// transactional.
    held: i64,
}

/// Checks everything that can be checked before anybody is asked.
fn examine(session: &Session, topics: &[String], what: &str) -> Outcome<Doomed> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    refuse_foreign(session, names.iter().copied())?;
    let target = session.target(&names)?;
    target.may_destroy(what)?;
    let admin = session.admin(&target)?;
    let found = session.runtime.block_on(admin.describe_topics(&names)).context("topics")?;
    if let Some(absent) = names.iter().find(|name| !found.contains_key(**name)) {
        return Err(anyhow::anyhow!("cluster {} has no topic {absent}", target.name).into());
    }
    let partitions = partitions(&found);
    let held = session.runtime.block_on(async {
        let first = admin.offsets(&partitions, At::Earliest).await?;
        let end = admin.offsets(&partitions, At::Latest).await?;
        let sum = |offsets: BTreeMap<_, Option<i64>>| offsets.values().flatten().sum::<i64>();
        Ok::<_, anyhow::Error>(sum(end) - sum(first))
    })?;
    Ok(Doomed { target, admin, topics: found, held })
}

fn partitions(topics: &BTreeMap<String, TopicDescription>) -> Vec<TopicPartition> {
    let of = |(name, topic): (&String, &TopicDescription)| -> Vec<TopicPartition> {
        topic.partitions.iter().map(|p| TopicPartition::new(name, p.number)).collect()
    };
    topics.iter().flat_map(of).collect()
}

impl Doomed {
    fn question(&self, verb: &str) -> String {
        let names: Vec<&str> = self.topics.keys().map(String::as_str).collect();
        format!(
            "{verb} {} on cluster {}: {} ({} offsets)?",
            counted(names.len(), "topic"),
            self.target.name,
            names.join(", "),
            self.held
        )
    }
}

pub(super) fn run(session: &Session, options: &Options) -> Outcome {
    let doomed = examine(session, &options.topics, "delete topics")?;
    let question = doomed.question("Delete with all messages");
    terminal::confirm(&question, session.options.yes)?;
    let names: Vec<&str> = doomed.topics.keys().map(String::as_str).collect();
    let outcomes = session.runtime.block_on(doomed.admin.delete_topics(&names));
    judge("delete topics", &outcomes.context("delete topics")?)?;
    report(session, &doomed, "deleted")
}

pub(super) fn wipe(session: &Session, options: &WipeOptions) -> Outcome {
    let doomed = examine(session, &options.topics, "wipe topics")?;
    let question = doomed.question("Delete all messages of");
    terminal::confirm(&question, session.options.yes)?;
    let before: Vec<_> = partitions(&doomed.topics).into_iter().map(|at| (at, -1)).collect();
    let left = session.runtime.block_on(doomed.admin.delete_records(&before));
    left.map_err(|error| compacted(&error)).context("wipe")?;
    report(session, &doomed, "wiped")
}

/// Says what to do where the topic is compacted: Kafka deletes no records there.
fn compacted(error: &nubium_admin::AdminError) -> anyhow::Error {
    let is_policy = error.refusal().is_some_and(|no| no.name() == "POLICY_VIOLATION");
    let advice = match is_policy {
        true => {
            "; of a compacted topic Kafka deletes none: `dude topics alter TOPIC --set \
            cleanup.policy=compact,delete` for the time of the wipe, or delete and create it"
        }
        false => "",
    };
    anyhow::anyhow!("{error}{advice}")
}

fn report(session: &Session, doomed: &Doomed, what: &str) -> Outcome {
    if session.options.json {
        let rows: Vec<_> = doomed
            .topics
            .keys()
            .map(|topic| json!({"cluster": doomed.target.name, "topic": topic, "outcome": what}))
            .collect();
        return terminal::show_json(&rows);
    }
    for topic in doomed.topics.keys() {
        terminal::show(format!("{topic} {what}"))?;
    }
    Ok(())
}
