//! A consumed message as the app function sees it.

use crate::error::MessageError;
use nubium_kafka::message::Message;
use nubium_registry::{Codec, DecodeError, Schema, SchemaId, wire};
use serde::Deserialize;

/// A consumed message together with what decodes it. Small and `Copy`; borrows from the unit of
/// work, so decoded values may borrow text from it.
#[derive(Clone, Copy)]
pub struct Consumed<'a> {
    message: &'a Message,
    index: usize,
    codec: &'a Codec,
}

impl<'a> Consumed<'a> {
    pub(crate) fn new(message: &'a Message, index: usize, codec: &'a Codec) -> Self {
        Self { message, index, codec }
    }

    /// Its place in the unit of work, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }

    /// Decodes the Avro value by the schema it was written with. `T` may borrow text (`&'a str`),
    /// name only some of the fields, and have `#[serde(default)]` fields that the writer did not
    /// know.
    ///
    /// # Errors
    /// The value is null, not in the wire format, or does not fit `T`. Answer such an error from
    /// the app function and the message goes to the failure topic byte for byte, or stops the app
    /// where there is none.
    pub fn value<T: Deserialize<'a>>(self) -> anyhow::Result<T> {
        let bytes = self.message.value_bytes().ok_or(MessageError::NullValue)?;
        Ok(self.codec.decode(bytes)?)
    }

    /// Decodes the value as JSON, in the one form that each Avro type has.
    ///
    /// # Errors
    /// The value is null, not in the wire format, or not of its schema.
    pub fn json(self) -> anyhow::Result<serde_json::Value> {
        let bytes = self.message.value_bytes().ok_or(MessageError::NullValue)?;
        let mut text = Vec::new();
        self.codec.decode_json(bytes, &mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Splits the value into the id of the schema it was written with and its Avro datum, for a
    /// decoder of one's own.
    ///
    /// # Errors
    /// The value is null or not in the wire format.
    pub fn datum(self) -> anyhow::Result<(SchemaId, &'a [u8])> {
        let bytes = self.message.value_bytes().ok_or(MessageError::NullValue)?;
        Ok(wire::split(bytes).map_err(DecodeError::from)?)
    }

    /// Finds the schema the value was written with; the engine has fetched it before the function
    /// is called.
    ///
    /// # Errors
    /// As [`Self::datum`], or the registry does not know the schema.
    pub fn schema(self) -> anyhow::Result<&'static Schema> {
        let (id, _) = self.datum()?;
        Ok(self.codec.cached(id).ok_or_else(|| self.codec.missing(id))?)
    }

    /// Says whether the value is null.
    #[must_use]
    pub fn is_tombstone(self) -> bool {
        self.message.value_bytes().is_none()
    }

    /// Reads an Avro `"string"` key as text; `None` where the key is null.
    ///
    /// # Errors
    /// The key is not an Avro string in the wire format; use [`Self::key_bytes`] then.
    pub fn key(self) -> anyhow::Result<Option<&'a str>> {
        let Some(bytes) = self.message.key_bytes() else { return Ok(None) };
        // The schema of a key in the wire format is a string by convention; looking it up would
        // tell no more.
        let (_, body) = wire::split(bytes).map_err(DecodeError::from)?;
        Ok(Some(wire::read_string(body).map_err(DecodeError::from)?))
    }

    /// The key as it is on the wire.
    #[must_use]
    pub fn key_bytes(self) -> Option<&'a [u8]> {
        self.message.key_bytes()
    }

    /// The value as it is on the wire.
    #[must_use]
    pub fn value_bytes(self) -> Option<&'a [u8]> {
        self.message.value_bytes()
    }

    /// Goes through the headers in order.
    pub fn headers(self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        self.message.headers()
    }

    /// Reads the last header of a name as text; `None` where it is absent, null or not UTF-8.
    #[must_use]
    pub fn header(self, name: &str) -> Option<&'a str> {
        let found = self.message.headers().filter(|(n, _)| *n == name).last();
        found.and_then(|(_, value)| value).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The topic.
    #[must_use]
    pub fn topic(self) -> &'static str {
        self.message.topic()
    }

    /// The partition.
    #[must_use]
    pub fn partition(self) -> i32 {
        self.message.partition()
    }

    /// The offset.
    #[must_use]
    pub fn offset(self) -> i64 {
        self.message.offset()
    }

    /// The timestamp in milliseconds since the epoch.
    #[must_use]
    pub fn timestamp(self) -> Option<i64> {
        self.message.timestamp()
    }
}
