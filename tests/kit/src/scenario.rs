//! Ties a test together: topics, the app's environment, its instances, and the verdict.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer as _};
use tempfile::TempDir;

use crate::checker::{Evidence, Extent, Output, assert_exactly_once};
use crate::ledger::{Ledger, OUTPUT_SCHEMA, Partition};
use crate::process::Process;
use crate::reader::{Progress, Raw, committed, read_all, settled};
use crate::topics;
use crate::wait::{Look, eventually};

/// Ends a hopeless wait; the slowest of the runs needs a third of it on two cores.
pub const DEADLINE: Duration = Duration::from_secs(180);
/// Longer than any transaction of the apps under test may stay open.
const SETTLE_DEADLINE: Duration = Duration::from_secs(60);

/// The addresses a scenario works with.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Where the test's own clients bootstrap.
    pub bootstrap: String,
    /// Where the app bootstraps: the same, or a proxy.
    pub app_bootstrap: String,
    /// The registry that the app is told.
    pub registry: String,
}

impl Cluster {
    /// The services that all tests share.
    pub fn shared() -> Self {
        let services = crate::services::shared();
        Self {
            bootstrap: services.bootstrap.clone(),
            app_bootstrap: services.bootstrap.clone(),
            registry: services.registry.clone(),
        }
    }
}

/// One app, its inputs and its output.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The addresses.
    pub cluster: Cluster,
    /// The input topics.
    pub inputs: Vec<String>,
    /// The output topic.
    pub output: String,
    /// The consumer group, which is also the app's name.
    pub group: String,
    environment: BTreeMap<String, String>,
    logs: Arc<TempDir>,
}

impl Scenario {
    /// Makes an output topic and a group of their own for an app that reads these topics.
    ///
    /// # Errors
    /// The cluster refuses.
    pub fn new(name: &str, cluster: &Cluster, inputs: &[&str], partitions: i32) -> Result<Self> {
        let group = topics::unique(name);
        let output = format!("{group}-out");
        topics::create(&cluster.bootstrap, &[(&output, partitions)])?;
        let inputs: Vec<_> = inputs.iter().map(|topic| (*topic).to_owned()).collect();
        let mut scenario = Self {
            cluster: cluster.clone(),
            inputs,
            output,
            group,
            environment: BTreeMap::new(),
            logs: Arc::new(tempfile::Builder::new().prefix("nubium-eos-").tempdir()?),
        };
        scenario.environment = scenario.base_environment();
        Ok(scenario)
    }

    /// Settings of the app that make faults visible soon: short sessions and transactions.
    fn base_environment(&self) -> BTreeMap<String, String> {
        let topics = self.inputs.iter().chain([&self.output]);
        let topics: serde_json::Map<_, _> =
            topics.map(|topic| (topic.clone(), serde_json::json!({ "cluster": "test" }))).collect();
        let clusters = serde_json::json!({ "test": { "url": self.cluster.app_bootstrap } });
        let settings = [
            ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters.to_string()),
            ("NU_TOPIC_CONFIGS_JSON", serde_json::Value::from(topics).to_string()),
            ("NU_SCHEMA_REGISTRY_URL", self.cluster.registry.clone()),
            ("NU_APP_NAME", self.group.clone()),
            ("NU_MP_PROJECT", "nubium-tests".into()),
            ("NU_CONSUMER_AUTO_OFFSET_RESET", "earliest".into()),
            ("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", "6".into()),
            ("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS", "1".into()),
            ("NU_CONSUMER_POLL_TIMEOUT", "1".into()),
            ("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "5".into()),
            ("NU_DO_METRICS_PUSHING", "false".into()),
            ("LEDGER_BOOTSTRAP", self.cluster.app_bootstrap.clone()),
            ("LEDGER_REGISTRY", self.cluster.registry.clone()),
            ("LEDGER_INPUTS", self.inputs.join(",")),
            ("LEDGER_OUTPUT", self.output.clone()),
            ("LEDGER_OUTPUT_SCHEMA", OUTPUT_SCHEMA.into()),
        ];
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Sets a variable of the app's environment, for every instance started from now on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Starts an instance; its host name is the transactional id.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&self, program: &str, host: &str) -> Result<Process> {
        self.start_as(program, host, host)
    }

    /// Starts an instance under another name for its log and health file.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start_as(&self, program: &str, host: &str, name: &str) -> Result<Process> {
        let health = self.logs.path().join(format!("{name}.health"));
        let mut command = Command::new(program);
        command
            .envs(&self.environment)
            .env("NU_HOSTNAME", self.host(host))
            .env("NU_HEALTH_FILE", health);
        Process::spawn(name, self.logs.path(), &mut command)
    }

    /// A setting as it is now.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// All settings.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The full host name of an instance, unique on the cluster.
    pub fn host(&self, host: &str) -> String {
        format!("{}-{host}", self.group)
    }

    /// Ends the transaction that a killed instance left open, as one that is started again under the
    /// same name does; else readers wait until it is too old.
    ///
    /// # Errors
    /// The broker says why.
    pub fn settle(&self, host: &str) -> Result<()> {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.cluster.bootstrap)
            .set("transactional.id", self.host(host))
            .create()?;
        Ok(producer.init_transactions(DEADLINE)?)
    }

    /// Where the logs of the instances are.
    pub fn logs(&self) -> &Path {
        self.logs.path()
    }

    /// Watches how many records the output holds.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn progress(&self) -> Result<Progress> {
        Progress::of(&self.cluster.bootstrap, &self.output)
    }

    /// Waits until the group has committed the whole ledger, or `tend` fails.
    ///
    /// # Errors
    /// `tend` fails, or the deadline passes: says how far the group has come.
    pub fn drained(&self, ledger: &Ledger, mut tend: impl FnMut() -> Result<()>) -> Result<()> {
        let ends = ledger.ends();
        eventually("the group to commit all inputs", DEADLINE, || {
            if let Err(error) = tend() {
                return Look::Ready(Err(error));
            }
            match committed(&self.cluster.bootstrap, &self.group, ledger.partitions()) {
                Ok(now) if ends.iter().all(|(p, end)| now.get(p) == Some(end)) => {
                    Look::Ready(Ok(()))
                }
                Ok(now) => Look::NotYet(format!("{now:?} of {ends:?}")),
                Err(error) => Look::NotYet(format!("{error:#}")),
            }
        })?
    }

    /// Gathers what there is to see once no transaction is open any more.
    ///
    /// # Errors
    /// A transaction stays open, or the output holds what no app under test writes.
    pub fn evidence(&self, partitions: &[Partition]) -> Result<(Evidence, Vec<Raw>)> {
        let bootstrap = &self.cluster.bootstrap;
        let ends = settled(bootstrap, &[&self.output], SETTLE_DEADLINE)?;
        // Transactions of offsets alone show on no output: pending ones make this wait.
        let committed = eventually("stable offsets", SETTLE_DEADLINE, || {
            Look::from_result(committed(bootstrap, &self.group, partitions))
        })?;
        let raw = read_all(bootstrap, &[&self.output])?;
        let outputs = raw.iter().map(Raw::output).collect::<Result<Vec<Output>>>()?;
        Ok((Evidence { outputs, committed, ends }, raw))
    }

    /// Checks every promise on what there is to see now, and returns the output's records.
    ///
    /// # Errors
    /// As [`Scenario::evidence`].
    ///
    /// # Panics
    /// A promise is broken.
    pub fn verify(&self, ledger: &Ledger, extent: Extent) -> Result<Vec<Raw>> {
        let (evidence, raw) = self.evidence(ledger.partitions())?;
        assert_exactly_once(ledger, &evidence, extent);
        Ok(raw)
    }
}

/// An instance that is started again whenever it ends, as an orchestrator would do.
#[derive(Debug)]
pub struct Kept<'a> {
    scenario: Cow<'a, Scenario>,
    program: &'static str,
    host: String,
    process: Process,
    exits: Vec<ExitStatus>,
}

impl<'a> Kept<'a> {
    /// Starts an instance.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(scenario: &'a Scenario, program: &'static str, host: &str) -> Result<Self> {
        Self::of(Cow::Borrowed(scenario), program, host)
    }

    /// Starts an instance of a scenario that it may have for itself.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn of(scenario: Cow<'a, Scenario>, program: &'static str, host: &str) -> Result<Self> {
        let process = scenario.start(program, host)?;
        Ok(Self { scenario, program, host: host.to_owned(), process, exits: Vec::new() })
    }

    /// The process that runs now.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// How it ended each time, apart from [`Kept::kill`].
    pub fn exits(&self) -> &[ExitStatus] {
        &self.exits
    }

    /// Kills it at once and starts it again.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.scenario.start(self.program, &self.host)?;
        Ok(())
    }

    /// Starts it again if it has ended by itself.
    ///
    /// # Errors
    /// It has ended too often: shows its log.
    pub fn tend(&mut self) -> Result<()> {
        const MOST_EXITS: usize = 20;
        let Some(status) = self.process.exit_status()? else { return Ok(()) };
        self.exits.push(status);
        if self.exits.len() > MOST_EXITS {
            let log = self.process.log_tail();
            return Err(anyhow!("{} ends again and again: {status}\n{log}", self.host));
        }
        self.process = self.scenario.start(self.program, &self.host)?;
        Ok(())
    }
}

/// Draws a seed, or takes it from `NUBIUM_TEST_SEED` to repeat a run, and logs it.
pub fn seeded(test: &str) -> StdRng {
    let given = std::env::var("NUBIUM_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| rand::rng().random());
    #[expect(clippy::print_stderr, reason = "shown with the failed test's output")]
    {
        eprintln!("{test}: NUBIUM_TEST_SEED={seed}");
    }
    StdRng::seed_from_u64(seed)
}

/// Runs something again and again on a thread of its own while a test goes on.
#[derive(Debug)]
pub struct Background {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Background {
    /// Starts it; it is called until it fails or is stopped.
    pub fn repeat(mut step: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                step()?;
            }
            Ok(())
        });
        Self { stop, thread }
    }

    /// Stops it.
    ///
    /// # Errors
    /// It failed.
    pub fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Release);
        let ended = self.thread.join().map_err(|_| anyhow!("a background task panicked"))?;
        ended.context("a background task")
    }
}
