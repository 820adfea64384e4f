//! Decodes one datum with the schema it was written with.

use std::io::BufRead as _;

use nubium_host::errors::Code;
use serde::de::DeserializeSeed;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};

use super::Schema;
use super::wire::{SchemaId, WireError};

/// Says why bytes could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not in the registry's wire format.
    #[error("{code}: cannot decode: {0}", code = Code::NotWireFormat)]
    Wire(#[from] WireError),
    /// The topic's format is JSON, and the bytes are none.
    #[error("{code}: cannot decode: not JSON: {0}", code = Code::NotOfItsFormat)]
    NotJson(String),
    /// The key is to be text, and its bytes are none.
    #[error("{}: cannot decode: not UTF-8", Code::NotOfItsFormat)]
    NotText,
    /// The schema is not in the cache: call [`Codec::ensure`](super::Codec::ensure) and try again.
    #[error("cannot decode: schema {0} has not been fetched from the registry yet")]
    NotFetched(SchemaId),
    /// The registry has the schema, and it is none that can be decoded with.
    #[error("{}: cannot decode: {reason}", Code::UnusableSchema)]
    Unusable {
        /// The schema that the message names.
        schema: SchemaId,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes do not fit the schema, or the schema does not fit the type asked for.
    #[error("{}: cannot decode with schema {schema}: {reason}", Code::NotOfItsSchema)]
    Invalid {
        /// The schema that the message names.
        schema: SchemaId,
        /// What does not fit.
        reason: String,
    },
    /// There are bytes after the datum, so it was written with another schema than it names.
    #[error(
        "{}: cannot decode with schema {schema}: {count} bytes are left over after the value",
        Code::NotOfItsSchema
    )]
    Trailing {
        /// The schema that the message names.
        schema: SchemaId,
        /// Number of bytes left over.
        count: usize,
    },
}

impl DecodeError {
    /// Returns the schema that has to be fetched before decoding can succeed.
    #[must_use]
    pub fn not_fetched(&self) -> Option<SchemaId> {
        match self {
            Self::NotFetched(id) => Some(*id),
            _ => None,
        }
    }
}

/// Bounds arrays whose items take no bytes (`null`, empty records), so that a few bad bytes cannot
/// ask for a billion items. Other arrays are bounded by the bytes there are.
const MAX_EMPTY_ITEMS: usize = 65_536;

/// Decodes a datum that takes up the whole of `body`.
#[inline]
pub(super) fn decode_body<'a, S: DeserializeSeed<'a>>(
    seed: S,
    id: SchemaId,
    schema: &Schema,
    body: &'a [u8],
) -> Result<S::Value, DecodeError> {
    if schema.is_document() {
        return decode_document(seed, id, body);
    }
    let mut config = DeserializerConfig::new(schema.fast());
    config.max_seq_size = body.len().max(MAX_EMPTY_ITEMS);
    let mut state = DeserializerState::with_config(SliceRead::new(body), config);
    let value = seed
        .deserialize(state.deserializer())
        .map_err(|error| DecodeError::Invalid { schema: id, reason: error.to_string() })?;
    match state.into_reader().fill_buf() {
        Ok(rest) if !rest.is_empty() => {
            Err(DecodeError::Trailing { schema: id, count: rest.len() })
        }
        _ => Ok(value),
    }
}

/// Decodes a datum that is the text of a JSON document.
#[cold]
pub(super) fn decode_document<'a, S: DeserializeSeed<'a>>(
    seed: S,
    id: SchemaId,
    datum: &[u8],
) -> Result<S::Value, DecodeError> {
    let invalid = |reason: String| DecodeError::Invalid { schema: id, reason };
    let text =
        nubium_avro::Reader::new(datum).text().map_err(|error| invalid(error.to_string()))?;
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    seed.deserialize(json).map_err(|error| invalid(error.to_string()))
}
