//! Runs a real Apache Kafka broker (KRaft, one node) on free ports, with its log in a directory
//! that outlives a restart.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::install::{self, Installed};
use crate::ports;
use crate::process::{Process, Signal};
use crate::wait::{Look, eventually};

const PROPERTIES: &str = include_str!("../services/broker.properties");
const LOG4J: &str = include_str!("../services/log4j2.xml");
/// The same for Log4j 1, which Kafka 3 logs through.
const OLD_LOG4J: &str = include_str!("../services/log4j.properties");
// Any 16 bytes in base64; every broker has a directory of its own.
const CLUSTER_ID: &str = "bnViaXVtLXRlc3RzLTEyMw";
const START_DEADLINE: Duration = Duration::from_secs(120);
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// How a broker is to be started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The Java heap in megabytes.
    pub heap_mb: u32,
    /// The port that clients of the proxied listener are told to connect to; see
    /// [`crate::kproxy`]. Without one that listener advertises itself.
    pub advertise: Option<u16>,
    /// Lines that follow the broker's properties; the last of a name counts.
    pub properties: String,
    /// Further arguments for Java.
    pub java: Vec<String>,
    /// Further arguments for the formatting of its log directory.
    pub format: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let (properties, java, format) = (String::new(), Vec::new(), Vec::new());
        Self { heap_mb: 768, advertise: None, properties, java, format }
    }
}

/// A broker of one's own. It is killed on drop, and its directory stays with the caller.
#[derive(Debug)]
pub struct Broker {
    installed: Installed,
    dir: PathBuf,
    heap_mb: u32,
    arguments: Vec<String>,
    direct: u16,
    proxied: u16,
    process: Option<Process>,
}

impl Broker {
    /// Formats a log directory under `dir` and starts a broker on free ports.
    ///
    /// # Errors
    /// Java says why, or the broker does not answer in time (shows its log).
    pub fn start(installed: &Installed, dir: &Path, options: &Options) -> Result<Self> {
        let [direct, proxied, controller] = ports::free()?;
        fs::create_dir_all(dir)?;
        let properties = format!("{PROPERTIES}\n{}", options.properties)
            .replace("{direct}", &direct.to_string())
            .replace("{proxied}", &proxied.to_string())
            .replace("{controller}", &controller.to_string())
            .replace("{advertised}", &options.advertise.unwrap_or(proxied).to_string())
            .replace("{dir}", &dir.display().to_string());
        let properties = match installed.version {
            (3, 0..=8) => fixed_voters(&properties),
            _ => properties,
        };
        fs::write(dir.join("log4j2.xml"), LOG4J)?;
        fs::write(dir.join("log4j.properties"), OLD_LOG4J)?;
        fs::write(dir.join("broker.properties"), properties)?;
        let mut broker = Self {
            installed: installed.clone(),
            dir: dir.to_owned(),
            heap_mb: options.heap_mb,
            arguments: options.java.clone(),
            direct,
            proxied,
            process: None,
        };
        let mut format = broker.java("kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c", "broker.properties"]);
        if installed.version >= (3, 9) {
            format.arg("--standalone");
        }
        format.args(&options.format);
        install::run(&mut format).context("cannot format the broker's log directory")?;
        broker.start_again()?;
        Ok(broker)
    }

    /// Starts the broker after [`Broker::stop`] or [`Broker::kill`]: same ports, same log.
    ///
    /// # Errors
    /// It ends at once, or does not answer in time (shows its log).
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the broker runs already");
        let mut java = self.java("kafka.Kafka");
        java.arg("broker.properties");
        let process = Process::spawn("broker", &self.dir, &mut java)?;
        let bootstrap = self.bootstrap();
        eventually("the broker to answer", START_DEADLINE, || match process.exit_status() {
            Ok(Some(status)) => Look::Ready(Err(anyhow::anyhow!("it ended with {status}"))),
            _ => match answers(&bootstrap) {
                Ok(()) => Look::Ready(Ok(())),
                Err(error) => Look::NotYet(format!("{error:#}")),
            },
        })
        .and_then(|outcome| outcome)
        .with_context(|| format!("the broker does not start\n{}", process.log_tail()))?;
        self.process = Some(process);
        Ok(())
    }

    /// The address clients bootstrap from.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.direct)
    }

    /// The listener behind the advertised port of [`Options::advertise`].
    pub fn proxied_port(&self) -> u16 {
        self.proxied
    }

    /// The broker's process.
    ///
    /// # Errors
    /// It is stopped.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the broker is stopped")
    }

    /// Stops it in good order (SIGTERM).
    ///
    /// # Errors
    /// It does not end in time.
    pub fn stop(&mut self) -> Result<()> {
        self.process()?.signal(Signal::TERM)?;
        self.process()?.wait(STOP_DEADLINE)?;
        self.process = None;
        Ok(())
    }

    /// Kills it at once (SIGKILL).
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process()?.kill()?;
        self.process = None;
        Ok(())
    }

    /// Lets the broker outlive this process, and returns its id.
    ///
    /// # Errors
    /// It is stopped.
    pub fn detach(mut self) -> Result<u32> {
        Ok(self.process.take().context("the broker is stopped")?.detach())
    }

    fn java(&self, main: &str) -> Command {
        let mut java = Command::new(&self.installed.java);
        java.current_dir(&self.dir)
            .arg(format!("-Xmx{}m", self.heap_mb))
            .arg("-Dlog4j2.configurationFile=log4j2.xml")
            .arg("-Dlog4j.configuration=file:log4j.properties")
            .args(&self.arguments)
            .arg("-cp")
            .arg(self.installed.kafka.join("*"))
            .arg(main);
        java
    }
}

/// Before 3.9 a controller knew the others by name (KIP-853 changed it).
fn fixed_voters(properties: &str) -> String {
    properties.replace("controller.quorum.bootstrap.servers=", "controller.quorum.voters=1@")
}

/// Asks a cluster for its metadata once.
///
/// # Errors
/// It does not answer within a second.
pub fn answers(bootstrap: &str) -> Result<()> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // A refused connection is no news while a broker starts.
        .set("log_level", "0")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
        .create()?;
    let metadata = client.fetch_metadata(None, Duration::from_secs(1))?;
    ensure!(!metadata.brokers().is_empty(), "the cluster names no broker");
    Ok(())
}
