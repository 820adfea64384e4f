//! What the bytes of a key or value are.

use nubium_avro::{STRING_SCHEMA, Schema};

use crate::{json_schema, protobuf};

/// Says what the bytes of a topic's keys or values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Format {
    /// Avro in the registry's framing.
    #[default]
    Avro,
    /// A JSON document, without framing.
    Json,
    /// JSON in the registry's framing, of a JSON Schema.
    JsonSchema,
    /// Protobuf in the registry's framing, with the indexes of the message's type.
    Protobuf,
    /// Text in UTF-8.
    Text,
    /// Any bytes.
    Bytes,
}

impl Format {
    /// Lists all of them.
    pub const ALL: [Self; 6] =
        [Self::Avro, Self::Json, Self::JsonSchema, Self::Protobuf, Self::Text, Self::Bytes];

    /// Names it as settings do.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "avro",
            Self::Json => "json",
            Self::JsonSchema => "json_schema",
            Self::Protobuf => "protobuf",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }

    /// Finds one by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Gives the registry's name of its schemas' type; `None` where there are no schemas.
    #[must_use]
    pub fn kind(self) -> Option<&'static str> {
        match self {
            Self::Avro => Some("AVRO"),
            Self::JsonSchema => Some(json_schema::KIND),
            Self::Protobuf => Some(protobuf::KIND),
            Self::Json | Self::Text | Self::Bytes => None,
        }
    }

    /// Gives the schema that stands for values of a format without schemas.
    #[must_use]
    pub fn own_schema(self) -> Option<&'static Schema> {
        // The two texts are Avro.
        match self {
            Self::Json => Some(Schema::any_json()),
            Self::Text => Schema::parse("string").ok(),
            Self::Bytes => Schema::parse("bytes").ok(),
            Self::Avro | Self::JsonSchema | Self::Protobuf => None,
        }
    }

    /// Gives the text of the schema that keys are registered with.
    #[must_use]
    pub fn key_schema(self) -> Option<&'static str> {
        match self {
            Self::Avro => Some(STRING_SCHEMA),
            Self::JsonSchema => Some(json_schema::KEY),
            Self::Protobuf => Some(protobuf::KEY),
            Self::Json | Self::Text | Self::Bytes => None,
        }
    }
}
