//! Many lines, byte for byte.

use std::fmt::Write as _;

use crate::world::{ORDER, World};

/// Lines that go through; the script that measures takes a million.
const LINES: u32 = 200_000;

#[test]
fn many_lines_come_back_byte_for_byte() {
    let mut world = World::new();
    let topic = world.topic("orders", 1);
    let mut lines = String::new();
    for id in 0..LINES {
        let note = match id % 5 {
            0 => "null".to_owned(),
            1 => "\"a \\\"quoted\\\" word\"".to_owned(),
            _ => format!("\"snow ☃ {}\"", "x".repeat(id as usize % 60)),
        };
        writeln!(
            lines,
            "{{\"id\":{id},\"who\":\"w{}\",\"total\":{}.25,\"note\":{note}}}",
            id % 1_000,
            id % 977
        )
        .expect("memory");
    }
    let file = world.file("orders.jsonl", &lines);
    let schema = world.file("order.avsc", ORDER);
    let said = world.ok(&["produce", &topic, &file, "--schema", &schema, "--key-field", "who"]);
    assert!(said.err.contains(&format!("{LINES} records delivered")), "{said:?}");
    let back = world.path("back.jsonl").display().to_string();
    world.ok(&["consume", &topic, "--format", "values", "-o", &back]);
    assert!(world.read("back.jsonl") == lines, "the file differs");
}
