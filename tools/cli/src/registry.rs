//! Asks the schema registry for what the core's client has no use for: versions, compatibility.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use nubium_config as config;
use nubium_host::text::without_mark;
use reqwest::{Client, Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use nubium_host::failure::{Or as _, Outcome};

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Answers above this are not read: no schema is that large.
const ANSWER_MAX: u64 = 16 << 20;

/// A blocking client of the registry's API.
#[derive(Debug)]
pub struct Registry<'r> {
    client: Client,
    urls: &'r [Url],
    auth: Option<&'r config::BasicAuth>,
    runtime: &'r Runtime,
}

/// One version of a subject.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
pub struct Version {
    /// The subject.
    #[serde(default)]
    pub subject: String,
    /// Its number in the subject.
    #[serde(default)]
    pub version: u32,
    /// Its number in the registry, which messages carry.
    pub id: u32,
    /// The schema as text.
    pub schema: String,
}

/// What the registry says about a new schema.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// Whether it would be taken.
    pub compatible: bool,
    /// The level that it was compared by.
    pub level: String,
    /// Why not.
    pub messages: Vec<String>,
}

/// What came back from one request.
struct Answer {
    status: StatusCode,
    body: Value,
}

impl<'r> Registry<'r> {
    /// Makes a client; asks nothing yet.
    ///
    /// # Errors
    /// The system has no certificates or threads left.
    pub fn new(
        settings: &'r config::Registry,
        timeout: Duration,
        runtime: &'r Runtime,
    ) -> Outcome<Self> {
        let mut client = Client::builder().timeout(timeout).connect_timeout(timeout);
        if settings.urls.iter().all(|url| url.scheme() == "http") {
            // Machines without CA certificates can still use a plain registry.
            client = client.tls_certs_only([]);
        }
        let client = client.build().context("HTTP client").or_host()?;
        Ok(Self { client, urls: &settings.urls, auth: settings.auth.as_ref(), runtime })
    }

    /// Lists the subjects in order.
    ///
    /// # Errors
    /// The registry does not answer, or refuses.
    pub fn subjects(&self) -> anyhow::Result<Vec<String>> {
        let answer = self.ask(Method::GET, &["subjects"], None)?.good("list the subjects")?;
        let mut subjects: Vec<String> = serde_json::from_value(answer)?;
        subjects.sort();
        Ok(subjects)
    }

    /// Lists the versions of a subject; none where there is no such subject.
    ///
    /// # Errors
    /// The registry does not answer, or refuses.
    pub fn versions(&self, subject: &str) -> anyhow::Result<Vec<u32>> {
        let answer = self.ask(Method::GET, &["subjects", subject, "versions"], None)?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        Ok(serde_json::from_value(answer.good(&format!("list the versions of {subject}"))?)?)
    }

    /// Fetches a version by its number or `latest`; none where there is no such version.
    ///
    /// # Errors
    /// The registry does not answer, or refuses.
    pub fn version(&self, subject: &str, version: &str) -> anyhow::Result<Option<Version>> {
        let answer = self.ask(Method::GET, &["subjects", subject, "versions", version], None)?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let found = answer.good(&format!("fetch version {version} of {subject}"))?;
        let found = serde_json::from_value(found);
        found.map(Some).with_context(|| format!("the registry's answer on {subject}"))
    }

    /// Fetches a schema by its number in the registry.
    ///
    /// # Errors
    /// There is none, or the registry does not answer.
    pub fn by_id(&self, id: u32) -> anyhow::Result<String> {
        let answer = self.ask(Method::GET, &["schemas", "ids", &id.to_string()], None)?;
        let answer = answer.good(&format!("fetch schema {id}"))?;
        let text = answer["schema"].as_str().map(Into::into);
        text.with_context(|| format!("the registry's answer on schema {id} has no schema"))
    }

    /// Asks whether a schema could follow the versions of a subject, by its level: a transitive one
    /// looks at all of them. Where there is none, anything can.
    ///
    /// # Errors
    /// The schema is not valid, or the registry does not answer.
    pub fn verdict(&self, subject: &str, schema: &str) -> anyhow::Result<Verdict> {
        let level = self.level(subject)?;
        let mut found = match level.ends_with("_TRANSITIVE") {
            true => self.compare(subject, schema, None)?,
            // Not all versions: Apicurio then looks at each, whatever the level.
            false => self.compare(subject, schema, Some("latest"))?,
        };
        if found.is_none() && level.ends_with("_TRANSITIVE") {
            // No such subject, or a registry that compares with single versions alone.
            for version in self.versions(subject)? {
                found = self.compare(subject, schema, Some(&version.to_string()))?;
                if found.as_ref().is_some_and(|(compatible, _)| !compatible) {
                    break;
                }
            }
        }
        let (compatible, messages) = found.unwrap_or((true, Vec::new()));
        Ok(Verdict { compatible, level, messages })
    }

    /// Compares a schema with one version, or with those that the level names; `None` where there
    /// is nothing to compare with.
    fn compare(
        &self,
        subject: &str,
        schema: &str,
        version: Option<&str>,
    ) -> anyhow::Result<Option<(bool, Vec<String>)>> {
        let mut path = vec!["compatibility", "subjects", subject, "versions"];
        path.extend(version);
        let body = json!({ "schema": schema });
        // `verbose` makes Confluent's registry say why.
        let answer = self.ask_with(Method::POST, &path, Some(&body), Some("verbose=true"))?;
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return Ok(None);
        }
        let answer = answer.good(&format!("check a schema against {subject}"))?;
        let compatible = answer["is_compatible"].as_bool();
        let compatible = compatible.with_context(|| format!("no verdict in {answer}"))?;
        let messages = answer["messages"].as_array().into_iter().flatten();
        let messages = messages.map(|m| m.as_str().map_or_else(|| m.to_string(), Into::into));
        Ok(Some((compatible, messages.collect())))
    }

    /// Registers a schema under a subject, or finds it there; answers its number in the registry.
    ///
    /// # Errors
    /// The registry does not take it, and says why.
    pub fn register(&self, subject: &str, schema: &str) -> anyhow::Result<u32> {
        let body = json!({ "schema": schema });
        let answer = self.ask(Method::POST, &["subjects", subject, "versions"], Some(&body))?;
        let answer = answer.good(&format!("register the schema of {subject}"))?;
        let id = answer["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        id.with_context(|| format!("no id in {answer}"))
    }

    /// The subject's compatibility level, or the registry's own.
    fn level(&self, subject: &str) -> anyhow::Result<String> {
        let level = |answer: &Answer| {
            let level = answer.body["compatibilityLevel"].as_str();
            level.filter(|_| answer.status.is_success()).map(Into::into)
        };
        let own = self.ask(Method::GET, &["config", subject], None)?;
        match level(&own) {
            Some(level) => Ok(level),
            None => {
                let common = self.ask(Method::GET, &["config"], None)?;
                Ok(level(&common).unwrap_or_else(|| "unknown".into()))
            }
        }
    }

    fn ask(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<Answer> {
        self.ask_with(method, path, body, None)
    }

    /// Asks one URL after the other until one answers, whatever it answers.
    fn ask_with(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&Value>,
        query: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let mut last = anyhow!("no registry is given");
        for base in self.urls {
            let mut url = base.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.pop_if_empty().extend(path);
            }
            url.set_query(query);
            match self.runtime.block_on(self.send(method.clone(), url, body)) {
                Ok(answer) if !answer.status.is_server_error() => return Ok(answer),
                Ok(answer) => last = anyhow!("{base} answers {}: {}", answer.status, answer.text()),
                Err(error) => last = anyhow!("{base}: {error:#}"),
            }
        }
        Err(last.context("the schema registry does not answer"))
    }

    async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method, url).header("accept", MEDIA_TYPE);
        if let Some(auth) = self.auth {
            request = request.basic_auth(&auth.username, Some(auth.password.expose()));
        }
        if let Some(body) = body {
            request = request.header("content-type", MEDIA_TYPE).body(body.to_string());
        }
        // Without the URL, which may hold a login.
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        if response.content_length().is_some_and(|length| length > ANSWER_MAX) {
            bail!("an answer of more than {ANSWER_MAX} bytes");
        }
        let text = response.text().await.map_err(reqwest::Error::without_url)?;
        let body = serde_json::from_str(without_mark(&text)).unwrap_or(Value::String(text));
        Ok(Answer { status, body })
    }
}

impl Answer {
    fn good(self, what: &str) -> anyhow::Result<Value> {
        match self.status.is_success() {
            true => Ok(self.body),
            false => bail!("the registry did not {what}: {}, {}", self.status, self.text()),
        }
    }

    /// The registry's words.
    fn text(&self) -> String {
        let text = self.body["message"].as_str().or(self.body.as_str());
        text.map_or_else(|| self.body.to_string(), |text| text.chars().take(800).collect())
    }
}
