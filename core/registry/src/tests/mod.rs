//! Tests of the codec without a registry.

mod dynamic;
mod evolution;
mod round_trip;
mod typed;

use super::{Codec, Encode, EncodeError, SchemaId, TopicEncoder};

/// Makes an encoder for a topic, with ids from memory.
fn encoder(codec: &Codec, schema: &str) -> TopicEncoder {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(codec.prepare_topic("out", schema, true)).unwrap()
}

/// Encodes one value with a schema of its own.
fn encode<T: Encode + ?Sized>(schema: &str, value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    encoder(&Codec::in_memory(), schema).encode_value(value, &mut out).map(|()| out)
}

#[test]
fn a_topic_is_prepared_by_registering_or_by_looking_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let codec = Codec::in_memory();
    let error = runtime.block_on(codec.prepare_topic("t", "int", false)).unwrap_err();
    assert!(error.to_string().contains("`t-value`"), "{error}");
    let made = runtime.block_on(codec.prepare_topic("t", "int", true)).unwrap();
    let found = runtime.block_on(codec.prepare_topic("t", "\"int\"", false)).unwrap();
    assert_eq!((made.value_id(), made.key_id()), (found.value_id(), found.key_id()));
    let error = runtime.block_on(codec.prepare_topic("t", "nonsense", true)).unwrap_err();
    assert!(
        error.to_string().starts_with("NU-4005: the value schema of topic `t`: not a valid"),
        "{error}"
    );
    let error = runtime.block_on(codec.ensure(SchemaId(77))).unwrap_err();
    assert!(error.to_string().contains("schema 77"), "{error}");
}
