//! Runs an HTTP receiver as a process, posts to it, and reads what it produced.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::ports;
use crate::process::Process;
use crate::reader::{Raw, read_all};
use crate::wait::{Look, eventually};
use crate::wire::Reader;

/// The schema of the records that tests post.
pub const SCHEMA: &str = r#"{"type": "record", "name": "Form", "fields": [
    {"name": "id", "type": "string"}, {"name": "n", "type": "long"}]}"#;
const START_DEADLINE: Duration = Duration::from_secs(60);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// A running receiver. It is killed on drop.
#[derive(Debug)]
pub struct Receiver {
    process: Process,
    port: u16,
    probe: u16,
    http: Client,
    runtime: Runtime,
    dir: TempDir,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers; names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

impl Answer {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }
}

impl Receiver {
    /// Writes a directory with the settings (`listen` comes first) and files, and starts `program`
    /// in it; returns once it is ready.
    ///
    /// # Errors
    /// It ends at once or is not ready in time: shows its log.
    pub fn start(
        program: &str,
        addresses: (&str, &str),
        settings: &str,
        files: &[(&str, &str)],
    ) -> Result<Self> {
        Self::start_as(program, addresses, "web-forms-0", &[], settings, files)
    }

    /// Does so with a map of topics, as JSON; its topics are on the cluster `main`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(
        program: &str,
        addresses: (&str, &str),
        settings: &str,
        files: &[(&str, &str)],
        topics: &str,
    ) -> Result<Self> {
        let variables = [("NU_TOPIC_CONFIGS_JSON", topics)];
        Self::start_as(program, addresses, "web-forms-0", &variables, settings, files)
    }

    /// Starts one under a host name, and with variables, of its own.
    ///
    /// # Errors
    /// As [`Receiver::start`].
    pub fn start_as(
        program: &str,
        (bootstrap, registry): (&str, &str),
        host: &str,
        variables: &[(&str, &str)],
        settings: &str,
        files: &[(&str, &str)],
    ) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("nubium-receiver-").tempdir()?;
        let [port, probe] = ports::free()?;
        let settings = format!("listen: 127.0.0.1:{port}\n{settings}");
        for (name, text) in
            [("http-receiver.yaml", settings.as_str()), ("form.avsc", SCHEMA)].iter().chain(files)
        {
            fs::write(dir.path().join(name), text)?;
        }
        let clusters = json!({ "main": { "url": bootstrap } }).to_string();
        let mut command = Command::new(program);
        command
            .arg("run")
            .env("NU_HTTP_RECEIVER_CONFIG", dir.path().join("http-receiver.yaml"))
            .env("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters)
            .env("NU_TOPIC_CONFIGS_JSON", "{}")
            .env("NU_SCHEMA_REGISTRY_URL", registry)
            .env("NU_APP_NAME", "web_forms")
            .env("NU_HOSTNAME", host)
            .env("NU_DO_METRICS_PUSHING", "false")
            .envs(variables.iter().copied())
            .env("NU_HEALTH_FILE", dir.path().join("health"))
            .env("NU_PROBE_ADDRESS", "127.0.0.1")
            .env("NU_PROBE_PORT", probe.to_string());
        let process = Process::spawn("receiver", dir.path(), &mut command)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let http = Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build()?;
        let receiver = Self { process, port, probe, http, runtime, dir };
        eventually("the receiver to take records", START_DEADLINE, || {
            match (receiver.process.is_running(), receiver.probe("/readyz")) {
                (_, Ok((200, _))) => Look::Ready(Ok(())),
                (false, _) => Look::Ready(Err(anyhow!("it ended\n{}", receiver.process.log()))),
                (true, seen) => Look::NotYet(format!("{seen:?}")),
            }
        })??;
        Ok(receiver)
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its health file.
    pub fn health_file(&self) -> std::path::PathBuf {
        self.dir.path().join("health")
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a request with a body and headers.
    ///
    /// # Errors
    /// There is no answer.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method.parse()?, self.url(path)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let text = |value: &reqwest::header::HeaderValue| {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            Ok(Answer {
                status: response.status().as_u16(),
                headers: response
                    .headers()
                    .iter()
                    .map(|(name, value)| (name.to_string(), text(value)))
                    .collect(),
                body: response.text().await?,
            })
        })
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// There is no answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string())
    }

    /// Asks the probe port; returns the status and the body.
    ///
    /// # Errors
    /// There is no answer.
    pub fn probe(&self, path: &str) -> Result<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.probe);
        self.runtime.block_on(async {
            let response = self.http.get(url).send().await?;
            Ok((response.status().as_u16(), response.text().await?))
        })
    }

    /// Waits until a probe answers with this status.
    ///
    /// # Errors
    /// It does not when the deadline passes.
    pub fn becomes(&self, path: &str, status: u16, deadline: Duration) -> Result<String> {
        eventually(&format!("{path} to answer {status}"), deadline, || match self.probe(path) {
            Ok((seen, body)) if seen == status => Look::Ready(body),
            Ok((seen, body)) => Look::NotYet(format!("{seen} {body}")),
            Err(error) => Look::NotYet(format!("{error:#}")),
        })
        .with_context(|| self.process.log_tail())
    }

    /// Its resident memory in kilobytes.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|rest| rest.trim().strip_suffix(" kB")).context("no VmRSS")?;
        Ok(number.trim().parse()?)
    }

    /// Begins to post from several connections, each request with an id of its own.
    pub fn load(&self, path: &str, connections: usize) -> Load {
        let shared = Arc::new(Shared::default());
        let url = self.url(path);
        let tasks = (0..connections)
            .map(|_| {
                let (shared, url, http) = (shared.clone(), url.clone(), self.http.clone());
                self.runtime.spawn(async move { shared.post(&http, &url).await })
            })
            .collect();
        Load { shared, tasks }
    }

    /// Ends a load and gives each id with its status; 0 where there was no answer.
    ///
    /// # Errors
    /// A task panicked.
    pub fn finish(&self, load: Load) -> Result<BTreeMap<String, u16>> {
        load.shared.stop.store(true, Ordering::Release);
        for task in load.tasks {
            self.runtime.block_on(task).map_err(|_| anyhow!("a task of the load panicked"))?;
        }
        let mut answers = load.shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut answers))
    }
}

/// Requests that are being posted.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    next: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    answers: Mutex<BTreeMap<String, u16>>,
}

impl Shared {
    async fn post(&self, http: &Client, url: &str) {
        while !self.stop.load(Ordering::Acquire) {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let id = format!("request-{n:08}");
            let request = http.post(url).header("idempotency-key", &id);
            let request = request.header("content-type", "application/json");
            let sent = request.body(json!({ "id": id, "n": n }).to_string()).send().await;
            let status = sent.map_or(0, |response| response.status().as_u16());
            let counter = if status == 200 { &self.acknowledged } else { &self.refused };
            counter.fetch_add(1, Ordering::Relaxed);
            self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, status);
            if status != 200 {
                // As a client would, if more patient.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

impl Load {
    /// Waits until so many more requests were answered 200.
    ///
    /// # Errors
    /// They were not when the deadline passes.
    pub fn acknowledged(&self, more: u64, deadline: Duration) -> Result<()> {
        Self::grows(&self.shared.acknowledged, "acknowledged", more, deadline)
    }

    /// Waits until so many more requests were answered otherwise, or not.
    ///
    /// # Errors
    /// They were not when the deadline passes.
    pub fn refused(&self, more: u64, deadline: Duration) -> Result<()> {
        Self::grows(&self.shared.refused, "refused", more, deadline)
    }

    fn grows(counter: &AtomicU64, what: &str, more: u64, deadline: Duration) -> Result<()> {
        let wanted = counter.load(Ordering::Relaxed) + more;
        eventually(&format!("{more} more requests to be {what}"), deadline, || {
            match counter.load(Ordering::Relaxed) {
                seen if seen >= wanted => Look::Ready(()),
                seen => Look::NotYet(format!("{seen} of {wanted}")),
            }
        })
    }
}

/// A record of [`SCHEMA`], as it lies in the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Field `id`.
    pub id: String,
    /// Field `n`.
    pub n: i64,
    /// The key, decoded.
    pub key: Option<String>,
    /// The record.
    pub raw: Raw,
}

/// Reads every record of a topic as [`SCHEMA`].
///
/// # Errors
/// The cluster does not answer, or a record is not of that schema.
pub fn forms(bootstrap: &str, topic: &str) -> Result<Vec<Form>> {
    let decode = |raw: Raw| {
        let (_, mut value) = Reader::framed(raw.value.as_deref().context("no value")?)?;
        let (id, n) = (value.string()?.to_owned(), value.long()?);
        value.end()?;
        let key = match raw.key.as_deref() {
            None => None,
            Some(bytes) => Some(Reader::framed(bytes)?.1.string()?.to_owned()),
        };
        Ok(Form { id, n, key, raw })
    };
    read_all(bootstrap, &[topic])?.into_iter().map(decode).collect()
}

/// Holds the answers of a load against the topic: what was answered 200 is there once, nothing is
/// there twice, and every record carries the id it was posted with. Returns how many were answered
/// 200.
///
/// # Errors
/// Names what is lost, doubled or foreign.
pub fn verify(bootstrap: &str, topic: &str, answers: &BTreeMap<String, u16>) -> Result<usize> {
    let mut found = BTreeMap::<String, usize>::new();
    for form in forms(bootstrap, topic)? {
        ensure!(form.raw.header("guid") == Some(&form.id), "another guid than posted: {form:?}");
        *found.entry(form.id).or_default() += 1;
    }
    let acknowledged: Vec<_> = answers.iter().filter(|(_, status)| **status == 200).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|(id, _)| !found.contains_key(*id)).collect();
    ensure!(lost.is_empty(), "answered 200, but not in the topic: {lost:?}");
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    ensure!(doubled.is_empty(), "in the topic more than once: {doubled:?}");
    let foreign: Vec<_> = found.keys().filter(|id| !answers.contains_key(*id)).collect();
    ensure!(foreign.is_empty(), "in the topic, but never posted: {foreign:?}");
    Ok(acknowledged.len())
}
