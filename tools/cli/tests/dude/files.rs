//! `dude produce`.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::world::{ORDER, World, orders, sorted};

/// A world with a topic whose schema is registered.
fn world() -> (World, String, String) {
    let mut world = World::new();
    let topic = world.topic("orders", 2);
    let schema = world.file("order.avsc", ORDER);
    (world, topic, schema)
}

#[test]
fn lines_come_back_as_they_were() {
    let (world, topic, schema) = world();
    let file = world.file("orders.jsonl", orders(0, 100));
    let said = world.ok(&["produce", &topic, &file, "--schema", &schema, "--key-field", "who"]);
    assert_eq!((said.out.as_str(), said.err.trim()), ("", "100 records delivered to orders"));
    // Now the topic has a schema, and standard input is a file too.
    let mut child = world
        .command(&["produce", &topic, "--key-field", "who"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("input").write_all(orders(100, 50).as_bytes()).expect("lines");
    assert!(child.wait().expect("it ends").success());
    let said = world.ok(&["consume", &topic, "--format", "values"]);
    assert_eq!(sorted(&said.out), sorted(&orders(0, 150)));
}

#[test]
fn whole_messages_are_copied_with_key_headers_and_time() {
    let (mut world, topic, _) = world();
    let copy = world.topic("copy", 2);
    world.produce(&topic, &orders(0, 20));
    let saved = world.path("saved.jsonl").display().to_string();
    let said = world.ok(&["consume", &topic, "-o", &saved]);
    assert_eq!(said.err.trim(), "20 messages written to DIR/saved.jsonl");
    let schema = world.path("order.avsc").display().to_string();
    world.ok(&["produce", &copy, &saved, "--format", "messages", "--schema", &schema]);
    let strip = |text: &str| {
        let mut lines: Vec<_> = text
            .lines()
            .map(|line| {
                let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                let map = line.as_object_mut().expect("object");
                map.remove("topic");
                map.remove("offset");
                line.to_string()
            })
            .collect();
        lines.sort();
        lines
    };
    let copied = world.ok(&["consume", &copy]).out;
    assert_eq!(strip(&copied), strip(&world.read("saved.jsonl")));
}

#[test]
fn csv_is_read_by_the_types_of_the_schema() {
    let (world, topic, schema) = world();
    let csv = "who,id,total,note\nann,1,2.5,\n\"b,c\",2,3,\"two\nlines\"\n";
    let file = world.file("orders.csv", csv);
    world.ok(&["produce", &topic, &file, "--schema", &schema, "--key-field", "who"]);
    let said = world.ok(&["consume", &topic, "--format", "values"]);
    let wanted = "{\"id\":1,\"who\":\"ann\",\"total\":2.5,\"note\":null}\n\
        {\"id\":2,\"who\":\"b,c\",\"total\":3.0,\"note\":\"two\\nlines\"}\n";
    assert_eq!(sorted(&said.out), sorted(wanted));
    let file = world.file("bad.csv", "who,id,price\na,1,2\n");
    let said = world.dude(&["produce", &topic, &file]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("line 1: column \"price\" is no field of the schema"), "{said:?}");
}

#[test]
fn an_avro_file_brings_its_schema() {
    let (world, topic, _) = world();
    let schema: serde_avro_fast::Schema = ORDER.parse().expect("schema");
    let mut config = serde_avro_fast::ser::SerializerConfig::new(&schema);
    let mut writer =
        serde_avro_fast::object_container_file_encoding::WriterBuilder::new(&mut config)
            .build(Vec::new())
            .expect("writer");
    for id in 0..30 {
        let order = json!({"id": id, "who": format!("w{}", id % 7), "total": 0.5, "note": null});
        writer.serialize(&order).expect("datum");
    }
    let file = world.file("orders.avro", writer.into_inner().expect("file"));
    world.ok(&["produce", &topic, &file, "--key-field", "who"]);
    let lines = world.ok(&["consume", &topic]).json_lines();
    assert_eq!(lines.len(), 30);
    assert!(lines.iter().all(|line| line["key"] == line["value"]["who"]));
    let cut = world.file("cut.avro", &std::fs::read(&file).expect("file")[..300]);
    let said = world.dude(&["produce", &topic, &cut]);
    assert_eq!(said.code, 6, "{said:?}");
    assert!(said.err.contains("cut.avro: record "), "{said:?}");
}

#[test]
fn a_wrong_line_is_named_and_the_lines_around_it_arrive() {
    let (world, topic, schema) = world();
    let good = orders(0, 4);
    let mut lines: Vec<&str> = good.lines().collect();
    lines.insert(2, "{\"id\":\"x\",\"who\":\"a\",\"total\":1}");
    lines.push("not json");
    let file = world.file("orders.jsonl", lines.join("\n"));
    let produce = ["produce", &topic, &file, "--schema", &schema];
    let said = world.dude(&produce);
    assert_eq!(said.code, 1);
    let why = "DIR/orders.jsonl, line 3: at `id`: long is wanted, not text \"x\"";
    assert!(said.err.contains(why) && said.err.contains("--from-line 3"), "{said:?}");
    let values = |world: &World| world.ok(&["consume", &topic, "--format", "values"]).out;
    assert_eq!(sorted(&values(&world)), sorted(&orders(0, 2)), "the lines before it");
    // On from the next one, with what is wrong set aside.
    let rejects = world.path("rejects").display().to_string();
    let said = world.dude(&[&produce[..], &["--from-line", "3", "--rejects", &rejects]].concat());
    assert_eq!(said.code, 1);
    assert!(said.err.contains(why) && said.err.contains("line 6: not JSON"), "{said:?}");
    assert!(
        said.err.contains("2 records delivered") && said.err.contains("2 wrong lines"),
        "{said:?}"
    );
    assert_eq!(sorted(&values(&world)), sorted(&orders(0, 4)), "and those behind");
    assert_eq!(world.read("rejects"), "{\"id\":\"x\",\"who\":\"a\",\"total\":1}\nnot json\n");
}

#[test]
fn a_transaction_is_all_or_nothing() {
    let (world, topic, schema) = world();
    let file = world.file("bad.jsonl", orders(0, 50) + "nope\n");
    let produce = ["produce", &topic, "--schema", &schema, "--transaction"];
    let said = world.dude(&[&produce[..], &[&file]].concat());
    assert_eq!(said.code, 1);
    assert!(said.err.contains("line 51: not JSON"), "{said:?}");
    assert!(said.err.contains("nothing was produced: the transaction was aborted"), "{said:?}");
    assert_eq!(world.ok(&["consume", &topic]).out, "");
    let file = world.file("good.jsonl", orders(0, 50));
    let said = world.ok(&[&produce[..], &[&file]].concat());
    assert_eq!(said.err.trim(), "50 records committed to orders in one transaction");
    let said = world.ok(&["consume", &topic, "--format", "values"]);
    assert_eq!(sorted(&said.out), sorted(&orders(0, 50)));
    let all = world.dude(&["consume", &topic, "--uncommitted"]).out.lines().count();
    assert!(all >= 50);
}

#[test]
fn a_topic_without_schema_asks_for_one_and_takes_text_when_told() {
    let (world, topic, _) = world();
    let file = world.file("notes.txt", "one\ntwo\n");
    let said = world.dude(&["produce", &topic, &file]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("--schema FILE") && said.err.contains("--values text"), "{said:?}");
    world.ok(&["produce", &topic, &file, "--values", "text", "--key", "k", "--partition", "1"]);
    let lines = world.ok(&["consume", &topic]).json_lines();
    let seen: Vec<_> = lines
        .iter()
        .map(|l| (l["partition"].clone(), l["key"].clone(), l["value"].clone()))
        .collect();
    let text = |text: &str| json!({"$text": text});
    let line = |value: &str| (json!(1), text("k"), text(value));
    assert_eq!(seen, [line("one"), line("two")], "text that is no Avro says so");
    let said = world.dude(&["produce", &topic, "no-such-file", "--values", "text"]);
    assert_eq!(said.code, 6);
    assert!(said.err.contains("no-such-file"), "{said:?}");
    let said = world.dude(&["produce", "dude-not-there", &file, "--values", "text"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("there is no topic dude-not-there"), "{said:?}");
}
