//! Writes a record's key and value into the outbox.

use super::outbox::Outbox;
use crate::record::{Key, Value};
use nubium_kafka::message::Message;
use nubium_registry::{Encode, TopicEncoder};
use std::ops::Range;

pub(super) fn append(outbox: &mut Outbox, bytes: &[u8]) -> Range<usize> {
    let written = outbox.write(|arena| -> Result<(), std::convert::Infallible> {
        arena.extend_from_slice(bytes);
        Ok(())
    });
    match written {
        Ok(range) => range,
        Err(never) => match never {},
    }
}

pub(super) fn write_key(
    outbox: &mut Outbox,
    message: &Message,
    key: Key<'_>,
    encoder: &TopicEncoder,
) -> anyhow::Result<Option<Range<usize>>> {
    Ok(match key {
        Key::PassThrough => message.key_bytes().map(|bytes| append(outbox, bytes)),
        Key::Bytes(bytes) => Some(append(outbox, bytes)),
        Key::Text(text) => Some(outbox.write(|arena| -> Result<(), std::convert::Infallible> {
            encoder.encode_key(text, arena);
            Ok(())
        })?),
        Key::Null => None,
    })
}

pub(super) fn write_value<V: Encode + ?Sized>(
    outbox: &mut Outbox,
    message: &Message,
    value: &Value<'_, V>,
    encoder: &mut TopicEncoder,
) -> anyhow::Result<Option<Range<usize>>> {
    Ok(match value {
        Value::PassThrough => message.value_bytes().map(|bytes| append(outbox, bytes)),
        Value::Bytes(bytes) => Some(append(outbox, bytes)),
        Value::Null => None,
        Value::Encode(value) => Some(outbox.write(|arena| encoder.encode_value(*value, arena))?),
        Value::Datum(datum) => {
            Some(outbox.write(|arena| encoder.layout().put_datum(datum, arena))?)
        }
    })
}
