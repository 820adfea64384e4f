//! Creates topics with names of their own, so that tests share one broker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::ledger::Partition;
use crate::wait::{Look, eventually};

const DEADLINE: Duration = Duration::from_secs(30);

/// Makes a name that no other test uses, now or in an earlier run on the same cluster.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{:x}-{number}-{:06x}", std::process::id(), rand::random::<u32>() >> 8)
}

/// Creates topics, given by name and partition count, and waits until each has its leaders.
///
/// # Errors
/// The cluster refuses, or has no leaders for them in time.
pub fn create(bootstrap: &str, topics: &[(&str, i32)]) -> Result<()> {
    create_with(bootstrap, topics, &[])
}

/// Creates topics with settings of their own.
///
/// # Errors
/// As [`create`].
pub fn create_with(
    bootstrap: &str,
    topics: &[(&str, i32)],
    settings: &[(&str, &str)],
) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let new: Vec<_> = topics
        .iter()
        .map(|(name, partitions)| {
            let new = NewTopic::new(name, *partitions, TopicReplication::Fixed(-1));
            settings.iter().fold(new, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(DEADLINE));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for outcome in
        runtime.block_on(admin.create_topics(&new, &options)).context("cannot create topics")?
    {
        if let Err((topic, code)) = outcome {
            bail!("cannot create topic {topic}: {code}");
        }
    }
    for (name, partitions) in topics {
        eventually(&format!("leaders of {name}"), DEADLINE, || match leaders(&admin, name) {
            Ok(count) if count == *partitions => Look::Ready(()),
            Ok(count) => Look::NotYet(format!("{count} of {partitions} leaders")),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })?;
    }
    Ok(())
}

fn leaders(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Result<i32> {
    let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5))?;
    let topic = metadata.topics().first().context("the topic is not known yet")?;
    let led = topic.partitions().iter().filter(|p| p.error().is_none() && p.leader() >= 0);
    Ok(i32::try_from(led.count())?)
}

/// Gives a topic more partitions, and waits until each has its leader.
///
/// # Errors
/// The cluster refuses.
pub fn grow(bootstrap: &str, topic: &str, partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let options = AdminOptions::new().operation_timeout(Some(DEADLINE));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let more = [NewPartitions::new(topic, usize::try_from(partitions)?)];
    for outcome in runtime.block_on(admin.create_partitions(&more, &options))? {
        outcome.map_err(|(topic, code)| anyhow::anyhow!("cannot grow {topic}: {code}"))?;
    }
    eventually(&format!("leaders of {topic}"), DEADLINE, || match leaders(&admin, topic) {
        Ok(count) if count == partitions => Look::Ready(()),
        seen => Look::NotYet(format!("{seen:?}")),
    })
}

/// Deletes a topic, and waits until the cluster does not know it any more.
///
/// # Errors
/// The cluster refuses.
pub fn delete(bootstrap: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let options = AdminOptions::new().operation_timeout(Some(DEADLINE));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for outcome in runtime.block_on(admin.delete_topics(&[topic], &options))? {
        outcome.map_err(|(topic, code)| anyhow::anyhow!("cannot delete {topic}: {code}"))?;
    }
    eventually(&format!("{topic} to be gone"), DEADLINE, || match leaders(&admin, topic) {
        Ok(0) | Err(_) => Look::Ready(()),
        Ok(count) => Look::NotYet(format!("{count} leaders")),
    })
}

/// Deletes the records before these offsets, as retention would.
///
/// # Errors
/// The cluster refuses.
pub fn delete_records(bootstrap: &str, before: &BTreeMap<Partition, i64>) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let mut list = TopicPartitionList::new();
    for (at, offset) in before {
        list.add_partition_offset(&at.topic, at.number, Offset::Offset(*offset))?;
    }
    let options = AdminOptions::new().operation_timeout(Some(DEADLINE));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let deleted = runtime.block_on(admin.delete_records(&list, &options))?;
    deleted.elements().iter().try_for_each(|element| element.error()).map_err(Into::into)
}
