//! Makes the encoders of output topics: finds, looks up or registers their schemas.

use nubium_formats::{Format, TopicSchemas, Version};

use crate::registry::SchemaBody;
use crate::wire::SchemaId;
use crate::{Codec, RegistryError, Schema, SchemaError, Source, TopicEncoder, on_runtime};

impl Codec {
    /// Makes the encoder of an output topic. Its schemas are registered, or only looked up, under
    /// the subjects that the topic's settings say: by default the value's under `{topic}-value`, and
    /// [`STRING_SCHEMA`](crate::STRING_SCHEMA) under `{topic}-key`. Where the settings fix a version,
    /// that is written with; `value_schema` may then be empty, and else must be of the same data.
    ///
    /// # Errors
    /// When the schema is not valid or not of the topic's format, the registry refuses it, it is not
    /// registered although it should be, or the registry gives no usable answer until the start-up
    /// deadline.
    pub async fn prepare_topic(
        &self,
        topic: &str,
        value_schema: &str,
        auto_register: bool,
    ) -> Result<TopicEncoder, RegistryError> {
        let said = self.topic(topic).cloned().unwrap_or_default();
        let (value, schema) = match said.value().own_schema() {
            Some(schema) => (SchemaId::unframed(said.value()), schema),
            None => self.prepare_value(topic, value_schema, &said, auto_register).await?,
        };
        self.with_key(topic, &said, (value, schema), auto_register).await
    }

    /// Makes the encoder of an output topic whose values are written with the schema that
    /// [`Codec::topic_schema`] gives.
    ///
    /// # Errors
    /// As [`Codec::topic_schema`] and [`Codec::prepare_topic`].
    pub async fn prepare_latest(
        &self,
        topic: &str,
        auto_register: bool,
    ) -> Result<TopicEncoder, RegistryError> {
        let said = self.topic(topic).cloned().unwrap_or_default();
        let value = self.topic_schema(topic).await?;
        self.with_key(topic, &said, value, auto_register).await
    }

    async fn with_key(
        &self,
        topic: &str,
        said: &TopicSchemas,
        (value, schema): (SchemaId, &'static Schema),
        auto_register: bool,
    ) -> Result<TopicEncoder, RegistryError> {
        let key = match said.key_format.key_schema() {
            None => SchemaId::unframed(said.key_format),
            Some(text) => {
                let what = format!("the key schema of topic `{topic}`");
                let kind = said.key_format.kind().unwrap_or("AVRO");
                let schema = nubium_formats::parse(kind, text, &[])
                    .map_err(|error| RegistryError::Schema { what, error })?;
                self.subject_id(format!("{topic}-key"), schema, &[], auto_register).await?
            }
        };
        Ok(TopicEncoder::new(topic, (said.key_format, key), value, schema))
    }

    async fn prepare_value(
        &self,
        topic: &str,
        text: &str,
        said: &TopicSchemas,
        auto_register: bool,
    ) -> Result<(SchemaId, &'static Schema), RegistryError> {
        let what = format!("the value schema of topic `{topic}`");
        let bad = |error| RegistryError::Schema { what: what.clone(), error };
        let pinned = said.version.is_some() && text.trim().is_empty();
        let own = match pinned {
            true => None,
            false => {
                let schema = self.own_schema(&what, text, said).await?;
                Some(said.seen(schema).map_err(bad)?)
            }
        };
        if let Some(version) = said.version {
            let found = self.pinned(topic, said, own, version).await?;
            if let Some(own) = own.filter(|own| !is_of_same_data(own, found.1)) {
                let number = found.0;
                let why = format!(
                    "the topic's settings fix schema {number}, and its data is not that of the \
                     program's schema ({} {}); write the program for that one, or fix another",
                    own.kind(),
                    nubium_formats::topic::record_name(own).unwrap_or_default()
                );
                return Err(bad(SchemaError::new(why)));
            }
            return Ok(found);
        }
        let Some(schema) = own else { return Err(bad(SchemaError::new("there is none"))) };
        let subject = said.subjects.subject(topic, Some(schema)).map_err(bad)?;
        let id = self.subject_id(subject, schema, &said.references, auto_register).await?;
        Ok((id, schema))
    }

    /// Parses a program's own schema, which must be of the topic's format.
    async fn own_schema(
        &self,
        what: &str,
        text: &str,
        said: &TopicSchemas,
    ) -> Result<&'static Schema, RegistryError> {
        let looks = nubium_formats::kind_of(text);
        // A text such as {"type": "string"} may be more than what it looks like.
        let kind = said.value_format.and_then(Format::kind).unwrap_or(looks);
        let body = SchemaBody { schema: text, kind, references: &said.references };
        let parsed = match &self.0.source {
            Source::Registry(registry) if !said.references.is_empty() => {
                registry.parse_own(what, body).await
            }
            _ => nubium_formats::parse(kind, text, &[])
                .map_err(|error| RegistryError::Schema { what: what.into(), error }),
        };
        match (parsed, said.value_format) {
            (Err(RegistryError::Schema { .. }), Some(format)) if looks != kind => {
                let why = format!(
                    "the topic's value_format is {}, and the schema looks like one of {looks}",
                    format.name()
                );
                Err(RegistryError::Schema { what: what.into(), error: SchemaError::new(why) })
            }
            (parsed, _) => parsed,
        }
    }

    /// Fetches the schema that the values of a topic have: the fixed one, else the newest of its
    /// subject; of a format without schemas the one that stands for it.
    ///
    /// # Errors
    /// As [`Codec::latest`]; also when the subject is named for a record.
    pub async fn topic_schema(
        &self,
        topic: &str,
    ) -> Result<(SchemaId, &'static Schema), RegistryError> {
        let said = self.topic(topic).cloned().unwrap_or_default();
        if let Some(schema) = said.value().own_schema() {
            return Ok((SchemaId::unframed(said.value()), schema));
        }
        self.pinned(topic, &said, None, said.version.unwrap_or(Version::Latest)).await
    }

    async fn pinned(
        &self,
        topic: &str,
        said: &TopicSchemas,
        own: Option<&'static Schema>,
        version: Version,
    ) -> Result<(SchemaId, &'static Schema), RegistryError> {
        let what = || format!("the value schema of topic `{topic}`");
        let subject = || {
            let named = said.subjects.subject(topic, own);
            named.map_err(|error| RegistryError::Schema { what: what(), error })
        };
        let (id, schema) = match (version, &self.0.source) {
            (Version::Id(id), _) => (SchemaId(id), self.ensure(SchemaId(id)).await?),
            (Version::Latest, _) => self.latest(&subject()?).await?,
            (Version::Number(number), Source::Registry(registry)) => {
                let (client, subject) = (std::sync::Arc::clone(registry), subject()?);
                let request = async move { client.numbered(&subject, &number.to_string()).await };
                on_runtime(registry, request).await?
            }
            (Version::Number(_), Source::Memory(_)) => self.latest(&subject()?).await?,
        };
        let seen = said.seen(schema);
        Ok((id, seen.map_err(|error| RegistryError::Schema { what: what(), error })?))
    }
}

/// Tells whether what is written by one schema is what the other says.
fn is_of_same_data(one: &Schema, other: &Schema) -> bool {
    match (one.form(), other.form()) {
        (None, None) => one.same(one.root(), other, other.root()),
        // Documents are checked by the schema they are written with.
        (Some(one), Some(other)) => one.kind() == other.kind(),
        _ => false,
    }
}
