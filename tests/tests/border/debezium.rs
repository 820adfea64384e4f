//! Changes of a table as Debezium recorded them, through the funnel of `services/funnel/data/debezium`.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use nubium_test_kit::process::Process;
use nubium_test_kit::wire::Reader;
use serde_json::{Value, json};

use crate::matrix::Matrix;
use crate::world::{World, key_of};

const RECORDED: &str = include_str!("../../../services/funnel/data/debezium/customers.tsv");
const PROGRAM: &str = include_str!("../../../services/funnel/data/debezium/customers.vrl");
const SCHEMA: &str = include_str!("../../../services/funnel/data/debezium/customer.avsc");

fn recorded() -> impl Iterator<Item = (&'static str, &'static str)> {
    RECORDED.lines().filter_map(|line| line.split_once('\t'))
}

/// A deletion, made of the last recorded change, without the schema around it.
fn deletion() -> Result<(String, String)> {
    let (key, value) = recorded().last().context("nothing is recorded")?;
    let (key, value): (Value, Value) = (serde_json::from_str(key)?, serde_json::from_str(value)?);
    let mut change = value["payload"].clone();
    change["before"] = change["after"].take();
    change["op"] = json!("d");
    Ok((key["payload"].to_string(), change.to_string()))
}

/// Adds the input to the funnel's settings.
pub(crate) fn add(world: &World, file: &mut String) -> Result<()> {
    // Of this funnel's many outputs it is not the default.
    let program = format!("{PROGRAM}%topic = \"{}-customers\"\n", world.name);
    world.file("customers.vrl", &program)?;
    world.file("customer.avsc", SCHEMA)?;
    let _ = writeln!(file, "  - {{topic: {}-changes, program: customers.vrl}}", world.name);
    Ok(())
}

/// Adds the output.
pub(crate) fn add_output(world: &World, file: &mut String) {
    let _ = writeln!(file, "  - {{topic: {}-customers, schema: customer.avsc}}", world.name);
}

/// Writes the records as they were recorded, then a deletion.
pub(crate) fn write(world: &World) -> Result<()> {
    let topic = format!("{}-changes", world.name);
    for (key, value) in recorded() {
        world.write(&topic, Some(key.as_bytes()), Some(value.as_bytes()))?;
    }
    let (key, value) = deletion()?;
    world.write(&topic, Some(key.as_bytes()), Some(value.as_bytes()))
}

/// Looks at the customers that came of them.
pub(crate) fn check(world: &World, process: &Process, matrix: &mut Matrix) -> Result<()> {
    let app = format!("{}-funnel", world.name);
    world.drained(&app, process, &[format!("{}-changes", world.name)])?;
    let mut found = Vec::new();
    for record in world.read(&format!("{}-customers", world.name))? {
        let (_, mut reader) = Reader::framed(record.value.as_deref().context("no value")?)?;
        let id = reader.long()?;
        let names = [reader.string()?.to_owned(), reader.string()?.to_owned()];
        let email = reader.string()?.to_owned();
        // A boolean is a byte of 0 or 1, as the longs 0 and -1 are.
        let deleted = reader.long()? != 0;
        found.push((key_of(&record)?, id, names.join(" "), email, deleted, reader.long()?));
        reader.end()?;
    }
    let customer = |id: i64, name: &str, email: &str, deleted, at| {
        (id.to_string(), id, name.to_owned(), email.to_owned(), deleted, at)
    };
    let (first, anne) = (1_578_491_535_844, "annek@noanswer.org");
    let expected = [
        customer(1001, "Sally Thomas", "sally.thomas@acme.com", false, first),
        customer(1002, "George Bailey", "gbailey@foobar.com", false, first),
        customer(1003, "Edward Walker", "ed@walker.com", false, first),
        customer(1004, "Anne Kretchmar", anne, false, first),
        customer(1004, "Anne Marie Kretchmar", anne, false, 1_578_491_545_649),
        customer(1004, "Anne Kretchmar", anne, false, 1_699_509_234_478),
        customer(1004, "Anne Kretchmar", anne, true, 1_699_509_234_478),
    ];
    for (number, expected) in expected.into_iter().enumerate() {
        let row = format!("Debezium: change {}", number + 1);
        matrix.equal(&row, "funnel", (found.get(number), Some(&expected)));
    }
    Ok(())
}
