//! `dude offsets`: what a group has committed, and where it shall go on instead.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use nubium_admin::{Admin, At};
use nubium_topic::TopicPartition;
use serde_json::json;

use crate::kafka::positions::From;
use crate::session::{Session, Target};
use crate::terminal;
use nubium_host::failure::{Failure, Outcome};

/// Names what can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what a group has committed.
    Show(ShowOptions),
    /// Let a group go on somewhere else; shows the plan and asks.
    Reset(ResetOptions),
}

/// Says which group.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude offsets show billing --json")]
pub struct ShowOptions {
    /// Group.
    group: String,
}

/// Says which group goes where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude offsets reset billing --to earliest
  dude offsets reset billing --to -2h --topic orders
  dude offsets reset billing --to 1500 --topic orders --partition 0
  dude offsets reset billing --to 2026-11-24T00:00:00Z --dry-run

The group must have no members: one that runs would commit over it. Offsets outside of what the
topic keeps are moved to its edge.")]
pub struct ResetOptions {
    /// Group.
    group: String,
    /// Where to: earliest, latest, an offset, or a time such as 2026-11-24T09:30:00Z or -2h.
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true, value_parser = From::parse)]
    to: From,
    /// Only this topic; may be repeated, and name topics that the group has not read yet.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Only this partition; may be repeated.
    #[arg(long, value_name = "N")]
    partition: Vec<i32>,
    /// Show the plan and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// One line of the plan.
struct Move {
    at: TopicPartition,
    from: Option<i64>,
    to: i64,
}

/// Does it.
///
/// # Errors
/// The group is active, Kafka refuses, a person declines, or the cluster is protected.
pub fn run(session: &Session, verb: &Verb) -> Outcome {
    match verb {
        Verb::Show(options) => show(session, options),
        Verb::Reset(options) => reset(session, options),
    }
}

fn show(session: &Session, options: &ShowOptions) -> Outcome {
    let target = session.target(&[])?;
    let admin = session.admin(&target)?;
    let committed = session.runtime.block_on(admin.committed(&options.group, None));
    let committed = committed.context("offsets")?;
    if session.options.json {
        let row = |(at, c): (&TopicPartition, &nubium_admin::Committed)| {
            json!({"topic": at.topic.name(), "partition": at.partition, "offset": c.offset,
                "metadata": c.metadata})
        };
        return terminal::show_json(&committed.iter().map(row).collect::<Vec<_>>());
    }
    let mut table = terminal::table(&["Topic", "Partition", "Offset", "Metadata"]);
    for (at, committed) in committed {
        table.add_row([
            at.topic.name().to_owned(),
            at.partition.to_string(),
            committed.offset.to_string(),
            committed.metadata,
        ]);
    }
    terminal::show(table)
}

fn reset(session: &Session, options: &ResetOptions) -> Outcome {
    let topics: Vec<&str> = options.topic.iter().map(String::as_str).collect();
    let target = session.target(&topics)?;
    let admin = session.admin(&target)?;
    let plan = session.runtime.block_on(plan(&admin, options));
    let plan = plan.with_context(|| format!("group {}", options.group))?;
    if plan.is_empty() {
        return Err(Failure::no(format!(
            "group {} has committed nothing that fits: name a topic with --topic",
            options.group
        )));
    }
    print(session, &plan)?;
    must_be_idle(session, &admin, options)?;
    if options.dry_run {
        return Ok(());
    }
    apply(session, &target, &admin, options, &plan)
}

fn must_be_idle(session: &Session, admin: &Admin, options: &ResetOptions) -> Outcome {
    let group = session.runtime.block_on(admin.describe_group(&options.group)).context("group")?;
    match group.filter(|group| !group.is_empty()) {
        None => Ok(()),
        Some(group) => Err(Failure::no(format!(
            "group {} is {} with {} members: stop them first, or they commit over it",
            options.group,
            group.state,
            group.members.len()
        ))),
    }
}

fn apply(
    session: &Session,
    target: &Target,
    admin: &Admin,
    options: &ResetOptions,
    plan: &[Move],
) -> Outcome {
    target.may_destroy("reset offsets")?;
    let question = format!(
        "Let group {} on cluster {} go on like this? Messages are skipped or handled again.",
        options.group, target.name
    );
    terminal::confirm(&question, session.options.yes)?;
    let offsets: Vec<_> = plan.iter().map(|step| (step.at, step.to)).collect();
    let set = session.runtime.block_on(admin.set_committed(&options.group, &offsets));
    set.context("reset")?;
    terminal::tell("Done.");
    Ok(())
}

async fn plan(admin: &Admin, options: &ResetOptions) -> anyhow::Result<Vec<Move>> {
    let committed = admin.committed(&options.group, None).await?;
    let mut topics: Vec<&str> = committed.keys().map(|at| at.topic.name()).collect();
    topics.dedup();
    if !options.topic.is_empty() {
        topics = options.topic.iter().map(String::as_str).collect();
    }
    let found = admin.describe_topics(&topics).await?;
    if let Some(absent) = options.topic.iter().find(|topic| !found.contains_key(*topic)) {
        anyhow::bail!("there is no topic {absent}");
    }
    let partitions: Vec<TopicPartition> = found
        .iter()
        .flat_map(|(name, topic)| {
            topic.partitions.iter().map(|p| TopicPartition::new(name, p.number))
        })
        .filter(|at| options.partition.is_empty() || options.partition.contains(&at.partition))
        // Unless topics are named, those that the group reads.
        .filter(|at| !options.topic.is_empty() || committed.contains_key(at))
        .collect();
    let first = admin.offsets(&partitions, At::Earliest).await?;
    let end = admin.offsets(&partitions, At::Latest).await?;
    let times = match options.to {
        From::Time(millis) => admin.offsets(&partitions, At::Time(millis)).await?,
        _ => BTreeMap::new(),
    };
    let of =
        |offsets: &BTreeMap<TopicPartition, Option<i64>>, at| offsets.get(&at).copied().flatten();
    let step = |at: TopicPartition| {
        let (first, end) = (of(&first, at).unwrap_or_default(), of(&end, at).unwrap_or_default());
        let to = match options.to {
            From::Beginning => first,
            From::End => end,
            From::Offset(offset) => offset.clamp(first, end),
            From::Time(_) => of(&times, at).unwrap_or(end),
        };
        Move { at, from: committed.get(&at).map(|c| c.offset), to }
    };
    Ok(partitions.into_iter().map(step).collect())
}

fn print(session: &Session, plan: &[Move]) -> Outcome {
    if session.options.json {
        let row = |step: &Move| {
            json!({"topic": step.at.topic.name(), "partition": step.at.partition,
                "from": step.from, "to": step.to})
        };
        return terminal::show_json(&plan.iter().map(row).collect::<Vec<_>>());
    }
    let mut table = terminal::table(&["Topic", "Partition", "From", "To", "Moves"]);
    for step in plan {
        let moves = step.from.map_or_else(String::new, |from| format!("{:+}", step.to - from));
        table.add_row([
            step.at.topic.name().to_owned(),
            step.at.partition.to_string(),
            step.from.map_or_else(|| "nothing".into(), |from| from.to_string()),
            step.to.to_string(),
            moves,
        ]);
    }
    terminal::show(table)
}
