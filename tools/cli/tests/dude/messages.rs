//! `dude consume`.

use std::process::Stdio;

use nubium_test_kit::process::{Process, Signal};
use nubium_test_kit::wait::until;
use serde_json::{Value, json};

use crate::world::{DEADLINE, World, orders, sorted};

fn ids(lines: &[Value]) -> Vec<i64> {
    let mut ids: Vec<i64> =
        lines.iter().map(|line| line["value"]["id"].as_i64().expect("id")).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_message_is_shown_with_all_that_it_carries() {
    let mut world = World::new();
    let topic = world.topic("orders", 1);
    let file = world.file("one.jsonl", "{\"id\":1,\"who\":\"ann\",\"total\":2.5}");
    let schema = world.file("order.avsc", crate::world::ORDER);
    world.ok(&[
        "produce",
        &topic,
        &file,
        "--schema",
        &schema,
        "--key-field",
        "who",
        "--header",
        "guid=g-1",
        "--header",
        "source=test",
    ]);
    let mut line = world.ok(&["consume", &topic]).json_lines().remove(0);
    assert!(line["timestamp"].as_i64().expect("timestamp") > 1_700_000_000_000);
    line.as_object_mut().expect("object").remove("timestamp");
    let wanted = json!({"topic": "orders", "partition": 0, "offset": 0, "key": "ann",
        "headers": {"guid": "g-1", "source": "test", "last_updated_by": "dude"},
        "value": {"id": 1, "who": "ann", "total": 2.5, "note": null}});
    assert_eq!(line, wanted);

    let said = world.ok(&["consume", &topic, "--format", "values"]);
    assert_eq!(said.out, "{\"id\":1,\"who\":\"ann\",\"total\":2.5,\"note\":null}\n");
    let said = world.ok(&["consume", &topic, "--format", "table"]);
    assert_eq!(said.rows()[0], "Partition | Offset | Time | Key | Value | Headers");
    assert!(said.rows()[1].starts_with("0 | 0 | 20"), "{said:?}");
    assert!(said.rows()[1].contains(" | ann | {\"id\":1,"), "{said:?}");
}

#[test]
fn reading_begins_where_it_is_told() {
    let mut world = World::new();
    let topic = world.topic("orders", 3);
    world.produce(&topic, &orders(0, 40));
    let read = |arguments: &[&str]| {
        let said = world.ok(&[&["consume", &topic], arguments].concat());
        ids(&said.json_lines())
    };
    let all: Vec<i64> = (0..40).collect();
    assert_eq!(read(&[]), all);
    assert_eq!(read(&["--from", "end"]), [0_i64; 0]);
    assert_eq!(read(&["--from", "-1h"]), all);
    assert_eq!(read(&["--from", "2000-01-01"]), all);
    assert_eq!(read(&["--from", "2100-01-01T00:00:00Z"]), [0_i64; 0]);
    assert_eq!(read(&["--count", "7"]).len(), 7);
    let whole = world.ok(&["consume", &topic]).json_lines();
    let of = |partition: i64, from: i64| {
        let here = whole.iter().filter(|line| line["partition"] == partition);
        let here = here.filter(|line| line["offset"].as_i64().expect("offset") >= from);
        ids(&here.cloned().collect::<Vec<_>>())
    };
    assert_eq!(read(&["--partition", "1"]), of(1, 0));
    assert_eq!(read(&["--partition", "1", "--offset", "1=3"]), of(1, 3));
    let mut several = [of(0, 2), of(2, 4)].concat();
    several.sort_unstable();
    assert_eq!(read(&["--from", "end", "--offset", "0=2", "--offset", "2=4"]), several);
    let said = world.dude(&["consume", &topic, "--partition", "9"]);
    assert_eq!((said.code, said.err.trim()), (2, "dude: there is no partition orders[9]"));
    assert_eq!(world.dude(&["consume", &topic, "--from", "yesterday"]).code, 2);
}

#[test]
fn the_last_messages_are_found_behind_markers_and_conditions() {
    let mut world = World::new();
    let topic = world.topic("orders", 2);
    let schema = world.file("order.avsc", crate::world::ORDER);
    // Each transaction leaves a marker behind its records.
    for id in 0..12 {
        let file = world.file("one.jsonl", orders(id, 1));
        world.ok(&[
            "produce",
            &topic,
            &file,
            "--schema",
            &schema,
            "--key-field",
            "who",
            "--transaction",
        ]);
    }
    let last = |arguments: &[&str]| {
        let said = world.ok(&[&["consume", &topic, "--last"], arguments].concat());
        let lines = said.json_lines();
        lines.iter().map(|line| line["value"]["id"].as_i64().expect("id")).collect::<Vec<_>>()
    };
    assert_eq!(last(&["3"]), [9, 10, 11]);
    assert_eq!(last(&["2", "--where", "value.id<4"]), [2, 3]);
    assert_eq!(last(&["100"]), (0..12).collect::<Vec<_>>());
}

#[test]
fn conditions_choose_messages() {
    let mut world = World::new();
    let topic = world.topic("orders", 2);
    world.produce(&topic, &orders(0, 30));
    let read = |conditions: &[&str]| {
        let flags: Vec<&str> = conditions.iter().flat_map(|c| ["--where", c]).collect();
        ids(&world.ok(&[&["consume", &topic], &flags[..]].concat()).json_lines())
    };
    assert_eq!(read(&["key=w3"]), [3, 10, 17, 24]);
    assert_eq!(read(&["value.total>27"]), [27, 28, 29]);
    assert_eq!(read(&["key=w3", "value.id>=17"]), [17, 24]);
    assert_eq!(read(&["header.guid", "value.id<1"]), [0]);
    assert_eq!(read(&["value.note"]), [0_i64; 0]);
    let said = world.dude(&["consume", &topic, "--where", "id=3"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("is no condition; expected FIELD"), "{said:?}");
}

#[test]
fn what_cannot_be_decoded_is_shown_all_the_same_and_told() {
    let mut world = World::new();
    let topic = world.topic("orders", 1);
    world.produce(&topic, &orders(0, 1));
    let text = world.file("text", "just text\n");
    world.ok(&["produce", &topic, &text, "--values", "text", "--bare"]);
    let broken =
        world.file("broken.jsonl", "{\"key\":null,\"value\":{\"$base64\":\"AAAAAAH/\"}}\n");
    world.ok(&["produce", &topic, &broken, "--values", "text", "--format", "messages", "--bare"]);
    let said = world.dude(&["consume", &topic]);
    assert_eq!(said.code, 1, "{said:?}");
    let lines = said.json_lines();
    assert_eq!(lines.len(), 3, "nothing is left out");
    assert_eq!(lines[1]["value"], json!({"$text": "just text"}));
    assert_eq!(lines[2]["value"], json!({"$base64": "AAAAAAH/"}));
    assert!(lines[2]["error"].as_str().expect("error").contains("schema 1"), "{said:?}");
    assert!(said.err.contains("1 of the messages could not be decoded"), "{said:?}");
    assert!(said.err.contains("orders[0]@2"), "{said:?}");
    let said = world.ok(&["consume", &topic, "--format", "raw", "--offset", "0=1", "--count", "1"]);
    assert_eq!(said.out, "just text\n");
    let said = world.ok(&["consume", &topic, "--encoding", "base64", "--offset", "0=2"]);
    assert_eq!(said.json_lines()[0]["value"], json!({"$base64": "AAAAAAH/"}));
    let said = world.dude(&["consume", &topic, "--encoding", "avro"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("2 of the messages"), "{said:?}");
}

#[test]
fn a_closed_pipe_is_no_error_and_results_alone_go_through_it() {
    let mut world = World::new();
    let topic = world.topic("orders", 1);
    world.produce(&topic, &orders(0, 5_000));
    let mut child = world
        .command(&["consume", &topic])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let said = world.said(&output);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
}

#[test]
fn following_shows_new_messages_until_it_is_told_to_stop() {
    let mut world = World::new();
    let topic = world.topic("orders", 2);
    world.produce(&topic, &orders(0, 3));
    let directory = world.path("logs");
    let mut command = world.command(&["consume", &topic, "--follow", "--format", "values"]);
    let follower = Process::spawn("follower", &directory, &mut command).expect("it starts");
    let seen = |count: usize| move |p: &Process| p.log().lines().count() >= count;
    until("the first messages", DEADLINE, || seen(3)(&follower)).expect("follow");
    world.produce(&topic, &orders(3, 4));
    until("the new messages", DEADLINE, || seen(7)(&follower)).expect("follow");
    follower.signal(Signal::INT).expect("signal");
    let status = follower.wait(DEADLINE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", follower.log());
    assert_eq!(sorted(&follower.log()), sorted(&orders(0, 7)));
}

#[test]
fn a_topic_that_is_not_there_is_named_with_the_nearest_one() {
    let mut world = World::new();
    let topic = world.topic("orders", 1);
    let said = world.dude(&["consume", &topic[..topic.len() - 1]]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("did you mean orders?"), "{said:?}");
    let said = world.dude(&["topics", "list", "--like", &topic[..topic.len() - 1]]);
    assert_eq!(said.rows().len(), 2, "asking did not create it: {said:?}");
}

const EVENT: &str = r#"{"type": "record", "name": "Event", "fields": [
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 22,
        "scale": 2}},
    {"name": "event", "type": [
        {"type": "record", "name": "shop.Created", "fields": [{"name": "by", "type": "string"}]},
        {"type": "record", "name": "shop.Deleted", "fields": [{"name": "by", "type": "string"}]}]},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 0}]}"#;

#[test]
fn a_copy_has_the_bytes_of_what_it_copies() {
    let mut world = World::new();
    let (topic, copy) = (world.topic("events", 1), world.topic("copy", 1));
    let schema = world.file("event.avsc", EVENT);
    let line = |total: &str, branch: &str| {
        format!("{{\"total\":{total},\"event\":{{\"{branch}\":{{\"by\":\"ann\"}}}}}}\n")
    };
    let lines = [
        line("99.50", "shop.Deleted"),
        line("12345678901234567.89", "shop.Created"),
        line("250", "shop.Deleted"),
    ];
    let file = world.file("events.jsonl", lines.concat());
    world.ok(&["produce", &topic, &file, "--schema", &schema, "--key", "k"]);
    let raw = world.file(
        "raw.jsonl",
        "{\"key\":{\"$text\":\"plain-key\"},\"value\":{\"$text\":\"\"}}\n\
         {\"key\":{\"$base64\":\"/w==\"},\"value\":null}\n",
    );
    let plain = ["produce", &topic, &raw, "--values", "text", "--format", "messages", "--bare"];
    world.ok(&plain);

    let copied = world.ok(&["consume", &topic, "--format", "messages"]).out;
    let file = world.file("copy.jsonl", copied);
    world.ok(&["produce", &copy, &file, "--format", "messages", "--schema", &schema]);
    let bytes = |topic: &str| -> Vec<_> {
        let lines = world.ok(&["consume", topic, "--encoding", "base64"]).json_lines();
        lines.iter().map(|line| (line["key"].clone(), line["value"].clone())).collect()
    };
    let of_copy = bytes(&copy);
    assert_eq!(of_copy.len(), 5);
    assert_eq!(of_copy, bytes(&topic));

    let totals = |condition: &str| -> Vec<_> {
        let read = ["consume", &topic, "--where", condition, "--format", "values"];
        let lines = world.ok(&read).json_lines();
        lines.iter().map(|line| line["total"].clone()).collect()
    };
    assert_eq!(totals("value.total>=200"), ["12345678901234567.89", "250.00"]);
    assert_eq!(totals("value.at<2020-01-01").len(), 3);
    let said = world.dude(&["consume", &topic, "--where", "timestamp>=yesterday"]);
    assert!(said.code == 2 && said.err.contains("a time is wanted"), "{said:?}");
}
