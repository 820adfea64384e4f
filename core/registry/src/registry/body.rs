//! A schema as the registry is sent it, and as it answers.

use nubium_formats::{Reference as Text, SubjectReference};
use serde::{Deserialize, Serialize, Serializer};

use super::{Registry, RegistryError};
use crate::{Schema, SchemaError};

/// A schema that is to be registered or looked up.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SchemaBody<'s> {
    /// Its text.
    pub schema: &'s str,
    /// The registry's name of its type.
    #[serde(rename = "schemaType", skip_serializing_if = "is_avro")]
    pub kind: &'s str,
    /// The schemas that it refers to.
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "write_references")]
    pub references: &'s [SubjectReference],
}

/// Old registries know no types: what is Avro is sent without one.
fn is_avro(kind: &&str) -> bool {
    *kind == "AVRO"
}

fn write_references<S: Serializer>(
    references: &&[SubjectReference],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let references = references.iter().map(|one| Reference {
        name: one.name.clone(),
        subject: one.subject.clone(),
        version: one.version,
    });
    serializer.collect_seq(references)
}

impl<'s> SchemaBody<'s> {
    /// Takes a text for the type of schema that it looks like.
    #[must_use]
    pub fn of(schema: &'s str) -> Self {
        Self { schema, kind: nubium_formats::kind_of(schema), references: &[] }
    }
}

#[derive(Deserialize)]
pub(super) struct SchemaAnswer {
    pub(super) schema: String,
    #[serde(rename = "schemaType", default)]
    pub(super) kind: Option<String>,
    // Null in registries that have none of it.
    #[serde(default)]
    pub(super) references: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
pub(super) struct VersionAnswer {
    pub(super) id: u32,
    #[serde(flatten)]
    pub(super) version: SchemaAnswer,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    #[serde(default)]
    name: String,
    subject: String,
    version: u32,
}

impl SchemaAnswer {
    pub(super) fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("AVRO")
    }

    fn references(&self) -> impl Iterator<Item = SubjectReference> {
        self.references.iter().flatten().map(|reference| SubjectReference {
            name: reference.name.clone(),
            subject: reference.subject.clone(),
            version: reference.version,
        })
    }
}

impl Registry {
    /// Parses a schema together with those it refers to, however deep.
    pub(super) async fn parse(
        &self,
        what: &str,
        answer: &SchemaAnswer,
    ) -> Result<&'static Schema, RegistryError> {
        let texts = self.texts(answer.references().collect()).await?;
        let parsed = nubium_formats::parse(answer.kind(), &answer.schema, &texts);
        parsed.map_err(|error| RegistryError::Schema { what: what.into(), error })
    }

    /// Parses a text of one's own that refers to schemas of the registry.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones; the text is no schema of that type.
    pub async fn parse_own(
        &self,
        what: &str,
        body: SchemaBody<'_>,
    ) -> Result<&'static Schema, RegistryError> {
        let texts = self.texts(body.references.to_vec()).await?;
        let bad = |error: SchemaError| RegistryError::Schema { what: what.into(), error };
        let schema = nubium_formats::parse(body.kind, body.schema, &texts).map_err(bad)?;
        schema.check_defaults().map_err(bad)?;
        Ok(schema)
    }

    /// Fetches schemas that are referred to, and those that they refer to.
    async fn texts(&self, mut wanted: Vec<SubjectReference>) -> Result<Vec<Text>, RegistryError> {
        let mut texts = Vec::new();
        let key = |one: &SubjectReference| (one.subject.clone(), one.version);
        let mut seen: Vec<_> = wanted.iter().map(key).collect();
        while let Some(one) = wanted.pop() {
            let found: SchemaAnswer = self.version(&one.subject, &one.version.to_string()).await?;
            for inner in found.references() {
                if !seen.contains(&key(&inner)) {
                    seen.push(key(&inner));
                    wanted.push(inner);
                }
            }
            texts.push(Text { name: one.name, text: found.schema });
        }
        Ok(texts)
    }
}
