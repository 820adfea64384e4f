//! `dude lag`: how far a group is behind, in messages and not in offsets.

mod count;
pub(crate) mod open;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use nubium_admin::{Admin, At, GroupDescription};
use nubium_topic::TopicPartition;
use serde_json::json;

use crate::session::{Session, Target};
use crate::{terminal, when};
use count::Counter;
use nubium_host::failure::{Failure, Outcome};
use open::OpenTransaction;

/// Says which group, and how often.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude lag                        the groups of the cluster
  dude lag billing
  dude lag billing --watch 5      every five seconds, until INT
  dude lag billing --max 1000     exit code 1 if it is more behind than that

Lag is the number of committed messages that the group has not handled: 0 when it has caught up.
Offsets of control records, of aborted messages and of those that compaction removed do not count,
so it is less than the difference of offsets that other tools show. For that the unread part is
read; where it has more than --exact offsets, their number is shown as the most it can be (≤).")]
pub struct Options {
    /// Group; without it, the groups are listed.
    group: Option<String>,
    /// Show it again and again, every so many seconds.
    #[arg(long, short = 'w', value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// Only this topic; may be repeated.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Count messages one by one up to so many offsets in a partition.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    exact: i64,
    /// End with exit code 1 if the group is more messages behind.
    #[arg(long, value_name = "N", conflicts_with = "watch")]
    max: Option<u64>,
}

/// How far a group is behind on one partition.
#[derive(Debug, Clone)]
struct Row {
    at: TopicPartition,
    committed: i64,
    end: i64,
    lag: Lag,
    /// Milliseconds since the epoch of the first message that is not handled.
    oldest: Option<i64>,
    member: String,
    open: Vec<OpenTransaction>,
}

/// A number of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lag {
    messages: u64,
    /// Counted, and not the most it can be.
    exact: bool,
}

impl Lag {
    fn show(self) -> String {
        format!("{}{}", if self.exact { "" } else { "≤ " }, self.messages)
    }
}

/// Shows the lag, once or again and again.
///
/// # Errors
/// The group has committed nothing, Kafka refuses, or the lag is more than `--max`.
pub fn run(session: &Session, options: &Options) -> Outcome {
    let target = session.target(&options.topic.iter().map(String::as_str).collect::<Vec<_>>())?;
    let admin = session.admin(&target)?;
    let Some(group) = &options.group else { return groups(session, &admin) };
    session.obey_signals()?;
    let mut counter = Counter::new(session, &target, options.exact);
    loop {
        let (rows, described) = look(session, &target, &admin, group, options, &mut counter)?;
        show(session, group, described.as_ref(), &rows, options.watch.is_some())?;
        let Some(seconds) = options.watch else {
            let lag: u64 = rows.iter().map(|row| row.lag.messages).sum();
            return match options.max.filter(|max| lag > *max) {
                Some(max) => {
                    Err(Failure::no(format!("{group} is {lag} messages behind, over {max}")))
                }
                None => Ok(()),
            };
        };
        if session.stop.wait_timeout(Duration::from_secs(seconds)) {
            return Ok(());
        }
    }
}

fn groups(session: &Session, admin: &Admin) -> Outcome {
    let groups = session.runtime.block_on(admin.groups()).context("groups")?;
    if session.options.json {
        let rows: Vec<_> = groups
            .iter()
            .map(|g| json!({"group": g.id, "state": g.state, "protocol": g.kind}))
            .collect();
        return terminal::show_json(&rows);
    }
    let mut table = terminal::table(&["Group", "State", "Protocol"]);
    for group in groups {
        table.add_row([group.id, group.state, group.kind]);
    }
    terminal::show(table)
}

/// Takes one look.
fn look(
    session: &Session,
    target: &Target,
    admin: &Admin,
    group: &str,
    options: &Options,
    counter: &mut Counter<'_>,
) -> Outcome<(Vec<Row>, Option<GroupDescription>)> {
    let found = session.runtime.block_on(async {
        let committed = admin.committed(group, None).await?;
        let wanted = |at: &TopicPartition| {
            options.topic.is_empty() || options.topic.iter().any(|t| t == at.topic.name())
        };
        let committed: BTreeMap<TopicPartition, i64> = committed
            .into_iter()
            .filter(|(at, _)| wanted(at))
            .map(|(at, c)| (at, c.offset))
            .collect();
        let partitions: Vec<_> = committed.keys().copied().collect();
        let first = admin.offsets(&partitions, At::Earliest).await?;
        let stable = admin.offsets(&partitions, At::LastStable).await?;
        let end = admin.offsets(&partitions, At::Latest).await?;
        let described = admin.describe_group(group).await?;
        Ok::<_, anyhow::Error>((committed, first, stable, end, described))
    });
    let (committed, first, stable, end, described) =
        found.with_context(|| format!("group {group}"))?;
    if committed.is_empty() {
        return Err(anyhow::anyhow!(
            "group {group} has committed nothing on cluster {}; `dude lag` lists the groups",
            target.name
        )
        .into());
    }
    let of = |offsets: &BTreeMap<TopicPartition, Option<i64>>, at| {
        offsets.get(&at).copied().flatten().unwrap_or_default()
    };
    let held: Vec<_> =
        committed.keys().copied().filter(|at| of(&stable, *at) < of(&end, *at)).collect();
    let mut open = session.runtime.block_on(open::on(admin, &held, when::now()))?;
    let ranges = committed.iter().map(|(at, offset)| {
        let start = (*offset).max(of(&first, *at));
        (*at, start, of(&stable, *at))
    });
    let counts = counter.count(&ranges.collect::<Vec<_>>())?;
    let rows = committed.iter().map(|(at, offset)| {
        let counted = counts.get(at).copied().unwrap_or_default();
        Row {
            at: *at,
            committed: *offset,
            end: of(&stable, *at),
            lag: Lag { messages: counted.messages, exact: counted.exact },
            oldest: counted.oldest,
            member: described.as_ref().map(|group| member(group, *at)).unwrap_or_default(),
            open: open.remove(at).unwrap_or_default(),
        }
    });
    Ok((rows.collect(), described))
}

fn member(group: &GroupDescription, at: TopicPartition) -> String {
    let owner = group.members.iter().find(|member| member.partitions.contains(&at));
    owner.map_or_else(String::new, |m| format!("{} at {}", m.client, m.host))
}

fn show(
    session: &Session,
    group: &str,
    described: Option<&GroupDescription>,
    rows: &[Row],
    again: bool,
) -> Outcome {
    let now = when::now();
    let lag: u64 = rows.iter().map(|row| row.lag.messages).sum();
    let exact = rows.iter().all(|row| row.lag.exact);
    let state = described.map_or("Dead", |group| &*group.state);
    if session.options.json {
        let partitions: Vec<_> = rows.iter().map(|row| as_json(row, now)).collect();
        let whole = json!({"group": group, "state": state, "lag": lag, "exact": exact,
            "partitions": partitions});
        return if again { terminal::show(whole) } else { terminal::show_json(&whole) };
    }
    let header =
        ["Topic", "Partition", "Committed", "End", "Lag", "Oldest", "Member", "Open transaction"];
    let mut table = terminal::table(&header);
    for row in rows {
        let open: Vec<String> = row.open.iter().map(|open| open.show(now)).collect();
        table.add_row([
            row.at.topic.name().to_owned(),
            row.at.partition.to_string(),
            row.committed.to_string(),
            row.end.to_string(),
            row.lag.show(),
            row.oldest.map(|oldest| when::show_duration(now - oldest)).unwrap_or_default(),
            row.member.clone(),
            open.join("\n"),
        ]);
    }
    // Home and clear, so that the table stays where it is.
    let clear = if again && io::stdout().is_terminal() { "\u{1b}[H\u{1b}[2J" } else { "" };
    let members = described.map_or(0, |group| group.members.len());
    let lag = Lag { messages: lag, exact }.show();
    terminal::show(format!(
        "{clear}Group {group} ({state}, {members} members): {lag} behind\n{table}"
    ))
}

fn as_json(row: &Row, now: i64) -> serde_json::Value {
    let open: Vec<_> = row.open.iter().map(|open| open.as_json(now)).collect();
    json!({"topic": row.at.topic.name(), "partition": row.at.partition, "committed": row.committed,
        "end": row.end, "lag": row.lag.messages, "exact": row.lag.exact,
        "oldest_ms": row.oldest.map(|oldest| now - oldest), "member": row.member,
        "open_transactions": open})
}
