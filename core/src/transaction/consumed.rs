//! A consumed message as the app function sees it.

use crate::error::MessageError;
use nubium_kafka::message::Message;
use nubium_registry::{Codec, DecodeError, Opened, Part, Schema, SchemaId, wire};
use serde::Deserialize;
use std::borrow::Cow;

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

    /// Decodes the value by the schema it was written with, or by its topic's format. Of Avro, `T`
    /// may borrow text (`&'a str`); it may name only some of the fields, and have
    /// `#[serde(default)]` fields that the writer did not know.
    ///
    /// # Errors
    /// The value is null, not in the wire format, or does not fit `T`. Answer such an error from
    /// the app function and the message goes to the failure topic byte for byte, or stops the app
    /// where there is none.
    pub fn value<T: Deserialize<'a>>(self) -> anyhow::Result<T> {
        let (id, schema, datum) = self.opened()?;
        Ok(self.codec.decode_datum(id, schema, datum)?)
    }

    /// Decodes the value as JSON, in the one form that each Avro type has.
    ///
    /// # Errors
    /// The value is null, not in the wire format, or not of its schema.
    pub fn json(self) -> anyhow::Result<serde_json::Value> {
        let (id, schema, datum) = self.opened()?;
        let mut text = Vec::new();
        Opened { id, schema, datum: datum.into() }.put_json(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Splits the value into the id of the schema it was written with and its Avro datum, for a
    /// decoder of one's own. A value of another format is one too: the text of a JSON document, a
    /// string or bytes, with their length before them.
    ///
    /// # Errors
    /// The value is null, not in the wire format, not of its schema, or the registry does not know
    /// the schema.
    pub fn datum(self) -> anyhow::Result<(SchemaId, &'a [u8])> {
        let (id, _, datum) = self.opened()?;
        Ok((id, datum))
    }

    /// Finds the schema the value was written with; the engine has fetched it before the function
    /// is called.
    ///
    /// # Errors
    /// As [`Self::datum`].
    pub fn schema(self) -> anyhow::Result<&'static Schema> {
        Ok(self.opened()?.1)
    }

    /// Opens the value; what is not Avro once, for it is kept with the message.
    fn opened(self) -> anyhow::Result<(SchemaId, &'static Schema, &'a [u8])> {
        let bytes = self.message.value_bytes().ok_or(MessageError::NullValue)?;
        if self.codec.format(self.topic(), Part::Value).kind().is_some() {
            let (id, body) = wire::split(bytes).map_err(DecodeError::from)?;
            let schema = self.codec.cached(id).ok_or_else(|| self.codec.missing(id))?;
            if !schema.is_document() {
                return Ok((id, schema, body));
            }
        }
        self.opened_foreign(bytes)
    }

    #[cold]
    fn opened_foreign(
        self,
        bytes: &'a [u8],
    ) -> anyhow::Result<(SchemaId, &'static Schema, &'a [u8])> {
        let open = || self.codec.open(self.topic(), Part::Value, bytes);
        let datum = self.message.opened_value(|| open().map(|opened| opened.datum.into_owned()))?;
        let (id, schema) = self.codec.schema_of(self.topic(), Part::Value, bytes)?;
        Ok((id, schema, datum))
    }

    /// Says whether the value is null.
    #[must_use]
    pub fn is_tombstone(self) -> bool {
        self.message.value_bytes().is_none()
    }

    /// Reads the key as text; `None` where the key is null. Of an Avro key that is its string; of
    /// other formats see [`Codec::key_text`].
    ///
    /// # Errors
    /// The key is not what the topic's keys are; use [`Self::key_bytes`] then.
    pub fn key(self) -> anyhow::Result<Option<&'a str>> {
        let Some(bytes) = self.message.key_bytes() else { return Ok(None) };
        match self.codec.key_text(self.topic(), bytes)? {
            Cow::Borrowed(text) => Ok(Some(text)),
            Cow::Owned(text) => {
                let kept = self.message.opened_key(|| Ok::<_, DecodeError>(text))?;
                Ok(Some(kept))
            }
        }
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
