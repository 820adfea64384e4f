//! Shows what the mock cluster carries: a transactional loop with a consumer group.

#![expect(clippy::disallowed_methods, reason = "a test of rdkafka's own calls on the mock")]

use std::time::{Duration, Instant};

use nubium_local::Broker;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};

const LIMIT: Duration = Duration::from_secs(60);

fn producer(broker: &Broker, id: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("transactional.id", id)
        .set("partitioner", "murmur2_random")
        .create()
        .expect("producer");
    producer.init_transactions(LIMIT).expect("init_transactions");
    producer
}

fn consumer(broker: &Broker, group: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .create()
        .expect("consumer");
    consumer.subscribe(&[topic]).expect("subscribe");
    consumer
}

/// Reads `count` messages as (partition, offset, payload, value of header `guid`).
fn read(consumer: &BaseConsumer, count: usize) -> Vec<(i32, i64, Vec<u8>, Vec<u8>)> {
    let deadline = Instant::now() + LIMIT;
    let mut found = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} messages came", found.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.expect("message");
        let guid = message.headers().expect("headers").get(0);
        assert_eq!(guid.key, "guid");
        let payload = message.payload().expect("payload").to_vec();
        let guid = guid.value.expect("guid").to_vec();
        found.push((message.partition(), message.offset(), payload, guid));
    }
    found
}

#[test]
fn a_transactional_loop_runs_on_the_mock_cluster() {
    let broker = Broker::start().expect("broker");
    broker.create_topic("in", 3).expect("topic");
    broker.create_topic("out", 2).expect("topic");
    assert!(broker.create_topic("out", 2).is_err(), "a topic cannot be created twice");

    let feeder = producer(&broker, "feeder");
    feeder.begin_transaction().expect("begin");
    for number in 0..30 {
        let (key, payload) = (format!("key-{number}"), format!("{number}"));
        let guid = Header { key: "guid", value: Some(&payload) };
        let record = BaseRecord::to("in").key(&key).payload(&payload);
        feeder
            .send(record.headers(OwnedHeaders::new().insert(guid)))
            .map_err(|e| e.0)
            .expect("send");
    }
    feeder.commit_transaction(LIMIT).expect("commit");

    let input = consumer(&broker, "app", "in");
    let output = producer(&broker, "app-0");
    let messages = read(&input, 30);
    output.begin_transaction().expect("begin");
    let mut offsets = TopicPartitionList::new();
    for (partition, offset, payload, guid) in &messages {
        let guid = Header { key: "guid", value: Some(guid) };
        let record = BaseRecord::<(), _>::to("out").payload(payload).partition(partition % 2);
        output
            .send(record.headers(OwnedHeaders::new().insert(guid)))
            .map_err(|e| e.0)
            .expect("send");
        let next = Offset::Offset(offset + 1);
        match offsets.find_partition("in", *partition) {
            Some(mut known) => known.set_offset(next).expect("offset"),
            None => offsets.add_partition_offset("in", *partition, next).expect("offset"),
        }
    }
    let group = input.group_metadata().expect("the consumer is in its group");
    output.send_offsets_to_transaction(&offsets, &group, LIMIT).expect("offsets");
    output.commit_transaction(LIMIT).expect("commit");

    // The mock forgets the offsets of transactions and keeps plain ones; `Broker` says so.
    let committed = input.committed_offsets(offsets.clone(), LIMIT).expect("committed");
    assert!(committed.elements().iter().all(|found| found.offset() == Offset::Invalid));
    input.commit(&offsets, CommitMode::Sync).expect("commit");
    let committed = input.committed_offsets(offsets.clone(), LIMIT).expect("committed");
    assert_eq!(committed.elements().len(), offsets.elements().len());
    for wanted in offsets.elements() {
        let found = committed.find_partition("in", wanted.partition()).expect("partition");
        assert_eq!(found.offset(), wanted.offset());
        let (low, high) = input.fetch_watermarks("in", wanted.partition(), LIMIT).expect("marks");
        assert_eq!((low, Offset::Offset(high)), (0, wanted.offset()));
    }

    let mut read_back = read(&consumer(&broker, "check", "out"), 30);
    let mut wanted: Vec<_> =
        messages.into_iter().map(|(_, _, payload, guid)| (payload, guid)).collect();
    let mut found: Vec<_> =
        read_back.drain(..).map(|(_, _, payload, guid)| (payload, guid)).collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}
