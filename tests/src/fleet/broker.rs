//! Three brokers that ask who is there (SASL_SSL, SCRAM) and what may be done (ACLs), with three
//! copies of everything.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::network::Network;
use super::secrets::{Secrets, USERS};
use nubium_test_kit::install::{Installed, run};
use nubium_test_kit::process::Process;
use nubium_test_kit::tls::Authority;
use nubium_test_kit::wait::{Look, eventually};

const PROPERTIES: &str = include_str!("../../kit/services/fleet.properties");
const LOG4J: &str = include_str!("../../kit/services/log4j2.xml");
const CLUSTER_ID: &str = "bnViaXVtLWZsZWV0LTEyMw";
const DEADLINE: Duration = Duration::from_secs(180);

/// The brokers; they are killed on drop.
#[derive(Debug)]
pub struct Brokers {
    installed: Installed,
    directories: Vec<PathBuf>,
    addresses: Vec<Ipv4Addr>,
    processes: Vec<Option<Process>>,
}

impl Brokers {
    /// Formats and starts all three, and waits until they know each other.
    ///
    /// # Errors
    /// Java says why, or they do not answer in time.
    pub fn start(
        installed: &Installed,
        network: &Network,
        authority: &Authority,
        secrets: &Secrets,
        dir: &Path,
    ) -> Result<Self> {
        let addresses: Vec<_> =
            [11, 12, 13].into_iter().map(|last| network.outside(last)).collect::<Result<_>>()?;
        let directories = (0..3).map(|index| dir.join(format!("broker-{index}"))).collect();
        let mut brokers = Self {
            installed: installed.clone(),
            directories,
            addresses,
            processes: vec![None, None, None],
        };
        for index in 0..3 {
            brokers.format(index, authority, secrets)?;
        }
        for index in 0..3 {
            brokers.spawn(index)?;
        }
        brokers.until_whole()?;
        Ok(brokers)
    }

    /// The name that clients know a broker by.
    pub fn name(index: usize) -> String {
        format!("kafka-{index}.example.com")
    }

    /// Where a broker is.
    pub fn addresses(&self) -> &[Ipv4Addr] {
        &self.addresses
    }

    /// The listener where everybody may do everything, for the test's own clients.
    pub fn bootstrap(&self) -> String {
        let all = self.addresses.iter().map(|address| format!("{address}:9092"));
        all.collect::<Vec<_>>().join(",")
    }

    fn format(&self, index: usize, authority: &Authority, secrets: &Secrets) -> Result<()> {
        let dir = &self.directories[index];
        fs::create_dir_all(dir)?;
        authority.write(&dir.join("ca.pem"))?;
        fs::write(dir.join("broker.pem"), authority.issue(&[&Self::name(index)])?)?;
        fs::write(dir.join("log4j2.xml"), LOG4J)?;
        let voters = self.addresses.iter().enumerate();
        let voters = voters.map(|(id, address)| format!("{}@{address}:9091", id + 1));
        let properties = PROPERTIES
            .replace("{id}", &(index + 1).to_string())
            .replace("{address}", &self.addresses[index].to_string())
            .replace("{name}", &Self::name(index))
            .replace("{voters}", &voters.collect::<Vec<_>>().join(","))
            .replace("{dir}", &dir.display().to_string());
        fs::write(dir.join("broker.properties"), properties)?;
        let mut format = self.java(index, "kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c", "broker.properties"]);
        for user in USERS {
            let password = secrets.password(user);
            format.arg("--add-scram");
            format.arg(format!("SCRAM-SHA-512=[name={user},password={password}]"));
        }
        run(&mut format).map(drop).context("cannot format a broker's log directory")
    }

    fn spawn(&mut self, index: usize) -> Result<()> {
        let mut java = self.java(index, "kafka.Kafka");
        java.arg("broker.properties");
        let process = Process::spawn("broker", &self.directories[index], &mut java)?;
        self.processes[index] = Some(process);
        Ok(())
    }

    fn java(&self, index: usize, main: &str) -> Command {
        let mut java = Command::new(&self.installed.java);
        java.current_dir(&self.directories[index])
            .args(["-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dlog4j2.configurationFile=log4j2.xml")
            .arg("-cp")
            .arg(self.installed.kafka.join("*"))
            .arg(main);
        java
    }

    /// Kills a broker at once.
    ///
    /// # Errors
    /// It is not there.
    pub fn kill(&mut self, index: usize) -> Result<()> {
        self.processes[index].take().context("the broker is gone already")?.kill()
    }

    /// Starts a broker that was killed.
    ///
    /// # Errors
    /// Java cannot be started.
    pub fn start_again(&mut self, index: usize) -> Result<()> {
        self.spawn(index)
    }

    /// Waits until all three are there and every partition has its three copies in order.
    ///
    /// # Errors
    /// They are not in time.
    pub fn until_whole(&self) -> Result<()> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .set("log_level", "0")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
            .create()?;
        eventually("three brokers with three copies", DEADLINE, || {
            for (index, process) in self.processes.iter().enumerate() {
                if process.as_ref().is_some_and(|process| !process.is_running()) {
                    let tail = process.as_ref().map(Process::log_tail).unwrap_or_default();
                    return Look::Ready(Err(anyhow!("broker {index} ended:\n{tail}")));
                }
            }
            match client.fetch_metadata(None, Duration::from_secs(2)) {
                Err(error) => Look::NotYet(error.to_string()),
                Ok(found) => {
                    let mut all = found.topics().iter().flat_map(|topic| topic.partitions());
                    let whole = all.all(|partition| partition.isr().len() == 3);
                    match found.brokers().len() == 3 && whole {
                        true => Look::Ready(Ok(())),
                        false => Look::NotYet(format!("{} brokers", found.brokers().len())),
                    }
                }
            }
        })?
    }
}
