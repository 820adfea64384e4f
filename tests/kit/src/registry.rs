//! Runs a real schema registry (Apicurio, in memory, Confluent-compatible) and talks to one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::install::Installed;
use crate::ports;
use crate::process::Process;
use crate::wait::{Look, eventually};

const START_DEADLINE: Duration = Duration::from_secs(120);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A registry of one's own; killed on drop. What it holds is lost with it.
#[derive(Debug)]
pub struct Registry {
    url: String,
    process: Process,
}

impl Registry {
    /// Starts a registry on a free port; its log goes to `dir`.
    ///
    /// # Errors
    /// It ends at once, or does not answer in time (shows its log).
    pub fn start(installed: &Installed, dir: &Path) -> Result<Self> {
        let [port] = ports::free()?;
        Self::start_on(installed, dir, port)
    }

    /// Starts a registry on a given port, as after an outage.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub fn start_on(installed: &Installed, dir: &Path, port: u16) -> Result<Self> {
        let mut java = Command::new(&installed.java);
        java.current_dir(installed.apicurio.parent().context("the jar has no directory")?)
            .env("QUARKUS_HTTP_HOST", "127.0.0.1")
            .env("QUARKUS_HTTP_PORT", port.to_string())
            .args(["-Xmx384m", "-jar"])
            .arg(&installed.apicurio);
        let process = Process::spawn("registry", dir, &mut java)?;
        let url = format!("http://127.0.0.1:{port}/apis/ccompat/v7");
        let client = RegistryClient::new(&url)?;
        eventually("the registry to answer", START_DEADLINE, || match process.exit_status() {
            Ok(Some(status)) => Look::Ready(Err(anyhow::anyhow!("it ended with {status}"))),
            _ => match client.subjects() {
                Ok(_) => Look::Ready(Ok(())),
                Err(error) => Look::NotYet(format!("{error:#}")),
            },
        })
        .and_then(|outcome| outcome)
        .with_context(|| format!("the registry does not start\n{}", process.log_tail()))?;
        Ok(Self { url, process })
    }

    /// The address of its Confluent-compatible API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Lets the registry outlive this process, and returns its id.
    pub fn detach(self) -> u32 {
        self.process.detach()
    }
}

/// Speaks the Confluent API, apart from the product's own client.
#[derive(Debug)]
pub struct RegistryClient {
    url: String,
    http: Client,
    runtime: Runtime,
}

impl RegistryClient {
    /// Makes a client of the registry at `url`.
    ///
    /// # Errors
    /// The system has no threads or certificates left.
    pub fn new(url: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let http = Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build()?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), http, runtime })
    }

    /// Lists the subjects.
    ///
    /// # Errors
    /// The registry does not answer, or not with 200.
    pub fn subjects(&self) -> Result<Vec<String>> {
        let answer = self.call(self.http.get(format!("{}/subjects", self.url)))?;
        Ok(serde_json::from_value(answer)?)
    }

    /// Registers an Avro schema, given as JSON, and returns its id.
    ///
    /// # Errors
    /// The registry does not answer, or refuses.
    pub fn register(&self, subject: &str, schema: &str) -> Result<u32> {
        self.post_version(subject, &json!({ "schema": schema }))
    }

    /// Registers a schema of another type, such as `JSON` or `PROTOBUF`, and returns its id.
    ///
    /// # Errors
    /// The registry does not answer, or refuses.
    pub fn register_as(&self, kind: &str, subject: &str, schema: &str) -> Result<u32> {
        self.post_version(subject, &json!({ "schemaType": kind, "schema": schema }))
    }

    fn post_version(&self, subject: &str, body: &serde_json::Value) -> Result<u32> {
        let request = self
            .http
            .post(format!("{}/subjects/{subject}/versions", self.url))
            .header("content-type", MEDIA_TYPE)
            .body(body.to_string());
        let answer = self.call(request)?;
        let id = answer["id"].as_u64().with_context(|| format!("no id in {answer}"))?;
        Ok(u32::try_from(id)?)
    }

    /// Sets the compatibility rule of a subject (`BACKWARD`, `NONE`, ...).
    ///
    /// # Errors
    /// The registry does not answer, or refuses.
    pub fn set_compatibility(&self, subject: &str, rule: &str) -> Result<()> {
        let request = self
            .http
            .put(format!("{}/config/{subject}", self.url))
            .header("content-type", MEDIA_TYPE)
            .body(json!({ "compatibility": rule }).to_string());
        self.call(request).map(drop)
    }

    fn call(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, body) = (response.status(), response.text().await?);
            ensure!(status.is_success(), "the registry answers {status}: {body}");
            Ok(serde_json::from_str(&body)?)
        })
    }
}
