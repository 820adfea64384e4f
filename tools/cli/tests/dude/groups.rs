//! `dude lag` and `dude offsets`.

use nubium_test_kit::process::Process;
use nubium_test_kit::reader;
use nubium_test_kit::wait::until;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use serde_json::json;

use crate::world::{DEADLINE, ORDER, World, orders};

/// A topic with three transactions of ten records, so with markers, and a group that has read it.
fn world() -> (World, String, String) {
    let mut world = World::new();
    let topic = world.topic("orders", 1);
    let group = world.name("group");
    let schema = world.file("order.avsc", ORDER);
    for from in [0, 10, 20] {
        let file = world.file("lines.jsonl", orders(from, 10));
        world.ok(&["produce", &topic, &file, "--schema", &schema, "--transaction"]);
    }
    (world, topic, group)
}

fn reset(world: &World, group: &str, to: &str, topic: &str) {
    world.ok(&["offsets", "reset", group, "--to", to, "--topic", topic, "--yes"]);
}

#[test]
fn lag_counts_messages_and_not_offsets() {
    let (world, topic, group) = world();
    let lag = |to: &str| {
        reset(&world, &group, to, &topic);
        let said = world.ok(&["lag", &group, "--json"]).json();
        (said["lag"].as_u64().expect("lag"), said["exact"].as_bool().expect("exact"))
    };
    // 30 records and 3 markers: offsets 10, 21 and 32.
    assert_eq!(lag("earliest"), (30, true));
    assert_eq!(lag("31"), (1, true), "the last record; the marker behind it is none");
    assert_eq!(lag("32"), (0, true), "an app commits the last record + 1, and has caught up");
    assert_eq!(lag("latest"), (0, true));
    assert_eq!(lag("11"), (20, true));
    reset(&world, &group, "earliest", &topic);
    let said = world.ok(&["lag", &group, "--exact", "5"]);
    assert!(said.out.starts_with("Group group (Empty, 0 members): ≤ 33 behind"), "{said:?}");
    assert_eq!(said.rows()[1], "orders | 0 | 0 | 33 | ≤ 33 |  |  |", "{said:?}");
    let said = world.dude(&["lag", &group, "--max", "29"]);
    assert_eq!((said.code, said.err.trim()), (1, "dude: group is 30 messages behind, over 29"));
    world.ok(&["lag", &group, "--max", "30"]);
    let said = world.dude(&["lag", "dude-nobody"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("has committed nothing"), "{said:?}");
    assert!(world.ok(&["lag"]).rows().contains(&"group | Empty | classic".to_owned()));
}

#[test]
fn an_open_transaction_is_shown_with_its_age() {
    let (mut world, topic, group) = world();
    reset(&world, &group, "earliest", &topic);
    let id = world.name("writer");
    let producer = open_transaction(&world, &id, &topic);
    let said = world.ok(&["lag", &group, "--json"]).json();
    assert_eq!(said["lag"], 30, "what is not committed is not to be handled yet");
    let open = &said["partitions"][0]["open_transactions"][0];
    assert_eq!((&open["id"], &open["age_is_since_last_write"]), (&json!("writer"), &json!(false)));
    assert!(open["age_ms"].as_i64().expect("age") >= 0);
    let said = world.ok(&["lag", &group]);
    assert!(said.rows()[1].contains("writer, open for "), "{said:?}");
    drop(producer);
}

/// Leaves a transaction open that has written a record.
pub(crate) fn open_transaction(
    world: &World,
    id: &str,
    topic: &str,
) -> ThreadedProducer<DefaultProducerContext> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &world.bootstrap)
        .set("transactional.id", id)
        .set("transaction.timeout.ms", "600000")
        .create()
        .expect("producer");
    producer.init_transactions(DEADLINE).expect("init");
    producer.begin_transaction().expect("begin");
    producer.send(BaseRecord::<str, str>::to(topic).payload("open")).expect("send");
    until("the record of the open transaction", DEADLINE, || {
        let ends = reader::log_ends(&world.bootstrap, &[topic]);
        ends.is_ok_and(|ends| ends.values().any(|end| end.stable < end.end))
    })
    .expect("open");
    producer
}

#[test]
fn watching_shows_the_group_again_and_again() {
    let (world, topic, group) = world();
    reset(&world, &group, "earliest", &topic);
    let mut command = world.command(&["lag", &group, "--watch", "1", "--json"]);
    let watcher = Process::spawn("watcher", &world.path("logs"), &mut command).expect("it starts");
    let lines = |p: &Process| p.log().lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    until("two looks", DEADLINE, || lines(&watcher).len() >= 2).expect("watch");
    reset(&world, &group, "21", &topic);
    until("the new lag", DEADLINE, || lines(&watcher).iter().any(|l| l.contains("\"lag\":10,")))
        .expect("watch");
    watcher.signal(nubium_test_kit::process::Signal::INT).expect("signal");
    assert_eq!(watcher.wait(DEADLINE).expect("end").code(), Some(0));
}

#[test]
fn offsets_are_reset_to_where_the_plan_says() {
    let (world, topic, group) = world();
    let plan = |to: &str| {
        let arguments = ["offsets", "reset", &group, "--to", to, "--topic", &topic];
        let said = world.ok(&[&arguments[..], &["--dry-run"]].concat());
        said.rows().remove(1)
    };
    assert_eq!(plan("earliest"), "orders | 0 | nothing | 0 |");
    reset(&world, &group, "12", &topic);
    assert_eq!(plan("earliest"), "orders | 0 | 12 | 0 | -12");
    assert_eq!(plan("latest"), "orders | 0 | 12 | 33 | +21");
    assert_eq!(plan("999"), "orders | 0 | 12 | 33 | +21");
    assert_eq!(plan("-1h"), "orders | 0 | 12 | 0 | -12");
    assert_eq!(plan("2100-01-01"), "orders | 0 | 12 | 33 | +21");
    let said = world.ok(&["offsets", "show", &group]);
    assert_eq!(said.rows()[1], "orders | 0 | 12 |");
    let said = world.dude(&["offsets", "reset", &group, "--to", "5"]);
    assert_eq!(said.code, 1, "nobody to ask: {said:?}");
    let said = world.dude(&["offsets", "reset", "dude-nobody", "--to", "5", "--yes"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("name a topic with --topic"), "{said:?}");
}

#[test]
fn a_group_that_runs_is_not_reset() {
    let (world, topic, group) = world();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.bootstrap)
        .set("group.id", &group)
        .create()
        .expect("consumer");
    consumer.subscribe(&[&topic]).expect("subscribe");
    until("the group's assignment", DEADLINE, || {
        drop(consumer.poll(std::time::Duration::from_millis(50)));
        consumer.assignment().is_ok_and(|assigned| assigned.count() > 0)
    })
    .expect("assignment");
    let arguments = ["offsets", "reset", &group, "--to", "earliest", "--topic", &topic, "--yes"];
    let said = world.dude(&arguments);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("group group is Stable with 1 members"), "{said:?}");
    drop(consumer);
    until("the group to be empty", DEADLINE, || world.dude(&arguments).code == 0).expect("empty");
}
