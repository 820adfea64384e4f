//! Opens keys and values of any format: to a schema and a datum of it.
//!
//! What is framed by a registry's client names its schema, so it is read by that, whatever the
//! settings say; only what has no framing is taken for what the settings of its topic say.

use std::borrow::Cow;

use nubium_avro::put_bytes;
use nubium_formats::{Format, TopicSchemas, Topics};

use crate::wire::{self, SchemaId};
use crate::{Codec, DecodeError, Schema};

/// A key or value with the schema it was written with.
#[derive(Debug)]
pub struct Opened<'a> {
    /// The schema's id; of a format without schemas one that no registry gives.
    pub id: SchemaId,
    /// The schema.
    pub schema: &'static Schema,
    /// The datum, as Avro lays it out: of other formats the text of a JSON document, with its
    /// length before it.
    pub datum: Cow<'a, [u8]>,
}

/// Says which of a message's two parts is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Opened<'_> {
    /// Appends it as JSON, in the form of [`nubium_avro::json`].
    ///
    /// # Errors
    /// The datum is not of the schema; what was appended is then of no use.
    pub fn put_json(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let mut reader = nubium_avro::Reader::new(&self.datum);
        let put = nubium_avro::json::put(self.schema, self.schema.root(), &mut reader, out);
        put.and_then(|()| reader.finish())
            .map_err(|error| DecodeError::Invalid { schema: self.id, reason: error.to_string() })
    }
}

impl Codec {
    /// Says what the keys and values of topics are, once; what comes later is ignored.
    pub fn set_topics(&self, topics: Topics) {
        let _ = self.0.topics.set(topics);
    }

    /// Gives what was said of a topic; `None`: nothing.
    #[inline]
    #[must_use]
    pub fn topic(&self, topic: &str) -> Option<&TopicSchemas> {
        let topics = self.0.topics.get().filter(|topics| !topics.is_empty())?;
        topics.get(topic)
    }

    /// Gives the format of a topic's keys or values.
    #[inline]
    #[must_use]
    pub fn format(&self, topic: &str, part: Part) -> Format {
        match (self.topic(topic), part) {
            (None, _) => Format::Avro,
            (Some(said), Part::Key) => said.key_format,
            (Some(said), Part::Value) => said.value(),
        }
    }

    /// Tells whether the keys of two topics are of one format, so that they pass as they are.
    #[inline]
    #[must_use]
    pub fn same_keys(&self, one: &str, other: &str) -> bool {
        self.0.topics.get().is_none_or(Topics::is_empty)
            || self.format(one, Part::Key) == self.format(other, Part::Key)
    }

    /// Gives the id of the schema that bytes name, where their format has any.
    #[inline]
    #[must_use]
    pub fn named(&self, topic: &str, part: Part, bytes: &[u8]) -> Option<SchemaId> {
        self.format(topic, part).kind()?;
        wire::split(bytes).ok().map(|(id, _)| id)
    }

    /// Gives the ids of the schemas that decoding a message needs: the value's, and the key's where
    /// that is not the string that keys are by default.
    pub fn needed(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> impl Iterator<Item = SchemaId> {
        let value = value.and_then(|bytes| self.named(topic, Part::Value, bytes));
        let framed = matches!(self.format(topic, Part::Key), Format::JsonSchema | Format::Protobuf);
        let key = key.filter(|_| framed);
        let key = key.and_then(|bytes| self.named(topic, Part::Key, bytes));
        value.into_iter().chain(key)
    }

    /// Opens a key or value.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    pub fn open<'a>(
        &self,
        topic: &str,
        part: Part,
        bytes: &'a [u8],
    ) -> Result<Opened<'a>, DecodeError> {
        let format = self.format(topic, part);
        if let Some(schema) = format.own_schema() {
            let id = SchemaId::unframed(format);
            if format == Format::Json {
                // Into a value, for what is ignored may have half a surrogate, or any depth.
                serde_json::from_slice::<serde_json::Value>(bytes)
                    .map_err(|error| DecodeError::NotJson(error.to_string()))?;
            }
            return Ok(Opened { id, schema, datum: prefixed(bytes).into() });
        }
        let (id, body) = wire::split(bytes)?;
        self.open_framed(id, body)
    }

    /// Gives the schema that [`Codec::open`] opens bytes with, without opening them.
    ///
    /// # Errors
    /// They name none, or it is not in the cache.
    pub fn schema_of(
        &self,
        topic: &str,
        part: Part,
        bytes: &[u8],
    ) -> Result<(SchemaId, &'static Schema), DecodeError> {
        let format = self.format(topic, part);
        if let Some(schema) = format.own_schema() {
            return Ok((SchemaId::unframed(format), schema));
        }
        let (id, _) = wire::split(bytes)?;
        Ok((id, self.cached(id).ok_or_else(|| self.missing(id))?))
    }

    /// Opens what follows a schema's id.
    pub(crate) fn open_framed<'a>(
        &self,
        id: SchemaId,
        body: &'a [u8],
    ) -> Result<Opened<'a>, DecodeError> {
        let schema = self.cached(id).ok_or_else(|| self.missing(id))?;
        let Some(form) = schema.form() else {
            return Ok(Opened { id, schema, datum: body.into() });
        };
        let text = form.read(body).map_err(|reason| DecodeError::Invalid { schema: id, reason })?;
        Ok(Opened { id, schema, datum: prefixed(&text).into() })
    }

    /// Reads a key as text: a string's, a JSON text's, that of a Protobuf message of one text
    /// field; else the JSON of the whole.
    ///
    /// # Errors
    /// As [`Codec::decode`]; also when it is no UTF-8.
    pub fn key_text<'a>(&self, topic: &str, bytes: &'a [u8]) -> Result<Cow<'a, str>, DecodeError> {
        match self.format(topic, Part::Key) {
            // The schema of an Avro key is a string by convention; looking it up would tell no more.
            Format::Avro => Ok(wire::read_string(wire::split(bytes)?.1)?.into()),
            Format::Text | Format::Bytes => {
                Ok(std::str::from_utf8(bytes).map_err(|_| DecodeError::NotText)?.into())
            }
            Format::Json | Format::JsonSchema | Format::Protobuf => {
                let opened = self.open(topic, Part::Key, bytes)?;
                Ok(text_of(&opened)?.into())
            }
        }
    }
}

fn text_of(opened: &Opened<'_>) -> Result<String, DecodeError> {
    let invalid = |reason: String| DecodeError::Invalid { schema: opened.id, reason };
    let mut line = Vec::new();
    opened.put_json(&mut line)?;
    let json = serde_json::from_slice(&line).map_err(|error| invalid(error.to_string()))?;
    Ok(match json {
        serde_json::Value::String(text) => text,
        serde_json::Value::Object(entries) if opened.schema.kind() == "PROTOBUF" => {
            match entries.iter().next() {
                Some((_, serde_json::Value::String(text))) if entries.len() == 1 => text.clone(),
                _ => String::from_utf8_lossy(&line).into_owned(),
            }
        }
        _ => String::from_utf8_lossy(&line).into_owned(),
    })
}

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let mut datum = Vec::with_capacity(bytes.len() + 5);
    put_bytes(bytes, &mut datum);
    datum
}
