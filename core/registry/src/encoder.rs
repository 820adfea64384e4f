//! Encodes the keys and values of one output topic.

use std::fmt;
use std::sync::Arc;

use nubium_avro::{Body, Encode, Reader, Schema, Typed};
use nubium_formats::Format;
use nubium_host::errors::Code;

use super::wire::{self, SchemaId};

/// Says why a value does not fit the schema of its topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: cannot encode the value for topic `{topic}` with schema {schema}: {reason}",
    Code::CannotEncode
)]
pub struct EncodeError {
    /// The output topic.
    pub topic: Arc<str>,
    /// The schema of the topic's values.
    pub schema: SchemaId,
    /// What does not fit; for dynamic values with the path of the field.
    pub reason: String,
}

/// Says how the keys and values of one output topic lie in their bytes. Needs no buffers, so threads
/// may share it.
#[derive(Debug, Clone)]
pub struct Layout {
    topic: Arc<str>,
    key: (Format, SchemaId),
    value: SchemaId,
    schema: &'static Schema,
}

/// Encodes the keys and values of one output topic, with the schemas registered for it.
///
/// Its buffers are reused, so a thread has its own; clone it for another thread.
pub struct TopicEncoder {
    layout: Layout,
    typed: Typed,
    /// Where a datum is written that is not yet the bytes of its format.
    scratch: Vec<u8>,
}

impl TopicEncoder {
    pub(super) fn new(
        topic: &str,
        key: (Format, SchemaId),
        value: SchemaId,
        schema: &'static Schema,
    ) -> Self {
        let layout = Layout { topic: topic.into(), key, value, schema };
        Self { typed: Typed::new(schema), layout, scratch: Vec::new() }
    }

    /// Returns how keys and values lie in their bytes.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the output topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.layout.topic
    }

    /// Returns the schema of the topic's values.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.layout.schema
    }

    /// Returns the schema id of the topic's values.
    #[must_use]
    pub fn value_id(&self) -> SchemaId {
        self.layout.value
    }

    /// Returns the schema id of the topic's keys.
    #[must_use]
    pub fn key_id(&self) -> SchemaId {
        self.layout.key.1
    }

    /// Appends a value in the format of the topic.
    ///
    /// Allocates nothing once `out` has grown to its working size.
    ///
    /// # Errors
    /// When the value does not fit the schema; `out` is then as it was before.
    pub fn encode_value<T: Encode + ?Sized>(
        &mut self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.layout.is_avro() {
            return self.encode_foreign(value, out);
        }
        let start = out.len();
        wire::put_header(self.layout.value, out);
        value.encode(Body::new(&mut self.typed, out)).map_err(|reason| {
            out.truncate(start);
            self.layout.error(reason)
        })
    }

    #[cold]
    fn encode_foreign<T: Encode + ?Sized>(
        &mut self,
        value: &T,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut datum = std::mem::take(&mut self.scratch);
        datum.clear();
        let encoded = value.encode(Body::new(&mut self.typed, &mut datum));
        let put = encoded.map_err(|reason| self.layout.error(reason));
        let put = put.and_then(|()| self.layout.put_datum(&datum, out));
        self.scratch = datum;
        put
    }

    /// Appends a key in the format of the topic's keys.
    pub fn encode_key(&self, key: &str, out: &mut Vec<u8>) {
        self.layout.put_key(key, out);
    }
}

impl Layout {
    fn is_avro(&self) -> bool {
        !self.schema.is_document() && !self.value.is_unframed()
    }

    /// Returns the schema of the values.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Appends a datum of the topic's schema, in the format of the topic.
    ///
    /// # Errors
    /// When it is not of the schema; `out` is then as it was before.
    pub fn put_datum(&self, datum: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        if !self.value.is_unframed() {
            wire::put_header(self.value, out);
        }
        if self.is_avro() {
            out.extend_from_slice(datum);
            return Ok(());
        }
        // Text, bytes and documents have their length before them.
        let inner = Reader::new(datum).bytes().map_err(|error| self.error(error.to_string()))?;
        match self.schema.form() {
            None => out.extend_from_slice(inner),
            Some(form) => form.write(inner, out).map_err(|reason| {
                out.truncate(start);
                self.error(reason)
            })?,
        }
        Ok(())
    }

    fn error(&self, reason: String) -> EncodeError {
        EncodeError { topic: Arc::clone(&self.topic), schema: self.value, reason }
    }

    /// Appends a key in the format of the topic's keys.
    pub fn put_key(&self, key: &str, out: &mut Vec<u8>) {
        let (format, id) = self.key;
        if !id.is_unframed() {
            wire::put_header(id, out);
        }
        match format {
            Format::Avro => wire::put_string(key, out),
            Format::Text | Format::Bytes => out.extend_from_slice(key.as_bytes()),
            Format::Json | Format::JsonSchema => nubium_avro::json::put_text(key, out),
            Format::Protobuf => nubium_formats::put_key(key, out),
        }
    }
}

impl Clone for TopicEncoder {
    fn clone(&self) -> Self {
        let Layout { topic, key, value, schema } = &self.layout;
        Self::new(topic, *key, *value, schema)
    }
}

impl fmt::Debug for TopicEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicEncoder").field("layout", &self.layout).finish_non_exhaustive()
    }
}
