//! Encodes the keys and values of one output topic.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_avro_fast::ser::SerializerConfig;

use super::datum::Datum;
use super::fit::Fitted;
use super::schema::Schema;
use super::value::Value;
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

/// Can be written as a topic's value: every [`Serialize`] type, [`Value`] and [`Dynamic`].
///
/// A `Serialize` type writes what serde gives: missing nullable fields become null, other missing
/// or additional fields are errors. A dynamic value is fitted to the schema: missing fields get
/// their default (or null), numbers are widened where Avro would, a union's branch is chosen by the
/// value's type, and of record branches the first whose fields fit best (or the one named, as in
/// `{"full.Name": {…}}`). Fields that the schema lacks are errors: most are typing errors.
pub trait Encode {
    /// Writes the value.
    ///
    /// # Errors
    /// A text that says what does not fit.
    fn encode(&self, body: Body<'_>) -> Result<(), String>;
}

/// Takes one value and writes it with the topic's schema.
#[derive(Debug)]
pub struct Body<'e> {
    encoder: &'e mut TopicEncoder,
    out: &'e mut Vec<u8>,
}

impl Body<'_> {
    fn write<T: Serialize + ?Sized>(self, value: &T) -> Result<(), String> {
        serde_avro_fast::to_datum(value, self.out, &mut self.encoder.config)
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

impl<T: Serialize + ?Sized> Encode for T {
    fn encode(&self, body: Body<'_>) -> Result<(), String> {
        body.write(self)
    }
}

impl Encode for Value {
    fn encode(&self, body: Body<'_>) -> Result<(), String> {
        Dynamic(self).encode(body)
    }
}

impl Encode for &Value {
    fn encode(&self, body: Body<'_>) -> Result<(), String> {
        Dynamic(*self).encode(body)
    }
}

/// Encodes a dynamic value of another library, such as `&serde_json::Value`, against the schema.
#[derive(Debug, Clone, Copy)]
pub struct Dynamic<D>(pub D);

impl<'a, D: Datum<'a>> Encode for Dynamic<D> {
    fn encode(&self, body: Body<'_>) -> Result<(), String> {
        let tree = body.encoder.schema.tree().map_err(|error| error.to_string())?;
        body.write(&Fitted::new(tree, self.0))
    }
}

/// Encodes the keys and values of one output topic, with the schemas registered for it.
///
/// Its buffers are reused, so a thread has its own; clone it for another thread.
pub struct TopicEncoder {
    topic: Arc<str>,
    key: SchemaId,
    value: SchemaId,
    schema: &'static Schema,
    config: SerializerConfig<'static>,
}

impl TopicEncoder {
    pub(super) fn new(
        topic: &str,
        key: SchemaId,
        value: SchemaId,
        schema: &'static Schema,
    ) -> Self {
        let config = SerializerConfig::new(schema.fast());
        Self { topic: topic.into(), key, value, schema, config }
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
        let body = Body { encoder: &mut *self, out: &mut *out };
        value.encode(body).map_err(|reason| {
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
