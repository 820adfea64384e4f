//! Asks for the registry's own verdict on a schema, changing nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;

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
        if !self.is_transitive(subject).await? {
            // Not all versions: Apicurio then looks at each, whatever the level.
            return match self.compatible_with(subject, schema, Some("latest")).await {
                Err(RegistryError::Refused { status: 404, .. }) => Ok(Compatibility::First),
                verdict => verdict,
            };
        }
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
        schema: &str,
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
            body: Some(&SchemaBody { schema }),
        };
        let answer: Answer = self.patiently(&call, self.startup(), || true).await?;
        Ok(match answer.is_compatible {
            true => Compatibility::Compatible,
            false => Compatibility::Incompatible(answer.messages.unwrap_or_default()),
        })
    }

    /// Tells whether the subject's level, or the registry's own, is about every version.
    async fn is_transitive(&self, subject: &str) -> Result<bool, RegistryError> {
        let own: Option<Level> = self.read(subject, "/config/{subject}").await?;
        let level = match own {
            None => self.read(subject, "/config").await?,
            own => own,
        };
        Ok(level.is_some_and(|level| level.level.ends_with("_TRANSITIVE")))
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
mod tests {
    use nubium_local::{Answer, Api, Registry as Local};
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

    const A: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    const A_B: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
        {"name":"b","type":"string","default":"x"}]}"#;
    const A_B_BARE: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
        {"name":"b","type":"string"}]}"#;

    #[tokio::test]
    async fn every_level_is_asked_about_as_registering_is() {
        let levels = [
            "NONE",
            "BACKWARD",
            "BACKWARD_TRANSITIVE",
            "FORWARD",
            "FORWARD_TRANSITIVE",
            "FULL",
            "FULL_TRANSITIVE",
        ];
        let local = Local::start().unwrap();
        let registry = Registry::new(RegistryConfig::new(&local.url()), Handle::current()).unwrap();
        let client = reqwest::Client::new();
        for level in levels {
            for history in [[A, A_B], [A_B_BARE, A_B], [A_B, A], [A, BAD]] {
                for schema in [A, A_B, A_B_BARE, BAD] {
                    let subject = format!("{level}-{}-value", local.requests().len());
                    for earlier in history {
                        local.register(&subject, earlier).unwrap();
                    }
                    let put = client.put(format!("{}/config/{subject}", local.url()));
                    let body = format!(r#"{{"compatibility":"{level}"}}"#);
                    assert!(put.body(body).send().await.unwrap().status().is_success());
                    let verdict = registry.compatible(&subject, schema).await.unwrap();
                    let taken = registry.register(&subject, schema).await;
                    // What is registered already is registered again, whatever its level.
                    let known = history.contains(&schema);
                    let same = (verdict == Compatibility::Compatible) == taken.is_ok();
                    assert!(same || known, "{level} {history:?} {schema}: {verdict:?} {taken:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_registry_that_compares_with_one_version_alone_is_asked_about_each() {
        for (status, level, asked) in [
            (404, "BACKWARD_TRANSITIVE", vec!["versions", "versions/1", "versions/3"]),
            (405, "FULL_TRANSITIVE", vec!["versions", "versions/1", "versions/3"]),
            (404, "BACKWARD", vec!["versions/latest"]),
        ] {
            let api = Api::start(move |request, _| {
                let path = request.path.split('?').next().unwrap_or_default();
                match path {
                    "/compatibility/subjects/s/versions" => Answer::status(status),
                    "/subjects/s/versions" => Answer::body(200, "[1,3]"),
                    "/config/s" => Answer::status(404),
                    "/config" => {
                        Answer::body(200, format!(r#"{{"compatibilityLevel":"{level}"}}"#))
                    }
                    _ => Answer::body(200, r#"{"is_compatible":true}"#),
                }
            })
            .unwrap();
            let config = RegistryConfig::new(&api.url(""));
            let registry = Registry::new(config, Handle::current()).unwrap();
            let verdict = registry.compatible("s", A).await.unwrap();
            assert_eq!(verdict, Compatibility::Compatible);
            let requests = api.requests();
            let paths = requests.iter().filter_map(|request| {
                let path = request.path.strip_prefix("/compatibility/subjects/s/")?;
                path.split('?').next()
            });
            assert_eq!(paths.collect::<Vec<_>>(), asked, "{status} {level}");
        }
    }
}
