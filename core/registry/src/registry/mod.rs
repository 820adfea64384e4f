//! Speaks the Confluent schema registry's REST API, patiently.
//!
//! The crate schema_registry_converter is not used. Its version 6.0 caches an HTTP 500 as a
//! permanent error until the cache is cleared, clones schemas and subject strategies for every
//! message, copies the payload twice, cannot look up a schema without registering it, and decodes
//! to apache-avro's slow values only. What would be left of it, four requests and their JSON, is
//! this module. For JSON Schema and Protobuf too: `nubium-formats` uses the crates that it would.

mod body;
mod compatibility;
mod config;
mod error;
mod health;
mod http;
mod policy;
mod subjects;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

pub use body::SchemaBody;
pub use compatibility::{Compatibility, Judgement};
pub use config::RegistryConfig;
pub use error::RegistryError;
pub use health::{Health, RequestCount};
pub use policy::{Backoff, Failure, Verdict, retriable};
pub use subjects::SchemaVersion;

use super::Schema;
use super::wire::SchemaId;
use body::{SchemaAnswer, VersionAnswer};
use config::Server;
use http::{Attempt, Body, Call};

/// Asks a schema registry, trying its URLs in order and again.
pub struct Registry {
    client: Client,
    servers: Vec<Server>,
    /// The server that answered last, so that a dead one costs its time-out only once.
    preferred: AtomicUsize,
    record: health::Record,
    config: RegistryConfig,
    runtime: Handle,
}

#[derive(Deserialize)]
struct IdAnswer {
    id: u32,
}

impl Registry {
    /// Checks the settings and makes the client; asks nothing yet.
    ///
    /// Requests run on `runtime`, whoever waits for them.
    ///
    /// # Errors
    /// [`RegistryError::Settings`].
    pub fn new(config: RegistryConfig, runtime: Handle) -> Result<Self, RegistryError> {
        let servers: Vec<Server> =
            config.urls.iter().map(|url| Server::new(url, &config)).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(RegistryError::Settings("no URL is given".into()));
        }
        let client = http::client(&config, &servers)?;
        let (preferred, record) = (AtomicUsize::new(0), health::Record::default());
        Ok(Self { client, servers, preferred, record, config, runtime })
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Tells whether the registry answers.
    pub fn health(&self) -> Health {
        self.record.health()
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> Vec<RequestCount> {
        self.record.counts()
    }

    /// Asks once, without retries, whether the registry can be used.
    ///
    /// # Errors
    /// [`RegistryError::Unreachable`] or [`RegistryError::Refused`].
    pub async fn check(&self) -> Result<(), RegistryError> {
        let call = Call::subjects();
        let answer: Result<Vec<String>, _> = self.round(&call).await;
        answer.map(drop).map_err(|attempt| call.error(attempt, Duration::ZERO))
    }

    /// Tells whether a subject has a schema. Asks for this one alone: a registry may cut a list of
    /// all short (Apicurio's ends at 1,000).
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones.
    pub async fn has_subject(&self, subject: &str) -> Result<bool, RegistryError> {
        Ok(!self.versions(subject).await?.is_empty())
    }

    /// Fetches a schema by id, for as long as it takes or `wanted` says no.
    ///
    /// # Errors
    /// Only permanent ones: see [`retriable`], and those that lie in the schema.
    pub(super) async fn fetch(
        &self,
        id: SchemaId,
        wanted: impl Fn() -> bool,
    ) -> Result<&'static Schema, RegistryError> {
        let patience = Patience { deadline: None, not_found: self.config.not_found_grace };
        let answer = match self.by_id(id, patience, wanted).await {
            Err(RegistryError::Refused { status: 404, message, .. }) => {
                let waited = self.config.not_found_grace;
                return Err(RegistryError::UnknownSchema { id, waited, message });
            }
            answer => answer?,
        };
        match self.parse(&format!("schema {id}"), &answer).await {
            Err(RegistryError::Schema { error, .. }) => {
                Err(RegistryError::Unusable { id, why: error.to_string() })
            }
            // A schema that it refers to, which may come yet.
            Err(RegistryError::Refused { what, status: 404, message }) => {
                let message = format!("it refers to another; cannot {what}: {message}");
                Err(RegistryError::UnknownSchema { id, waited: Duration::ZERO, message })
            }
            parsed => parsed,
        }
    }

    async fn by_id(
        &self,
        id: SchemaId,
        patience: Patience,
        wanted: impl Fn() -> bool,
    ) -> Result<SchemaAnswer, RegistryError> {
        let number = id.to_string();
        let call = Call {
            what: format!("fetch schema {id}"),
            endpoint: "/schemas/ids/{id}",
            segments: &["schemas", "ids", &number],
            query: None,
            body: None,
        };
        self.patiently(&call, patience, wanted).await
    }

    /// Registers a schema under a subject, or finds it there; returns its id.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<SchemaId, RegistryError> {
        self.register_as(subject, SchemaBody::of(schema)).await
    }

    /// Does so with a schema of any type, which may refer to others.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn register_as(
        &self,
        subject: &str,
        schema: SchemaBody<'_>,
    ) -> Result<SchemaId, RegistryError> {
        let call = Call {
            what: format!("register the schema of subject `{subject}`"),
            endpoint: "/subjects/{subject}/versions",
            segments: &["subjects", subject, "versions"],
            query: None,
            body: Some(Body::Schema(schema)),
        };
        let answer: IdAnswer = self.patiently(&call, self.startup(), || true).await?;
        Ok(SchemaId(answer.id))
    }

    /// Looks a schema up under a subject, changing nothing; returns its id.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`]; after the start-up deadline; permanent ones.
    pub async fn lookup(&self, subject: &str, schema: &str) -> Result<SchemaId, RegistryError> {
        self.lookup_as(subject, SchemaBody::of(schema)).await
    }

    /// Does so with a schema of any type, which may refer to others.
    ///
    /// # Errors
    /// As [`Self::lookup`].
    pub async fn lookup_as(
        &self,
        subject: &str,
        schema: SchemaBody<'_>,
    ) -> Result<SchemaId, RegistryError> {
        let call = Call {
            what: format!("look up the schema of subject `{subject}`"),
            endpoint: "/subjects/{subject}",
            segments: &["subjects", subject],
            query: None,
            body: Some(Body::Schema(schema)),
        };
        match self.patiently::<IdAnswer>(&call, self.startup(), || true).await {
            Err(RegistryError::Refused { status: 404, message, .. }) => {
                Err(RegistryError::NotRegistered { subject: subject.into(), message })
            }
            answer => answer.map(|answer| SchemaId(answer.id)),
        }
    }

    /// Fetches the newest schema of a subject.
    ///
    /// # Errors
    /// After the start-up deadline, or permanent ones.
    pub async fn latest(
        &self,
        subject: &str,
    ) -> Result<(SchemaId, &'static Schema), RegistryError> {
        self.numbered(subject, "latest").await
    }

    /// Fetches one version of a subject, by its number or as `latest`.
    ///
    /// # Errors
    /// As [`Self::latest`].
    pub async fn numbered(
        &self,
        subject: &str,
        version: &str,
    ) -> Result<(SchemaId, &'static Schema), RegistryError> {
        let answer: VersionAnswer = self.version(subject, version).await?;
        let what = format!("version {version} of subject `{subject}`");
        let schema = self.parse(&what, &answer.version).await?;
        Ok((SchemaId(answer.id), schema))
    }

    async fn version<T: DeserializeOwned>(
        &self,
        subject: &str,
        version: &str,
    ) -> Result<T, RegistryError> {
        let call = Call {
            what: format!("fetch version {version} of subject `{subject}`"),
            endpoint: "/subjects/{subject}/versions/{version}",
            segments: &["subjects", subject, "versions", version],
            query: None,
            body: None,
        };
        self.patiently(&call, self.startup(), || true).await
    }

    fn startup(&self) -> Patience {
        Patience { deadline: Some(self.config.startup_deadline), not_found: Duration::ZERO }
    }

    /// Asks round after round until there is an answer, a permanent error or no patience left.
    async fn patiently<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        patience: Patience,
        wanted: impl Fn() -> bool,
    ) -> Result<T, RegistryError> {
        let start = Instant::now();
        for attempts in 1u32.. {
            let attempt = match self.round(call).await {
                Ok(answer) => return Ok(answer),
                Err(attempt) => attempt,
            };
            let waited = start.elapsed();
            let least = match attempt.verdict {
                Verdict::Permanent => return Err(call.error(attempt, waited)),
                Verdict::NotFound if waited >= patience.not_found => {
                    return Err(call.error(attempt, waited));
                }
                Verdict::NotFound => Duration::ZERO,
                Verdict::Retry { after } => after.unwrap_or_default(),
            };
            let wait = self.config.backoff.wait(attempts, policy::random()).max(least);
            if patience.deadline.is_some_and(|deadline| waited + wait > deadline) {
                return Err(call.error(attempt, waited));
            }
            if !wanted() {
                return Err(RegistryError::Stopped);
            }
            tracing::warn!(
                attempts, wait_ms = wait.as_millis() as u64, error = %attempt.message,
                "The schema registry could not {}; trying again.", call.what
            );
            tokio::time::sleep(wait).await;
        }
        Err(RegistryError::Stopped)
    }

    /// Asks every server once, the preferred first, until one answers or refuses for good.
    async fn round<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Attempt> {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let mut worst: Option<Attempt> = None;
        for offset in 0..self.servers.len() {
            let index = (preferred + offset) % self.servers.len();
            let (status, outcome) = http::ask(&self.client, &self.servers[index], call).await;
            self.record.count(call.endpoint, call.method(), status);
            match outcome {
                Ok(answer) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    self.record.answered();
                    return Ok(answer);
                }
                Err(attempt) if attempt.verdict == Verdict::Permanent => {
                    self.record.answered();
                    return Err(attempt);
                }
                // Not found counts only if no server failed: the one that did may know better.
                Err(attempt) => {
                    let keep = worst.as_ref().is_some_and(|w| w.verdict != Verdict::NotFound);
                    if !(keep && attempt.verdict == Verdict::NotFound) {
                        worst = Some(attempt);
                    }
                }
            }
        }
        let worst = worst.unwrap_or_else(|| Attempt::new(Failure::Transport, "no server"));
        match worst.verdict {
            Verdict::NotFound => self.record.answered(),
            _ => self.record.failed(&worst.message),
        }
        Err(worst)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("config", &self.config).finish_non_exhaustive()
    }
}

/// How long to go on.
#[derive(Debug, Clone, Copy)]
struct Patience {
    deadline: Option<Duration>,
    not_found: Duration,
}
