//! Asks for the registry's own verdict on a schema, changing nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::http::{Body, Call};
use super::{Registry, RegistryError, SchemaBody};

/// Says whether the registry would take a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compatibility {
    /// The subject has no schema yet, so that any is taken.
    First,
    /// It keeps the subject's rule.
    Compatible,
    /// It breaks the subject's rule; the registry's own words, as far as it gives any.
    Incompatible(Vec<String>),
}

/// Says whether the registry would take a schema, and by which level it was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether.
    pub compatibility: Compatibility,
    /// The subject's level, or the registry's own; `None` where the registry does not show it.
    pub level: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    is_compatible: bool,
    // Absent or null in registries that give no reasons.
    messages: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Level {
    #[serde(rename = "compatibilityLevel")]
    level: String,
}

impl Registry {
    /// Asks whether a schema could be registered under a subject, by the subject's level: a
    /// transitive one looks at every version.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones; an invalid schema is one of them.
    pub async fn compatible(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Compatibility, RegistryError> {
        self.compatible_as(subject, SchemaBody::of(schema)).await
    }

    /// Does so with a schema of any type, which may refer to others.
    ///
    /// # Errors
    /// As [`Self::compatible`].
    pub async fn compatible_as(
        &self,
        subject: &str,
        schema: SchemaBody<'_>,
    ) -> Result<Compatibility, RegistryError> {
        Ok(self.judge(subject, schema).await?.compatibility)
    }

    /// Does so and says by which level.
    ///
    /// # Errors
    /// As [`Self::compatible`].
    pub async fn judge(
        &self,
        subject: &str,
        schema: SchemaBody<'_>,
    ) -> Result<Judgement, RegistryError> {
        let level = self.level_in_force(subject).await?;
        let compatibility = match level.as_deref().is_some_and(|l| l.ends_with("_TRANSITIVE")) {
            true => self.compatible_with_all(subject, schema).await?,
            // Not all versions: Apicurio then looks at each, whatever the level.
            false => match self.compatible_with(subject, schema, Some("latest")).await {
                Err(RegistryError::Refused { status: 404, .. }) => Compatibility::First,
                verdict => verdict?,
            },
        };
        Ok(Judgement { compatibility, level })
    }

    async fn compatible_with_all(
        &self,
        subject: &str,
        schema: SchemaBody<'_>,
    ) -> Result<Compatibility, RegistryError> {
        match self.compatible_with(subject, schema, None).await {
            // No such subject, or a registry that compares with single versions alone.
            Err(RegistryError::Refused { status: 404 | 405, .. }) => {}
            verdict => return verdict,
        }
        let versions: Option<Vec<i64>> = self.read(subject, "/subjects/{subject}/versions").await?;
        let mut found = Compatibility::First;
        for version in versions.unwrap_or_default() {
            found = self.compatible_with(subject, schema, Some(&version.to_string())).await?;
            if found != Compatibility::Compatible {
                break;
            }
        }
        Ok(found)
    }

    async fn compatible_with(
        &self,
        subject: &str,
        schema: SchemaBody<'_>,
        version: Option<&str>,
    ) -> Result<Compatibility, RegistryError> {
        let path = ["compatibility", "subjects", subject, "versions", version.unwrap_or_default()];
        let (endpoint, segments) = match version {
            None => ("/compatibility/subjects/{subject}/versions", &path[..4]),
            Some(_) => ("/compatibility/subjects/{subject}/versions/{version}", &path[..]),
        };
        let call = Call {
            what: format!("check the schema of subject `{subject}` for compatibility"),
            endpoint,
            segments,
            query: Some("verbose=true"),
            body: Some(Body::Schema(schema)),
        };
        let answer: Answer = self.patiently(&call, self.startup(), || true).await?;
        Ok(match answer.is_compatible {
            true => Compatibility::Compatible,
            false => Compatibility::Incompatible(answer.messages.unwrap_or_default()),
        })
    }

    /// Gives the level that a subject has of its own; `None` where the registry's is its.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones.
    pub async fn level(&self, subject: &str) -> Result<Option<String>, RegistryError> {
        let own: Option<Level> = self.read(subject, "/config/{subject}").await?;
        Ok(own.map(|own| own.level))
    }

    /// Sets the level of a subject.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones.
    pub async fn set_level(&self, subject: &str, level: &str) -> Result<(), RegistryError> {
        let call = Call {
            what: format!("set the compatibility level of subject `{subject}`"),
            endpoint: "/config/{subject}",
            segments: &["config", subject],
            query: None,
            body: Some(Body::Level(level)),
        };
        self.patiently::<serde::de::IgnoredAny>(&call, self.startup(), || true).await.map(drop)
    }

    /// Gives the subject's level, or the registry's own.
    async fn level_in_force(&self, subject: &str) -> Result<Option<String>, RegistryError> {
        let own: Option<Level> = self.read(subject, "/config/{subject}").await?;
        let level = match own {
            None => self.read(subject, "/config").await?,
            own => own,
        };
        Ok(level.map(|level| level.level))
    }

    /// Reads what the registry has of a subject; `None` where it has nothing, or does not show it.
    async fn read<T: DeserializeOwned>(
        &self,
        subject: &str,
        endpoint: &'static str,
    ) -> Result<Option<T>, RegistryError> {
        let segments: Vec<&str> = endpoint
            .split('/')
            .skip(1)
            .map(|part| if part == "{subject}" { subject } else { part })
            .collect();
        let what = format!("read {} of subject `{subject}`", segments[segments.len() - 1]);
        let call = Call { what, endpoint, segments: &segments, query: None, body: None };
        match self.patiently(&call, self.startup(), || true).await {
            Err(RegistryError::Refused { status: 401 | 403 | 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }
}

#[cfg(test)]
mod tests;
