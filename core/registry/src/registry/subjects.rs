//! What the registry has, as text: subjects, their versions, schemas.

use serde::{Deserialize, Serialize};

use super::body::SchemaAnswer;
use super::http::Call;
use super::{Registry, RegistryError};
use crate::wire::SchemaId;

/// Holds one version of a subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchemaVersion {
    /// The subject; empty where a schema was asked for by its id.
    #[serde(default)]
    pub subject: String,
    /// Its number in the subject; 0 where a schema was asked for by its id.
    #[serde(default)]
    pub version: u32,
    /// Its number in the registry, which messages carry.
    pub id: u32,
    /// The registry's name of its type; null is Avro.
    #[serde(rename = "schemaType", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The schema as text.
    pub schema: String,
}

impl Registry {
    /// Lists the subjects in order. A registry may cut a long list short (Apicurio's ends at 1,000).
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones.
    pub async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        let call = Call::subjects();
        let mut subjects: Vec<String> = self.patiently(&call, self.startup(), || true).await?;
        subjects.sort();
        Ok(subjects)
    }

    /// Lists the versions of a subject; none where there is no such subject.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        let call = Call {
            what: format!("list the versions of subject `{subject}`"),
            endpoint: "/subjects/{subject}/versions",
            segments: &["subjects", subject, "versions"],
            query: None,
            body: None,
        };
        match self.patiently(&call, self.startup(), || true).await {
            Err(RegistryError::Refused { status: 404, .. }) => Ok(Vec::new()),
            answer => answer,
        }
    }

    /// Fetches a version as text, by its number or as `latest`; none where there is no such.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones.
    pub async fn text(
        &self,
        subject: &str,
        version: &str,
    ) -> Result<Option<SchemaVersion>, RegistryError> {
        match self.version(subject, version).await {
            Err(RegistryError::Refused { status: 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Fetches a schema as text, by its number in the registry.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones; there is no such schema.
    pub async fn text_of(&self, id: SchemaId) -> Result<SchemaVersion, RegistryError> {
        let answer: SchemaAnswer = self.by_id(id, self.startup(), || true).await?;
        let SchemaAnswer { schema, kind, .. } = answer;
        Ok(SchemaVersion { subject: String::new(), version: 0, id: id.0, kind, schema })
    }
}
