//! A funnel with topics, program and failure topic of its own, fed with another client's bytes.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::ledger::{KEY_SCHEMA, Partition};
use nubium_test_kit::process::Process;
use nubium_test_kit::reader::{Raw, committed, read_all, settled};
use nubium_test_kit::registry::RegistryClient;
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::wait::{Look, eventually};
use nubium_test_kit::wire::Writer;
use nubium_test_kit::{services, topics};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tempfile::TempDir;

use crate::FUNNEL;

/// Of the records that go in and come out.
const SCHEMA: &str = r#"{"type": "record", "name": "Note", "fields": [
    {"name": "text", "type": "string"}]}"#;
/// The funnel lets texts pass.
const PROGRAM: &str = ".text = strip_whitespace(.text)\n";

/// Header names with values.
pub(crate) type Headers<'a> = &'a [(&'a str, Option<&'a [u8]>)];

/// Everything that one funnel under test has.
pub(crate) struct Funnel {
    pub(crate) app: String,
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) failure: String,
    directory: TempDir,
    producer: BaseProducer,
    key_schema: u32,
    schema: u32,
    written: i64,
}

impl Funnel {
    /// Makes topics of one partition; the input and the failure topic with `limits`, the output
    /// with `of_output`.
    pub(crate) fn new(
        name: &str,
        limits: &[(&str, &str)],
        of_output: &[(&str, &str)],
    ) -> Result<Self> {
        let services = services::shared();
        let app = topics::unique(name);
        let [input, output, failure] = ["in", "out", "failure"].map(|end| format!("{app}-{end}"));
        topics::create_with(&services.bootstrap, &[(&input, 1), (&failure, 1)], limits)?;
        topics::create_with(&services.bootstrap, &[(&output, 1)], of_output)?;
        let registry = RegistryClient::new(&services.registry)?;
        let key_schema = registry.register(&format!("{input}-key"), KEY_SCHEMA)?;
        let schema = registry.register(&format!("{input}-value"), SCHEMA)?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &services.bootstrap)
            .set("message.max.bytes", "8000000")
            .create()?;
        let directory = tempfile::Builder::new().prefix("nubium-funnel-").tempdir()?;
        std::fs::write(directory.path().join("note.avsc"), SCHEMA)?;
        std::fs::write(directory.path().join("note.vrl"), PROGRAM)?;
        let file = format!(
            "inputs: [{{topic: {input}, schema: note.avsc, program: note.vrl}}]\n\
             outputs: [{{topic: {output}, schema: note.avsc}}]\n"
        );
        std::fs::write(directory.path().join("funnel.yaml"), file)?;
        Ok(Self {
            app,
            input,
            output,
            failure,
            directory,
            producer,
            key_schema,
            schema,
            written: 0,
        })
    }

    /// Gives the bytes of a key as the Python clients write them.
    pub(crate) fn key(&self, text: &str) -> Vec<u8> {
        Writer::framed(self.key_schema).string(text).finish()
    }

    /// Gives the bytes of a note.
    pub(crate) fn note(&self, text: &str) -> Vec<u8> {
        Writer::framed(self.schema).string(text).finish()
    }

    /// Writes one message as it is, and returns once the broker has it.
    #[expect(clippy::disallowed_methods, reason = "a producer without transactions")]
    pub(crate) fn write(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers<'_>,
    ) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.input).partition(0);
        record.key = key;
        record.payload = value;
        if !headers.is_empty() {
            let list = OwnedHeaders::new();
            let add = |list: OwnedHeaders, (key, value): &(&str, Option<&[u8]>)| {
                list.insert(Header { key, value: *value })
            };
            record = record.headers(headers.iter().fold(list, add));
        }
        self.producer.send(record).map_err(|(error, _)| error)?;
        self.written += 1;
        Ok(self.producer.flush(Duration::from_secs(30))?)
    }

    /// Starts an instance.
    pub(crate) fn start(&self, settings: &[(&str, &str)]) -> Result<Process> {
        let services = services::shared();
        let clusters = serde_json::json!({ "test": { "url": services.bootstrap } });
        let names = [&self.input, &self.output, &self.failure];
        let topics: BTreeMap<_, _> =
            names.map(|topic| (topic.clone(), serde_json::json!({ "cluster": "test" }))).into();
        let mut command = Command::new(FUNNEL);
        command
            .args(["run", "--config"])
            .arg(self.directory.path().join("funnel.yaml"))
            .env("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters.to_string())
            .env("NU_TOPIC_CONFIGS_JSON", serde_json::to_string(&topics)?)
            .env("NU_SCHEMA_REGISTRY_URL", &services.registry)
            .env("NU_APP_NAME", &self.app)
            .env("NU_HOSTNAME", format!("{}-0", self.app))
            .env("NU_HEALTH_FILE", self.directory.path().join("health"))
            .env("NU_CONSUMER_AUTO_OFFSET_RESET", "earliest")
            .env("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", "6")
            .env("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS", "1")
            .env("NU_CONSUMER_POLL_TIMEOUT", "1")
            .env("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "5")
            .env("NU_PRODUCE_FAILURE_TOPICS", &self.failure)
            .env("NU_DO_METRICS_PUSHING", "false")
            .envs(settings.iter().copied());
        Process::spawn("funnel", self.directory.path(), &mut command)
    }

    /// Waits until all that was written is committed; the process must not end before.
    pub(crate) fn drained(&self, process: &Process) -> Result<()> {
        let at = Partition::new(&self.input, 0);
        eventually("the funnel to commit all inputs", DEADLINE, || {
            match process.exit_status() {
                Ok(None) => {}
                ended => {
                    let log = process.log_tail();
                    return Look::Ready(Err(anyhow::anyhow!("it ended: {ended:?}\n{log}")));
                }
            }
            let bootstrap = &services::shared().bootstrap;
            match committed(bootstrap, &self.app, std::slice::from_ref(&at)) {
                Ok(now) if now.get(&at) == Some(&self.written) => Look::Ready(Ok(())),
                Ok(now) => Look::NotYet(format!("{now:?} of {}", self.written)),
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
