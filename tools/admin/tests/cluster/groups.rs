//! Groups and offsets.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use nubium_admin::{Admin, At};
use nubium_test_kit::topics::unique;
use nubium_test_kit::wait::{Look, eventually};
use nubium_topic::TopicPartition;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::{admin, plain, topic};

/// Writes so many messages to a partition, a second apart in their timestamps from 1000 on.
async fn write(topic: &str, partition: i32, count: i64) -> Result<()> {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", plain().url).create()?;
    for number in 0..count {
        let record = FutureRecord::<(), str>::to(topic)
            .payload("x")
            .partition(partition)
            .timestamp((1 + number) * 1_000);
        producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
    }
    Ok(())
}

#[tokio::test]
async fn offsets_are_found_by_place_and_time_and_records_are_deleted() -> Result<()> {
    let admin = admin().await?;
    let name = topic(&admin, "admin-offsets", 2).await?;
    write(&name, 1, 5).await?;
    let (none, some) = (TopicPartition::new(&name, 0), TopicPartition::new(&name, 1));
    let offset = async |at| -> Result<_> { Ok(admin.offsets(&[none, some], at).await?) };
    assert_eq!(offset(At::Earliest).await?[&some], Some(0));
    let latest = offset(At::Latest).await?;
    assert_eq!((latest[&none], latest[&some]), (Some(0), Some(5)));
    assert_eq!(offset(At::LastStable).await?[&some], Some(5));
    assert_eq!(offset(At::Time(2_500)).await?[&some], Some(2));
    let late = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    assert_eq!(offset(At::Time(late)).await?[&some], None);
    let left = admin.delete_records(&[(some, 3)]).await?;
    assert_eq!(left[&some], 3);
    assert_eq!(offset(At::Earliest).await?[&some], Some(3));
    let missing = TopicPartition::new(&unique("admin-missing"), 0);
    let error = admin.offsets(&[missing], At::Latest).await.unwrap_err().to_string();
    assert!(error.contains(missing.topic.name()) && error.contains("UNKNOWN_TOPIC"), "{error}");
    Ok(())
}

/// Joins a group and stays in it.
fn join(group: &str, topic: &str, protocol: &str) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", plain().url)
        .set("group.id", group)
        .set("group.protocol", protocol)
        .set("client.id", "a-member")
        .create()?;
    consumer.subscribe(&[topic])?;
    eventually("an assignment", nubium_test_kit::scenario::DEADLINE, || {
        consumer.poll(Duration::from_millis(50));
        match consumer.assignment() {
            Ok(list) if list.count() > 0 => Look::Ready(()),
            other => Look::NotYet(format!("{other:?}")),
        }
    })?;
    Ok(consumer)
}

async fn group_of(admin: &Admin, protocol: &str) -> Result<()> {
    let name = topic(admin, "admin-group", 2).await?;
    let group = unique("admin-group");
    assert_eq!(admin.describe_group(&group).await?, None);
    let at = TopicPartition::new(&name, 1);
    let member = join(&group, &name, protocol)?;
    let found = admin.describe_group(&group).await?.expect("the group is there");
    assert_eq!(found.members.len(), 1, "{found:?}");
    assert_eq!(found.members[0].client, "a-member");
    assert_eq!(found.members[0].partitions.len(), 2, "{found:?}");
    assert!(!found.is_empty());
    let error = admin.set_committed(&group, &[(at, 7)]).await.unwrap_err().to_string();
    assert!(error.contains("NON_EMPTY_GROUP") && error.contains(&group), "{error}");
    drop(member);
    admin.set_committed(&group, &[(at, 7)]).await?;
    assert_eq!(admin.committed(&group, None).await?[&at].offset, 7);
    let none = TopicPartition::new(&name, 0);
    assert_eq!(admin.committed(&group, Some(&[none, at])).await?.len(), 1);
    let listed = admin.groups().await?;
    let listed = listed.iter().find(|found| found.id == group).expect("it is listed");
    assert_eq!(listed.kind.to_lowercase(), protocol);
    admin.forget_committed(&group, &[at]).await?;
    assert!(admin.committed(&group, None).await?.is_empty());
    admin.delete_group(&group).await?;
    assert_eq!(admin.describe_group(&group).await?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_offsets_of_a_group_are_set_when_nobody_is_in_it() -> Result<()> {
    let admin = admin().await?;
    group_of(&admin, "classic").await?;
    group_of(&admin, "consumer").await
}
