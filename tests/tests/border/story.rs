//! The story: everything is written, then every program reads it.

use anyhow::Result;

use crate::cases::{self, FORMATS};
use crate::columns;
use crate::debezium;
use crate::foreign;
use crate::matrix::Matrix;
use crate::senders;
use crate::world::World;

/// Fewer cells would mean that some have got lost.
const LEAST: usize = 590;

#[test]
fn messages_of_every_format_pass_through_every_program_or_are_set_aside() -> Result<()> {
    let world = World::new()?;
    let (values, keys) = (cases::values(&world.ids), cases::keys(&world.ids));
    for case in &values {
        let topic = world.topic("in", case.format);
        world.write(&topic, Some(case.name.as_bytes()), case.bytes.as_deref())?;
    }
    for (number, (format, ..)) in keys.iter().enumerate() {
        let value = number.to_string();
        world.write(
            &world.topic("key", format),
            keys[number].2.as_deref(),
            Some(value.as_bytes()),
        )?;
    }
    for format in FORMATS {
        let value = columns::turned(&world, format);
        world.write(&world.topic("turn", format), Some(b"turned"), Some(&value))?;
    }
    debezium::write(&world)?;
    world.flush()?;
    let turned = ["json_schema", "protobuf"].map(|format| world.topic("turn", format));
    foreign::python("write", &turned.each_ref().map(String::as_str))?;

    let mut matrix = Matrix::default();
    let funnel = columns::start_funnel(&world)?;
    let uploader = columns::start_uploader(&world)?;
    let tables = columns::start_tables(&world)?;
    senders::receiver(&world, &mut matrix)?;
    columns::api(&world, &values, &keys, &mut matrix)?;
    senders::dude(&world, &values, &mut matrix)?;
    columns::tables(&world, &values, &tables, &mut matrix)?;
    columns::funnel(&world, &funnel, &values, &keys, &mut matrix)?;
    debezium::check(&world, &funnel, &mut matrix)?;
    columns::uploader(&world, &uploader, &values, &keys, &mut matrix)?;
    columns::conversions(&world, &mut matrix)?;
    matrix.finish(LEAST);
    Ok(())
}
