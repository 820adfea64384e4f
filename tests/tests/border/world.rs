//! The topics, schemas and programs of the story.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nubium_test_kit::ledger::{KEY_SCHEMA, Partition};
use nubium_test_kit::process::Process;
use nubium_test_kit::reader::{Raw, committed, log_ends, read_all, settled};
use nubium_test_kit::registry::RegistryClient;
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::wait::{Look, eventually};
use nubium_test_kit::{services, topics};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::cases::FORMATS;
use crate::schemas::{NOTE_AVRO, NOTE_JSON, NOTE_PROTO, RICH_PROTO};

/// A registry tells it from Avro by its first field.
const JSON_KEY: &str =
    r#"{"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"}"#;

/// Ids that the registry gave.
#[derive(Debug)]
pub(crate) struct Ids {
    pub(crate) key: u32,
    pub(crate) json_key: u32,
    pub(crate) proto_key: u32,
    pub(crate) avro: u32,
    pub(crate) json: u32,
    pub(crate) proto: u32,
    pub(crate) proto_note: u32,
}

/// Everything that the programs share.
pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) ids: Ids,
    pub(crate) directory: TempDir,
    producer: BaseProducer,
    topics: Map<String, Value>,
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        let services = services::shared();
        let name = topics::unique("border");
        let mut all = Map::new();
        let mut add = |topic: String, key: &str, value: &str| {
            let entry = json!({"cluster": "main", "key_format": key, "value_format": value});
            all.insert(topic, entry);
        };
        for format in FORMATS {
            for kind in ["in", "turn", "to", "sent", "dude"] {
                add(format!("{name}-{kind}-{format}"), "text", format);
            }
            add(format!("{name}-key-{format}"), format, "json");
        }
        add(format!("{name}-changes"), "json", "json");
        add(format!("{name}-customers"), "text", "avro");
        for kind in ["all", "failed", "unsent", "untabled"] {
            add(format!("{name}-{kind}"), "text", "json");
        }
        let new: Vec<_> = all.keys().map(|topic| (topic.as_str(), 1)).collect();
        topics::create(&services.bootstrap, &new)?;
        let producer =
            ClientConfig::new().set("bootstrap.servers", &services.bootstrap).create()?;
        let directory = tempfile::Builder::new().prefix("nubium-border-").tempdir()?;
        for (file, text) in
            [("note.avsc", NOTE_AVRO), ("note.json", NOTE_JSON), ("note.proto", NOTE_PROTO)]
        {
            std::fs::write(directory.path().join(file), text)?;
        }
        let ids = register(&name)?;
        Ok(Self { name, ids, directory, producer, topics: all })
    }

    pub(crate) fn topic(&self, kind: &str, format: &str) -> String {
        format!("{}-{kind}-{format}", self.name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.directory.path().join(name), text)?)
    }

    /// Writes one message as it is.
    pub(crate) fn write(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(0);
        (record.key, record.payload) = (key, value);
        self.producer.send(record).map_err(|(error, _)| error)?;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a producer without transactions")]
    pub(crate) fn flush(&self) -> Result<()> {
        Ok(self.producer.flush(Duration::from_secs(30))?)
    }

    /// Gives the settings that all programs have, and those of one.
    pub(crate) fn settings(&self, app: &str) -> BTreeMap<String, String> {
        let services = services::shared();
        let of = |end: &str| self.directory.path().join(format!("{app}-{end}"));
        [
            ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", json!({"main": {"url": services.bootstrap}})),
            ("NU_TOPIC_CONFIGS_JSON", Value::Object(self.topics.clone())),
            ("NU_SCHEMA_REGISTRY_URL", json!(services.registry)),
            ("NU_APP_NAME", json!(app)),
            ("NU_HOSTNAME", json!(format!("{app}-0"))),
            ("NU_HEALTH_FILE", json!(of("health"))),
            ("NU_TABLE_PATH", json!(of("store"))),
            ("NU_CONSUMER_AUTO_OFFSET_RESET", json!("earliest")),
            ("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", json!("6")),
            ("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS", json!("1")),
            ("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", json!("5")),
            ("NU_TABLE_CREATE_CHANGELOG", json!("true")),
            ("NU_DO_METRICS_PUSHING", json!("false")),
        ]
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.to_owned(), text)
        })
        .into()
    }

    /// The map of topics.
    pub(crate) fn map(&self) -> String {
        Value::Object(self.topics.clone()).to_string()
    }

    /// Starts a service by its file of settings.
    pub(crate) fn start(
        &self,
        app: &str,
        program: &str,
        (arguments, setting, file): (&[&str], &str, &str),
        failed: &str,
    ) -> Result<Process> {
        std::fs::create_dir_all(self.directory.path().join(format!("{app}-store")))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(self.settings(app))
            .env(setting, self.directory.path().join(file))
            .env("NU_PRODUCE_FAILURE_TOPICS", format!("{}-{failed}", self.name));
        Process::spawn(app, self.directory.path(), &mut command)
    }

    /// Runs `dude` to its end and gives what it printed.
    pub(crate) fn dude(&self, arguments: &[&str], input: Option<&str>) -> Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dude-under-test"));
        command.args(arguments).envs(self.settings("dude"));
        if let Some(text) = input {
            self.file("dude.input", text)?;
            command.stdin(std::fs::File::open(self.directory.path().join("dude.input"))?);
        }
        Ok(command.output()?)
    }

    /// Waits until a group has read topics to their ends; the process must not end before.
    pub(crate) fn drained(&self, app: &str, process: &Process, of: &[String]) -> Result<()> {
        let bootstrap = &services::shared().bootstrap;
        let names: Vec<_> = of.iter().map(String::as_str).collect();
        let ends = log_ends(bootstrap, &names)?;
        let parts: Vec<_> = ends.keys().cloned().collect::<Vec<Partition>>();
        eventually(&format!("{app} to commit all inputs"), DEADLINE, || {
            if !process.is_running() {
                return Look::Ready(Err(anyhow::anyhow!("it ended\n{}", process.log_tail())));
            }
            match committed(bootstrap, app, &parts) {
                Ok(now) if ends.iter().all(|(at, end)| now.get(at) >= Some(&end.end)) => {
                    Look::Ready(Ok(()))
                }
                Ok(now) => Look::NotYet(format!("{now:?} of {ends:?}")),
                Err(error) => Look::NotYet(format!("{error:#}")),
            }
        })?
    }

    /// Reads a topic as readers of committed records see it.
    pub(crate) fn read(&self, topic: &str) -> Result<Vec<Raw>> {
        let bootstrap = &services::shared().bootstrap;
        settled(bootstrap, &[topic], DEADLINE)?;
        read_all(bootstrap, &[topic])
    }
}

fn register(name: &str) -> Result<Ids> {
    let registry = RegistryClient::new(&services::shared().registry)?;
    let of = |kind: &str, format: &str| format!("{name}-{kind}-{format}-value");
    for kind in ["in", "turn", "dude"] {
        registry.register(&of(kind, "avro"), NOTE_AVRO)?;
        registry.register_as("JSON", &of(kind, "json_schema"), NOTE_JSON)?;
    }
    let note = registry.register_as("PROTOBUF", &of("turn", "protobuf"), NOTE_PROTO)?;
    registry.register_as("PROTOBUF", &of("dude", "protobuf"), NOTE_PROTO)?;
    let key = |format: &str| format!("{name}-key-{format}-key");
    let proto_key = "syntax = \"proto3\";\n\nmessage Key {\n  string key = 1;\n}\n";
    let ids = Ids {
        key: registry.register(&key("avro"), KEY_SCHEMA)?,
        json_key: registry.register_as("JSON", &key("json_schema"), JSON_KEY)?,
        proto_key: registry.register_as("PROTOBUF", &key("protobuf"), proto_key)?,
        avro: registry.register(&of("in", "avro"), NOTE_AVRO)?,
        json: registry.register_as("JSON", &of("in", "json_schema"), NOTE_JSON)?,
        proto: registry.register_as("PROTOBUF", &of("in", "protobuf"), RICH_PROTO)?,
        proto_note: note,
    };
    ensure!(ids.avro != ids.json, "the registry tells the two apart: {ids:?}");
    Ok(ids)
}

/// Gives a key as text.
pub(crate) fn key_of(record: &Raw) -> Result<String> {
    let key = record.key.clone().context("no key")?;
    Ok(String::from_utf8(key)?)
}
