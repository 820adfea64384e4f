//! `dude replay`.

use std::collections::BTreeMap;

use nubium_test_kit::process::Process;
use nubium_test_kit::reader::{self, Progress, Raw};

use crate::world::{DEADLINE, World, orders};

/// A topic of failures as apps leave them.
fn failures(world: &World, topic: &str, count: u32) {
    let file = world.file("failures.jsonl", orders(0, count));
    let schema = world.file("order.avsc", crate::world::ORDER);
    world.ok(&[
        "produce",
        topic,
        &file,
        "--schema",
        &schema,
        "--key-field",
        "who",
        "--header",
        "kafka_retry_count=3",
        "--header",
        r#"exception={"name": "Timeout", "description": ""}"#,
    ]);
}

type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// What must stay as it is of a record: its guid leads to key and value.
fn content(records: &[Raw]) -> BTreeMap<String, Vec<KeyAndValue>> {
    let mut content: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in records {
        let guid = record.header("guid").expect("guid").to_owned();
        content.entry(guid).or_default().push((record.key.clone(), record.value.clone()));
    }
    content
}

#[test]
fn messages_go_back_with_the_retry_count_reset_and_once_only() {
    let mut world = World::new();
    let (from, to) = (world.topic("failed", 2), world.topic("orders", 2));
    failures(&world, &from, 30);
    let replay = ["replay", &from, "--to", &to];
    let said = world.ok(&[&replay[..], &["--dry-run"]].concat());
    assert!(
        said.out.starts_with("From failed to orders, as group dude-replay.failed.orders:"),
        "{said:?}"
    );
    let said = world.dude(&replay);
    assert_eq!(said.code, 1, "nobody to ask: {said:?}");
    let said = world.ok(&[&replay[..], &["--yes"]].concat());
    assert_eq!(said.err.trim(), "30 messages produced again, 0 did not meet the conditions");
    let said = world.ok(&replay);
    assert!(said.err.starts_with("0 messages"), "all is done, so nothing is asked: {said:?}");
    let (before, after) = (
        reader::read_all(&world.bootstrap, &[&from]).expect("source"),
        reader::read_all(&world.bootstrap, &[&to]).expect("target"),
    );
    assert_eq!(content(&after), content(&before));
    for record in &after {
        assert_eq!(record.header("kafka_retry_count"), Some("0"));
        assert_eq!(record.header("exception"), None);
        assert_eq!(record.header("last_updated_by"), Some("dude"));
    }
    // What fails again is replayed again, and nothing else.
    failures(&world, &from, 5);
    let said = world.ok(&[&replay[..], &["--yes"]].concat());
    assert!(said.err.starts_with("5 messages produced again"), "{said:?}");
}

#[test]
fn conditions_and_headers_choose_what_goes_where() {
    let mut world = World::new();
    let from = world.topic("failed", 1);
    let (one, two) = (world.topic("one", 1), world.topic("two", 1));
    let schema = world.file("order.avsc", crate::world::ORDER);
    for (start, target) in [(0, &one), (10, &two)] {
        let file = world.file("part.jsonl", orders(start, 10));
        let header = format!("original_topic={target}");
        world.ok(&[
            "produce",
            &from,
            &file,
            "--schema",
            &schema,
            "--key-field",
            "who",
            "--header",
            &header,
        ]);
    }
    let said = world.ok(&["replay", &from, "--to", &one, "--where", "value.id>=15", "--yes"]);
    assert_eq!(said.err.trim(), "5 messages produced again, 15 did not meet the conditions");
    world.ok(&["replay", &from, "--to-header", "original_topic", "--yes"]);
    let ids = |topic: &str| {
        let said = world.ok(&["consume", topic]);
        let lines = said.json_lines();
        let mut ids: Vec<_> =
            lines.iter().map(|l| l["value"]["id"].as_i64().expect("id")).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&one), (0..10).chain(15..20).collect::<Vec<_>>());
    assert_eq!(ids(&two), (10..20).collect::<Vec<_>>());
    let said = world.dude(&["replay", &from, "--to-header", "nope", "--yes", "--group", "dude-x"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("failed[0]@0: the message has no header nope"), "{said:?}");
    let said = world.dude(&["replay", &from, "--yes"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert_eq!(world.dude(&["replay", &from, "--to", &from, "--yes"]).code, 2);
}

#[test]
fn a_replay_that_is_killed_goes_on_and_doubles_nothing() {
    let mut world = World::new();
    let (from, to) = (world.topic("failed", 3), world.topic("orders", 3));
    failures(&world, &from, 6_000);
    let replay = ["replay", &from, "--to", &to, "--batch", "50", "--yes"];
    let progress = Progress::of(&world.bootstrap, &to).expect("progress");
    let mut killed = 0;
    for _ in 0..4 {
        let before = progress.now().expect("progress");
        let run = Process::spawn("replay", &world.path("logs"), &mut world.command(&replay));
        let run = run.expect("it starts");
        progress.reach(before + 300, DEADLINE, || Ok(())).expect("it moves");
        killed += i32::from(run.is_running());
        run.kill().expect("kill");
    }
    assert!(killed >= 3, "most of the runs were killed at work, not after it: {killed}");
    // Two at once: the second shuts the first out, and neither doubles anything.
    let first = Process::spawn("first", &world.path("logs"), &mut world.command(&replay));
    let first = first.expect("it starts");
    let said = world.dude(&replay);
    first.wait(DEADLINE).expect("it ends");
    let last = world.ok(&replay);
    assert!(last.err.contains("did not meet the conditions\n"), "{said:?} {last:?}");
    let before = reader::read_all(&world.bootstrap, &[&from]).expect("source");
    let after = reader::read_all(&world.bootstrap, &[&to]).expect("target");
    assert_eq!(before.len(), 6_000);
    assert_eq!(after.len(), 6_000, "each once");
    assert!(content(&after) == content(&before), "and each as it was");
}
