//! A table service with topics, settings and volumes of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nubium_test_kit::process::Process;
use nubium_test_kit::registry::RegistryClient;
use nubium_test_kit::wait::{Look, eventually};
use nubium_test_kit::wire::Writer;
use nubium_test_kit::{services, topics};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::TABLE;

/// Ends a hopeless wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);
/// As the Python clients register it.
const KEY_SCHEMA: &str = r#"{"type": "string"}"#;
/// Of the records that go in and come out.
pub(crate) const SCHEMA: &str = r#"{"type": "record", "name": "Reading", "fields": [
    {"name": "text", "type": "string"}, {"name": "count", "type": "long", "default": 0}]}"#;

/// Everything that one service under test has.
pub(crate) struct Place {
    pub(crate) app: String,
    pub(crate) input: String,
    pub(crate) output: String,
    directory: TempDir,
    producer: BaseProducer,
    schemas: (u32, u32),
    written: u64,
    http: (Runtime, Client),
}

impl Place {
    /// Makes topics with so many partitions; `settings` follow input and output in the file.
    pub(crate) fn new(name: &str, partitions: i32, settings: &str) -> Result<Self> {
        let services = services::shared();
        let app = topics::unique(name);
        let (input, output) = (format!("{app}-in"), format!("{app}-out"));
        topics::create(&services.bootstrap, &[(&input, partitions), (&output, partitions)])?;
        let registry = RegistryClient::new(&services.registry)?;
        let key = registry.register(&format!("{input}-key"), KEY_SCHEMA)?;
        let value = registry.register(&format!("{input}-value"), SCHEMA)?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &services.bootstrap)
            .set("enable.idempotence", "true")
            // Where Java's and nubium's clients put a key: look-ups find it by that.
            .set("partitioner", "murmur2_random")
            .create()?;
        let directory = tempfile::Builder::new().prefix("nubium-table-service-").tempdir()?;
        std::fs::write(directory.path().join("reading.avsc"), SCHEMA)?;
        let file = format!(
            "input: {{topic: {input}, schema: reading.avsc}}
outputs: [{{topic: {output}, schema: reading.avsc}}]
{settings}"
        );
        std::fs::write(directory.path().join("table.yaml"), file)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let http = (runtime, Client::builder().no_proxy().build()?);
        Ok(Self {
            app,
            input,
            output,
            directory,
            producer,
            schemas: (key, value),
            written: 0,
            http,
        })
    }

    /// Writes records, given by key and text, and returns once the broker has them.
    pub(crate) fn write<'t>(
        &mut self,
        records: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<()> {
        for (key, text) in records {
            let key = Writer::framed(self.schemas.0).string(key).finish();
            let value = Writer::framed(self.schemas.1).string(text).long(0).finish();
            let guid = format!("guid-{}", self.written);
            let by = Header { key: "last_updated_by", value: Some("test") };
            let headers =
                OwnedHeaders::new().insert(Header { key: "guid", value: Some(&guid) }).insert(by);
            let record = BaseRecord::to(&self.input).key(&key).payload(&value).headers(headers);
            self.producer.send(record).map_err(|(error, _)| error)?;
            self.written += 1;
            self.producer.poll(Duration::ZERO);
        }
        #[expect(clippy::disallowed_methods, reason = "a producer without transactions")]
        Ok(self.producer.flush(DEADLINE)?)
    }

    /// Writes a record whose key has these bytes, without headers, as any client may.
    pub(crate) fn write_raw(&mut self, key: &[u8], text: &str) -> Result<()> {
        let value = Writer::framed(self.schemas.1).string(text).long(0).finish();
        let record = BaseRecord::to(&self.input).key(key).payload(&value);
        self.producer.send(record).map_err(|(error, _)| error)?;
        #[expect(clippy::disallowed_methods, reason = "a producer without transactions")]
        Ok(self.producer.flush(DEADLINE)?)
    }

    /// Writes the file of another instance, which ends with other settings.
    pub(crate) fn settings(&self, host: &str, settings: &str) -> Result<()> {
        let text = std::fs::read_to_string(self.directory.path().join("table.yaml"))?;
        let path = self.directory.path().join(format!("{host}.yaml"));
        Ok(std::fs::write(path, format!("{text}\n{settings}"))?)
    }

    /// Writes a file beside the settings.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.directory.path().join(name), text)?)
    }

    /// The volume of an instance.
    pub(crate) fn volume(&self, host: &str) -> PathBuf {
        self.directory.path().join(format!("volume-{host}"))
    }

    /// Starts an instance with a volume of its own.
    pub(crate) fn start(&self, host: &str) -> Result<Process> {
        let mut command = self.command(host, &["run"])?;
        Process::spawn(host, self.directory.path(), &mut command)
    }

    /// Runs another command of the binary to its end: exit code, and all that it says.
    pub(crate) fn run(&self, host: &str, arguments: &[&str]) -> Result<(i32, String)> {
        let Output { status, stdout, stderr } = self.command(host, arguments)?.output()?;
        let text = [stdout, stderr].concat();
        let code = status.code().context("ended by a signal")?;
        Ok((code, String::from_utf8_lossy(&text).into_owned()))
    }

    fn command(&self, host: &str, arguments: &[&str]) -> Result<Command> {
        let services = services::shared();
        let volume = self.volume(host);
        std::fs::create_dir_all(&volume)?;
        let own = self.directory.path().join(format!("{host}.yaml"));
        let file = match own.exists() {
            true => own,
            false => self.directory.path().join("table.yaml"),
        };
        let clusters = serde_json::json!({ "test": { "url": services.bootstrap } });
        let names = [&self.input, &self.output, &format!("{}__changelog", self.app)];
        let topics: BTreeMap<_, _> =
            names.map(|topic| (topic.clone(), serde_json::json!({ "cluster": "test" }))).into();
        let mut command = Command::new(TABLE);
        command
            .args(arguments)
            .env("NU_TABLE_CONFIG", file)
            .env("NU_TABLE_PATH", &volume)
            .env("NU_TABLE_CREATE_CHANGELOG", "true")
            .env("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters.to_string())
            .env("NU_TOPIC_CONFIGS_JSON", serde_json::to_string(&topics)?)
            .env("NU_SCHEMA_REGISTRY_URL", &services.registry)
            .env("NU_APP_NAME", &self.app)
            .env("NU_HOSTNAME", format!("{}-{host}", self.app))
            .env("NU_HEALTH_FILE", self.directory.path().join(format!("{host}.health")))
            .env("NU_CONSUMER_AUTO_OFFSET_RESET", "earliest")
            .env("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", "6")
            .env("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS", "1")
            .env("NU_CONSUMER_POLL_TIMEOUT", "1")
            .env("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "5")
            .env("NU_DO_METRICS_PUSHING", "false");
        Ok(command)
    }

    /// Asks an instance; redirects are followed.
    pub(crate) fn get(&self, url: &str) -> Result<Response> {
        Ok(self.http.0.block_on(self.http.1.get(url).send())?)
    }

    /// Asks an instance; gives the status and all that it says.
    pub(crate) fn ask(&self, url: &str) -> Result<(u16, String)> {
        let answer = self.get(url)?;
        Ok((answer.status().as_u16(), self.http.0.block_on(answer.text())?))
    }

    /// Asks for a document until it is there.
    pub(crate) fn document(&self, url: &str) -> Result<Value> {
        eventually(&format!("an answer of {url}"), DEADLINE, || {
            let answer = match self.get(url) {
                Ok(answer) => answer,
                Err(error) => return Look::NotYet(format!("{error:#}")),
            };
            let status = answer.status();
            match self.http.0.block_on(answer.json()) {
                Ok(document) if status == StatusCode::OK => Look::Ready(document),
                said => Look::NotYet(format!("{status}: {said:?}")),
            }
        })
    }

    /// Reads the whole table by the pages of an instance.
    pub(crate) fn table(&self, base: &str) -> Result<BTreeMap<String, Value>> {
        let (mut entries, mut next) = (BTreeMap::new(), Some("/table?limit=1000".to_owned()));
        while let Some(path) = next {
            let page = self.document(&format!("{base}{path}"))?;
            for entry in page["entries"].as_array().context("no entries")? {
                let key = entry["key"].as_str().context("no key")?.to_owned();
                ensure!(!entries.contains_key(&key), "{key} is on two pages");
                entries.insert(key, entry["value"].clone());
            }
            next = page["next"].as_str().map(str::to_owned);
        }
        Ok(entries)
    }
}
