//! Transactions that are open, and ending one.

use std::time::Duration;

use anyhow::Result;
use nubium_admin::{Admin, At};
use nubium_test_kit::topics::unique;
use nubium_topic::TopicPartition;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use crate::{admin, plain, topic};

const LIMIT: Duration = Duration::from_secs(30);

/// Opens a transaction with one message at offset 0, and leaves it open.
async fn open(id: &str, at: TopicPartition) -> Result<FutureProducer> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", plain().url)
        .set("transactional.id", id)
        .set("transaction.timeout.ms", "60000")
        .create()?;
    producer.init_transactions(LIMIT)?;
    producer.begin_transaction()?;
    let record = FutureRecord::<(), str>::to(at.topic.name()).payload("x").partition(at.partition);
    producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
    Ok(producer)
}

async fn stable(admin: &Admin, at: TopicPartition) -> Result<Option<i64>> {
    Ok(admin.offsets(&[at], At::LastStable).await?[&at])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_is_seen_and_can_be_ended_at_the_partition() -> Result<()> {
    let admin = admin().await?;
    let name = topic(&admin, "admin-tx", 1).await?;
    let (id, at) = (unique("admin-tx"), TopicPartition::new(&name, 0));
    let producer = open(&id, at).await?;
    assert_eq!(stable(&admin, at).await?, Some(0), "readers wait for it");
    assert_eq!(admin.offsets(&[at], At::Latest).await?[&at], Some(1));

    let listed = admin.transactions(&["Ongoing"], None).await?;
    let listed = listed.iter().find(|found| found.id == id).expect("it is listed");
    let known = admin.describe_transaction(&id).await?.expect("its coordinator knows it");
    assert_eq!((known.producer, &*known.state), (listed.producer, "Ongoing"));
    assert_eq!(known.partitions, [at]);
    assert_eq!(known.timeout, Duration::from_secs(60));
    assert!(known.started.is_some());
    assert_eq!(admin.describe_transaction(&unique("nobody")).await?, None);

    let producers = admin.producers(&[at]).await?;
    let [at_work] = &producers[&at][..] else { panic!("{producers:?}") };
    assert_eq!((at_work.producer, at_work.transaction_start), (known.producer, Some(0)));
    let hanging = admin.hanging_transactions(&[at], Duration::ZERO, i64::MAX).await?;
    assert_eq!(hanging, [], "its coordinator holds it, so it does not hang");

    admin.abort_transaction(at, at_work).await?;
    assert_eq!(stable(&admin, at).await?, Some(2), "the message and the marker");
    drop(producer);
    Ok(())
}
