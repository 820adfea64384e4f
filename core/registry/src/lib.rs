//! Turns the bytes of keys and values into values and back, with the schemas of a registry.
//!
//! - [`wire`]: the header in front of every key and value.
//! - [`Codec`]: decodes with schemas cached by id, fetches unknown ones, prepares output topics.
//! - [`Opened`]: a key or value of any format, as a schema and a datum of it.
//! - [`TopicEncoder`]: encodes the keys and values of one output topic.
//! - [`Value`], [`Reader`], [`Dynamic`]: data whose schema is not known when the app is compiled.
//! - [`Registry`]: the patient client of the schema registry.
//!
//! Decoding takes no lock: one look into a sorted list of schema ids, then serde_avro_fast. What
//! the registry does wrong never reaches the data: an unknown id is [`DecodeError::NotFetched`],
//! and [`Codec::ensure`] waits for as long as the registry needs.
//!
//! What is Avro's own is `nubium-avro`'s: schemas, values, their JSON form. Limits of types that are
//! known when the app is compiled, from serde_avro_fast 2.1: a decimal of more than 16 bytes or 28
//! digits is bytes to them. Data nested deeper than 64 levels is refused.

mod decode;
mod encoder;
mod flight;
mod memory;
mod open;
mod prepare;
mod registry;
#[cfg(test)]
mod tests;
mod unusable;
pub mod wire;

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use serde::de::{Deserialize, DeserializeSeed};

pub use decode::DecodeError;
pub use encoder::{EncodeError, Layout, TopicEncoder};
pub use nubium_avro::{
    Body, Datum, Dynamic, Encode, Fields, Resolver as Reader, STRING_SCHEMA, Schema, SchemaError,
    Shape, Value,
};
pub use nubium_formats::{
    self as formats, Format, SubjectNames, SubjectReference, TopicSchemas, Topics, Version,
};
pub use open::{Opened, Part};
pub use registry::{
    Backoff, Compatibility, Failure, Health, Judgement, Registry, RegistryConfig, RegistryError,
    RequestCount, SchemaBody, SchemaVersion, Verdict, retriable,
};
pub use wire::{SchemaId, WireError};

/// Decodes and encodes with the schemas of one registry.
///
/// A clone is cheap and shares the cache.
#[derive(Debug, Clone)]
pub struct Codec(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Sorted by id. An app meets a few ids, so a list is searched faster than a map is hashed.
    schemas: ArcSwap<Vec<(SchemaId, &'static Schema)>>,
    flights: flight::Flights,
    unusable: unusable::Unusable,
    topics: OnceLock<Topics>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Registry(Arc<Registry>),
    Memory(memory::MemoryRegistry),
}

impl Inner {
    #[inline]
    fn cached(&self, id: SchemaId) -> Option<&'static Schema> {
        let schemas = self.schemas.load();
        let at = schemas.binary_search_by_key(&id, |(known, _)| *known).ok()?;
        Some(schemas[at].1)
    }

    fn insert(&self, id: SchemaId, schema: &'static Schema) {
        self.schemas.rcu(|schemas| {
            let mut schemas = Vec::clone(schemas);
            if let Err(at) = schemas.binary_search_by_key(&id, |(known, _)| *known) {
                schemas.insert(at, (id, schema));
            }
            schemas
        });
    }
}

impl Codec {
    /// Makes a codec that takes its schemas from a registry.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self::with(Source::Registry(Arc::new(registry)))
    }

    /// Makes a codec that hands out schema ids itself, for tests without a registry.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::with(Source::Memory(memory::MemoryRegistry::default()))
    }

    fn with(source: Source) -> Self {
        let (schemas, flights) = (ArcSwap::default(), flight::Flights::default());
        let unusable = unusable::Unusable::default();
        let topics = OnceLock::new();
        Self(Arc::new(Inner { schemas, flights, unusable, topics, source }))
    }

    /// Returns the registry client, for its health and counters; `None` for a codec in memory.
    #[must_use]
    pub fn registry(&self) -> Option<&Registry> {
        match &self.0.source {
            Source::Registry(registry) => Some(registry),
            Source::Memory(_) => None,
        }
    }

    /// Returns a schema that has been fetched already.
    #[inline]
    #[must_use]
    pub fn cached(&self, id: SchemaId) -> Option<&'static Schema> {
        self.0.cached(id)
    }

    /// Returns a schema, which is fetched if need be, for as long as that takes.
    ///
    /// Any number of callers cause one request. The request runs on the registry's runtime, so this
    /// can be awaited on any executor, polled now and then, or dropped; it goes on while somebody
    /// waits.
    ///
    /// # Errors
    /// Only what does not pass by itself: the id is unknown (also after the grace time for
    /// registries that lag), the login is refused, the schema is not Avro. The next call asks again;
    /// where the registry has the schema and it cannot be used, only after a minute.
    pub async fn ensure(&self, id: SchemaId) -> Result<&'static Schema, RegistryError> {
        if let Some(schema) = self.cached(id) {
            return Ok(schema);
        }
        if let Some(error) = self.0.unusable.fresh(id, Instant::now()) {
            return Err(error);
        }
        match &self.0.source {
            Source::Registry(registry) => flight::fetch(&self.0, registry, id).await,
            Source::Memory(_) => Err(RegistryError::UnknownSchema {
                id,
                waited: std::time::Duration::ZERO,
                message: "no such schema in memory".into(),
            }),
        }
    }

    /// Says why a schema is not in the cache.
    pub fn missing(&self, id: SchemaId) -> DecodeError {
        match self.0.unusable.last(id) {
            Some(error) => DecodeError::Unusable { schema: id, reason: error.to_string() },
            None => DecodeError::NotFetched(id),
        }
    }

    /// Decodes a key or value; `T` may borrow from `bytes`.
    ///
    /// # Errors
    /// [`DecodeError::NotFetched`] asks for [`Codec::ensure`]; the others stay with the message,
    /// [`DecodeError::Unusable`] too, which such a call has found.
    #[inline]
    pub fn decode<'a, T: Deserialize<'a>>(&self, bytes: &'a [u8]) -> Result<T, DecodeError> {
        self.decode_seed(PhantomData, bytes)
    }

    /// Decodes with a serde seed, for instance into the values of another library.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    #[inline]
    pub fn decode_seed<'a, S: DeserializeSeed<'a>>(
        &self,
        seed: S,
        bytes: &'a [u8],
    ) -> Result<S::Value, DecodeError> {
        let (id, body) = wire::split(bytes)?;
        let schema = self.cached(id).ok_or_else(|| self.missing(id))?;
        if schema.is_document() {
            return decode::decode_document(seed, id, &self.open_framed(id, body)?.datum);
        }
        decode::decode_body(seed, id, schema, body)
    }

    /// Decodes a datum that [`Codec::open`] has given; `T` may borrow from it.
    ///
    /// # Errors
    /// The datum is not of the schema, or the schema does not fit `T`.
    #[inline]
    pub fn decode_datum<'a, T: Deserialize<'a>>(
        &self,
        id: SchemaId,
        schema: &'static Schema,
        datum: &'a [u8],
    ) -> Result<T, DecodeError> {
        decode::decode_body(PhantomData, id, schema, datum)
    }

    /// Decodes a key whose schema is a plain string, without serde.
    ///
    /// # Errors
    /// As [`Codec::decode`]; also when the schema is not a string.
    #[inline]
    pub fn decode_key<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, DecodeError> {
        let (id, body) = wire::split(bytes)?;
        let schema = self.cached(id).ok_or_else(|| self.missing(id))?;
        let invalid = |reason: String| DecodeError::Invalid { schema: id, reason };
        if !schema.is_plain_string() {
            return Err(invalid(format!("the key is not a string but {}", schema.text())));
        }
        wire::read_string(body).map_err(|error| invalid(error.to_string()))
    }

    /// Decodes a value of any writer's schema in the form of the reader's.
    ///
    /// # Errors
    /// As [`Codec::decode`]; also when the data cannot be read with the reader's schema.
    pub fn decode_as(&self, reader: &Reader, bytes: &[u8]) -> Result<Value, DecodeError> {
        let (id, body) = wire::split(bytes)?;
        let opened = self.open_framed(id, body)?;
        let read = reader.read(opened.schema, &opened.datum);
        read.map_err(|error| DecodeError::Invalid { schema: id, reason: error.to_string() })
    }

    /// Appends a key or value as JSON, in the form of [`nubium_avro::json`].
    ///
    /// # Errors
    /// As [`Codec::decode`]; what was appended is then of no use.
    pub fn decode_json(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let (id, body) = wire::split(bytes)?;
        self.open_framed(id, body)?.put_json(out)
    }

    /// Registers a schema under a subject, or finds it there.
    ///
    /// # Errors
    /// As [`Codec::prepare_topic`].
    pub async fn register(
        &self,
        subject: &str,
        schema: &'static Schema,
    ) -> Result<SchemaId, RegistryError> {
        self.subject_id(subject.into(), schema, &[], true).await
    }

    async fn subject_id(
        &self,
        subject: String,
        schema: &'static Schema,
        references: &[SubjectReference],
        register: bool,
    ) -> Result<SchemaId, RegistryError> {
        let id = match &self.0.source {
            Source::Registry(registry) => {
                let (client, references) = (Arc::clone(registry), references.to_vec());
                let request = async move {
                    let (text, kind) = (schema.text(), schema.kind());
                    let body = SchemaBody { schema: text, kind, references: &references };
                    match register {
                        true => client.register_as(&subject, body).await,
                        false => client.lookup_as(&subject, body).await,
                    }
                };
                on_runtime(registry, request).await?
            }
            Source::Memory(memory) if register => memory.register(&subject, schema),
            Source::Memory(memory) => memory.lookup(&subject, schema)?,
        };
        if matches!(self.0.source, Source::Memory(_)) {
            self.0.insert(id, schema);
        }
        Ok(id)
    }

    /// Fetches the newest schema of a subject.
    ///
    /// # Errors
    /// When there is none, or the registry gives no usable answer until the start-up deadline.
    pub async fn latest(
        &self,
        subject: &str,
    ) -> Result<(SchemaId, &'static Schema), RegistryError> {
        match &self.0.source {
            Source::Registry(registry) => {
                let (client, subject) = (Arc::clone(registry), subject.to_owned());
                on_runtime(registry, async move { client.latest(&subject).await }).await
            }
            Source::Memory(memory) => memory.latest(subject),
        }
    }
}

/// Runs a request on the registry's runtime: pooled connections belong to the runtime that opened
/// them, so a request made on another one that has ended since would hang.
async fn on_runtime<T: Send + 'static>(
    registry: &Registry,
    request: impl Future<Output = Result<T, RegistryError>> + Send + 'static,
) -> Result<T, RegistryError> {
    registry.runtime().spawn(request).await.unwrap_or(Err(RegistryError::Stopped))
}
