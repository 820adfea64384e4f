//! Asks for the registry's own verdict on a schema, changing nothing.

use serde::Deserialize;

use super::http::{Call, SchemaBody};
use super::{Registry, RegistryError};

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

#[derive(Deserialize)]
struct Answer {
    is_compatible: bool,
    // Absent or null in registries that give no reasons.
    messages: Option<Vec<String>>,
}

impl Registry {
    /// Asks whether a schema could be registered under a subject.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones; an invalid schema is one of them.
    pub async fn compatible(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Compatibility, RegistryError> {
        let call = Call {
            what: format!("check the schema of subject `{subject}` for compatibility"),
            endpoint: "/compatibility/subjects/{subject}/versions/latest",
            segments: &["compatibility", "subjects", subject, "versions", "latest"],
            query: Some("verbose=true"),
            body: Some(&SchemaBody { schema }),
        };
        match self.patiently::<Answer>(&call, self.startup(), || true).await {
            Err(RegistryError::Refused { status: 404, .. }) => Ok(Compatibility::First),
            Err(error) => Err(error),
            Ok(Answer { is_compatible: true, .. }) => Ok(Compatibility::Compatible),
            Ok(answer) => Ok(Compatibility::Incompatible(answer.messages.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use nubium_local::Registry as Local;
    use tokio::runtime::Handle;

    use super::{Compatibility, Registry};
    use crate::codec::RegistryConfig;

    const V1: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    const V2: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
        {"name":"b","type":"string","default":"none"}]}"#;
    const BAD: &str = r#"{"type":"record","name":"R","fields":[{"name":"c","type":"int"}]}"#;

    #[tokio::test]
    async fn the_verdict_is_the_registrys_and_nothing_is_registered() {
        let local = Local::start().unwrap();
        let config = RegistryConfig::new(&format!("http://{}", local.address()));
        let registry = Registry::new(config, Handle::current()).unwrap();
        assert!(!registry.has_subject("t-value").await.unwrap());
        local.register("t-value", V1).unwrap();
        for (schema, fits) in [(V1, true), (V2, true), (BAD, false)] {
            let verdict = registry.compatible("t-value", schema).await.unwrap();
            assert_eq!(verdict == Compatibility::Compatible, fits, "{schema}: {verdict:?}");
            assert_eq!(matches!(verdict, Compatibility::Incompatible(_)), !fits, "{verdict:?}");
        }
        // Without a subject some registries say that it fits, others that there is none.
        let verdict = registry.compatible("new-value", BAD).await.unwrap();
        assert!(!matches!(verdict, Compatibility::Incompatible(_)), "{verdict:?}");
        assert!(registry.has_subject("t-value").await.unwrap());
        assert!(!registry.has_subject("new-value").await.unwrap());
        assert!(registry.compatible("t-value", "{").await.is_err());
    }
}
