//! `dude tx`: transactions that are open, and those that hang.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use nubium_admin::{Admin, HangingTransaction, Refusal, TransactionDescription, naming};
use nubium_topic::TopicPartition;
use serde_json::json;

use crate::kafka::client::producer_properties;
use crate::kafka::producer::Producer;
use crate::session::{Session, Target};
use crate::{terminal, when};
use nubium_host::failure::{Failure, Outcome};

/// How often partitions are asked anew for where topics come and go.
const LOOKS: u32 = 20;

/// Names what can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the transactions that are open, and those that no coordinator will end.
    List(ListOptions),
    /// Abort a transaction, after asking.
    Abort(AbortOptions),
}

/// Says which to list.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude tx list
  dude tx list --older 1m --topic orders
  dude tx list --json | jq '.[] | select(.hangs)'

A transaction hangs when it is open on a partition and its coordinator does not know of it: readers
of committed messages wait there for ever. Brokers of Kafka 4 prevent that; older ones did not.")]
pub struct ListOptions {
    /// Only those that are open for so long, such as 30s, 5m or 2h.
    #[arg(long, value_name = "AGE", value_parser = age, default_value = "0s")]
    older: Duration,
    /// Look for hanging ones in this topic alone; may be repeated.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
}

/// Says which to abort.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude tx abort --id billing-0                                       one that is open
  dude tx abort --topic orders --partition 3 --producer 1042         one that hangs

With --id the coordinator aborts the transaction and shuts its producer out: an app that still runs
ends or starts a new producer. Without, markers are written past the coordinator, for one that hangs
alone.")]
pub struct AbortOptions {
    /// Transactional id of an open transaction.
    #[arg(long, value_name = "ID", conflicts_with_all = ["topic", "partition", "producer"])]
    id: Option<String>,
    /// Topic that a transaction hangs on.
    #[arg(long, value_name = "TOPIC", required_unless_present = "id")]
    topic: Option<String>,
    /// Its partition.
    #[arg(long, value_name = "N", required_unless_present = "id")]
    partition: Option<i32>,
    /// Its producer's number, from `dude tx list`.
    #[arg(long, value_name = "N", required_unless_present = "id")]
    producer: Option<i64>,
}

fn age(text: &str) -> Result<Duration, String> {
    when::duration(text).ok_or_else(|| format!("{text:?} is no length of time, such as 30s or 5m"))
}

/// Does it.
///
/// # Errors
/// Kafka refuses, a person declines, or the cluster is protected.
pub fn run(session: &Session, verb: &Verb) -> Outcome {
    match verb {
        Verb::List(options) => list(session, options),
        Verb::Abort(options) => abort(session, options),
    }
}

fn list(session: &Session, options: &ListOptions) -> Outcome {
    let target = session.target(&options.topic.iter().map(String::as_str).collect::<Vec<_>>())?;
    let admin = session.admin(&target)?;
    let now = when::now();
    let (open, hanging) = session.runtime.block_on(async {
        let mut open = Vec::new();
        let older = (!options.older.is_zero()).then_some(options.older);
        for found in
            admin.transactions(&["Ongoing", "PrepareCommit", "PrepareAbort"], older).await?
        {
            open.extend(admin.describe_transaction(&found.id).await?);
        }
        let hanging = hanging(&admin, options, now).await?;
        Ok::<_, anyhow::Error>((open, hanging))
    })?;
    if session.options.json {
        let open = open.iter().map(|found| open_json(found, now));
        let hanging = hanging.iter().map(|found| hanging_json(found, now));
        return terminal::show_json(&open.chain(hanging).collect::<Vec<_>>());
    }
    let header = ["Transactional id", "Producer", "State", "Age", "Time-out", "Partitions"];
    let mut table = terminal::table(&header);
    for found in open {
        table.add_row([
            found.id.clone(),
            found.producer.to_string(),
            found.state.clone(),
            found.started.map(|since| when::show_duration(now - since)).unwrap_or_default(),
            format!("{}s", found.timeout.as_secs()),
            names(&found.partitions).join("\n"),
        ]);
    }
    for found in hanging {
        table.add_row([
            found.id.clone().unwrap_or_else(|| "(not known)".into()),
            found.producer.producer.to_string(),
            "HANGS".into(),
            format!("silent for {}", when::show_duration(now - found.producer.last_write)),
            String::new(),
            found.partition.to_string(),
        ]);
    }
    match table.is_empty() {
        true => terminal::show("No transaction is open."),
        false => terminal::show(table),
    }
}

/// Looks for transactions that hang; again where a topic was deleted meanwhile.
async fn hanging(
    admin: &Admin,
    options: &ListOptions,
    now: i64,
) -> anyhow::Result<Vec<HangingTransaction>> {
    let mut looks = 1;
    loop {
        let partitions = partitions(admin, &options.topic).await?;
        match admin.hanging_transactions(&partitions, options.older, now).await {
            Err(error) if looks < LOOKS && error.refusal().is_some_and(Refusal::is_missing) => {
                looks += 1;
            }
            found => return Ok(found?),
        }
    }
}

fn names(partitions: &[TopicPartition]) -> Vec<String> {
    partitions.iter().map(ToString::to_string).collect()
}

fn open_json(found: &TransactionDescription, now: i64) -> serde_json::Value {
    json!({"id": found.id, "producer": found.producer, "epoch": found.epoch, "state": found.state,
        "age_ms": found.started.map(|since| now - since), "hangs": false,
        "timeout_ms": found.timeout.as_millis() as u64, "partitions": names(&found.partitions)})
}

fn hanging_json(found: &HangingTransaction, now: i64) -> serde_json::Value {
    json!({"id": found.id, "producer": found.producer.producer, "epoch": found.producer.epoch,
        "state": "HANGS", "silent_ms": now - found.producer.last_write, "hangs": true,
        "start_offset": found.producer.transaction_start,
        "partitions": [found.partition.to_string()]})
}

/// The partitions of the topics named, or of all but Kafka's own.
async fn partitions(admin: &Admin, topics: &[String]) -> anyhow::Result<Vec<TopicPartition>> {
    let found = admin.topics().await?;
    if let Some(absent) = topics.iter().find(|topic| !found.contains_key(*topic)) {
        anyhow::bail!("there is no topic {absent}");
    }
    let wanted = |name: &String| match topics {
        [] => !naming::is_internal(name),
        _ => topics.contains(name),
    };
    let found = found.into_iter().filter(|(name, topic)| wanted(name) && topic.is_led());
    let partitions = found.flat_map(|(name, topic)| {
        let numbers = topic.partitions.into_iter().map(|partition| partition.number);
        numbers.map(|number| TopicPartition::new(&name, number)).collect::<Vec<_>>()
    });
    Ok(partitions.collect())
}

fn abort(session: &Session, options: &AbortOptions) -> Outcome {
    let topics: Vec<&str> = options.topic.iter().map(String::as_str).collect();
    let target = session.target(&topics)?;
    target.may_destroy("abort transactions")?;
    let admin = session.admin(&target)?;
    match (&options.id, &options.topic, options.partition, options.producer) {
        (Some(id), ..) => abort_open(session, &target, &admin, id),
        (None, Some(topic), Some(partition), Some(producer)) => {
            abort_hanging(session, &admin, TopicPartition::new(topic, partition), producer)
        }
        _ => Err(Failure::settings("say --id, or --topic, --partition and --producer")),
    }
}

fn abort_open(session: &Session, target: &Target, admin: &Admin, id: &str) -> Outcome {
    let found = session.runtime.block_on(admin.describe_transaction(id)).context("transaction")?;
    let found = found.with_context(|| format!("no coordinator knows the transactional id {id}"))?;
    if !found.state.starts_with("Ongoing") {
        return Err(Failure::no(format!(
            "{id} has no open transaction: its state is {}",
            found.state
        )));
    }
    let question = format!(
        "Abort the transaction of {id} (producer {}, {}) and shut its producer out?",
        found.producer,
        names(&found.partitions).join(", ")
    );
    terminal::confirm(&question, session.options.yes)?;
    let mut properties = producer_properties(session, target);
    properties.insert("transactional.id".into(), id.into());
    let producer = Producer::new(&properties, "", session.timeout())?;
    // A new producer of the same id: the coordinator aborts what the old one has open.
    let ended = producer.transaction().init(session.timeout());
    ended.map_err(|error| anyhow!("the transaction of {id} was not aborted: {error}"))?;
    terminal::show(format!("The transaction of {id} is aborted."))
}

fn abort_hanging(session: &Session, admin: &Admin, at: TopicPartition, producer: i64) -> Outcome {
    let (now, partitions) = (when::now(), [at]);
    let hanging = admin.hanging_transactions(&partitions, Duration::ZERO, now);
    let hanging = session.runtime.block_on(hanging).context("transactions")?;
    let found = hanging.into_iter().find(|found| found.producer.producer == producer);
    let Some(found) = found else {
        return Err(Failure::no(format!(
            "no transaction of producer {producer} hangs on {at}; one that is open and does not \
             hang is aborted by its --id"
        )));
    };
    let question = format!(
        "Abort what producer {producer} has open on {at} from offset {}, silent for {}?",
        found.producer.transaction_start.unwrap_or_default(),
        when::show_duration(when::now() - found.producer.last_write)
    );
    terminal::confirm(&question, session.options.yes)?;
    let aborted = admin.abort_transaction(at, &found.producer);
    session.runtime.block_on(aborted).context("abort")?;
    terminal::show(format!("What producer {producer} had open on {at} is aborted."))
}
