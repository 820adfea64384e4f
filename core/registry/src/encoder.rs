//! Encodes the keys and values of one output topic.

use std::fmt;
use std::sync::Arc;

use nubium_avro::{Body, Encode, Schema, Typed};

use super::wire::{self, SchemaId};

/// Says why a value does not fit the schema of its topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode the value for topic `{topic}` with schema {schema}: {reason}")]
pub struct EncodeError {
    /// The output topic.
    pub topic: Arc<str>,
    /// The schema of the topic's values.
    pub schema: SchemaId,
    /// What does not fit; for dynamic values with the path of the field.
    pub reason: String,
}

/// Encodes the keys and values of one output topic, with the schemas registered for it.
///
/// Its buffers are reused, so a thread has its own; clone it for another thread.
pub struct TopicEncoder {
    topic: Arc<str>,
    key: SchemaId,
    value: SchemaId,
    schema: &'static Schema,
    typed: Typed,
}

impl TopicEncoder {
    pub(super) fn new(
        topic: &str,
        key: SchemaId,
        value: SchemaId,
        schema: &'static Schema,
    ) -> Self {
        Self { topic: topic.into(), key, value, schema, typed: Typed::new(schema) }
    }

    /// Returns the output topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the schema of the topic's values.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Returns the schema id of the topic's values.
    #[must_use]
    pub fn value_id(&self) -> SchemaId {
        self.value
    }

    /// Returns the schema id of the topic's keys.
    #[must_use]
    pub fn key_id(&self) -> SchemaId {
        self.key
    }

    /// Appends a value in the wire format.
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
        let start = out.len();
        wire::put_header(self.value, out);
        value.encode(Body::new(&mut self.typed, out)).map_err(|reason| {
            out.truncate(start);
            EncodeError { topic: Arc::clone(&self.topic), schema: self.value, reason }
        })
    }

    /// Appends a key in the wire format.
    pub fn encode_key(&self, key: &str, out: &mut Vec<u8>) {
        wire::put_header(self.key, out);
        wire::put_string(key, out);
    }
}

impl Clone for TopicEncoder {
    fn clone(&self) -> Self {
        Self::new(&self.topic, self.key, self.value, self.schema)
    }
}

impl fmt::Debug for TopicEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicEncoder")
            .field("topic", &self.topic)
            .field("key", &self.key)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
