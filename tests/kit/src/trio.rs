//! Three brokers with three copies of everything, each behind a proxy of its own: to lose one, to
//! move leaders and coordinators, and to hurt a client at an exact request to any of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tempfile::TempDir;

use crate::install::{Installed, run};
use crate::kproxy::Proxy;
use crate::process::{Process, Signal};
use crate::wait::{Look, eventually};
use crate::{ports, reaper};

const PROPERTIES: &str = include_str!("../services/broker.properties");
const MORE: &str = include_str!("../services/trio.properties");
const LOG4J: &str = include_str!("../services/log4j2.xml");
const CLUSTER_ID: &str = "bnViaXVtLXRyaW8tMTIzNA";
const DEADLINE: Duration = Duration::from_secs(180);

/// Three brokers and their proxies; killed on drop.
#[derive(Debug)]
pub struct Trio {
    installed: Installed,
    nodes: Vec<Node>,
    _dir: TempDir,
}

#[derive(Debug)]
struct Node {
    dir: PathBuf,
    direct: u16,
    proxy: Proxy,
    process: Option<Process>,
}

impl Trio {
    /// Formats and starts all three, and waits until they know each other.
    ///
    /// # Errors
    /// Java says why, or they do not answer in time.
    pub fn start(installed: &Installed) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("nubium-trio-").tempdir()?;
        reaper::clean(dir.path())?;
        let ports = ports::free::<9>()?;
        let voters = (0..3).map(|i| format!("{}@127.0.0.1:{}", i + 1, ports[3 * i + 2]));
        let voters = voters.collect::<Vec<_>>().join(",");
        let mut nodes = Vec::new();
        for (index, of) in ports.chunks_exact(3).enumerate() {
            nodes.push(Node::format(installed, dir.path(), index, of, &voters)?);
        }
        let mut trio = Self { installed: installed.clone(), nodes, _dir: dir };
        for index in 0..3 {
            trio.start_again(index)?;
        }
        trio.until_whole()?;
        Ok(trio)
    }

    /// The listeners for the test's own clients.
    pub fn bootstrap(&self) -> String {
        let all = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.direct));
        all.collect::<Vec<_>>().join(",")
    }

    /// The listeners behind the proxies.
    pub fn proxied(&self) -> String {
        self.nodes.iter().map(|node| node.proxy.bootstrap()).collect::<Vec<_>>().join(",")
    }

    /// The proxy in front of a broker.
    pub fn proxy(&self, index: usize) -> &Proxy {
        &self.nodes[index].proxy
    }

    /// The process of a broker.
    ///
    /// # Errors
    /// It does not run.
    pub fn process(&self, index: usize) -> Result<&Process> {
        self.nodes[index].process.as_ref().context("the broker is gone already")
    }

    /// Kills a broker at once.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self, index: usize) -> Result<()> {
        self.nodes[index].process.take().context("the broker is gone already")?.kill()
    }

    /// Stops a broker in good order.
    ///
    /// # Errors
    /// It does not run, or does not end in time.
    pub fn stop(&mut self, index: usize) -> Result<()> {
        self.process(index)?.signal(Signal::TERM)?;
        self.process(index)?.wait(DEADLINE)?;
        self.nodes[index].process = None;
        Ok(())
    }

    /// Starts a broker that does not run.
    ///
    /// # Errors
    /// Java cannot be started.
    pub fn start_again(&mut self, index: usize) -> Result<()> {
        let node = &mut self.nodes[index];
        let mut java = java(&self.installed, &node.dir, "kafka.Kafka");
        java.arg("broker.properties");
        node.process = Some(Process::spawn("broker", &node.dir, &mut java)?);
        Ok(())
    }

    /// Waits until every broker that runs answers, and every partition has as many copies in order.
    ///
    /// # Errors
    /// They do not in time, or one has ended.
    pub fn until_whole(&self) -> Result<()> {
        let alive = self.nodes.iter().filter(|node| node.process.is_some()).count();
        let client = self.client()?;
        eventually("all brokers with all copies", DEADLINE, || {
            for process in self.nodes.iter().filter_map(|node| node.process.as_ref()) {
                if !process.is_running() {
                    return Look::Ready(Err(anyhow!("a broker ended:\n{}", process.log_tail())));
                }
            }
            match client.fetch_metadata(None, Duration::from_secs(2)) {
                Err(error) => Look::NotYet(error.to_string()),
                Ok(found) => {
                    let mut all = found.topics().iter().flat_map(|topic| topic.partitions());
                    let whole = all.all(|p| p.isr().len() >= alive && p.leader() >= 0);
                    match found.brokers().len() >= alive && whole {
                        true => Look::Ready(Ok(())),
                        false => Look::NotYet(format!("{} brokers", found.brokers().len())),
                    }
                }
            }
        })?
    }

    /// Which broker leads a partition of a topic.
    ///
    /// # Errors
    /// The cluster does not say in time.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<usize> {
        let client = self.client()?;
        eventually(&format!("a leader of {topic}[{partition}]"), DEADLINE, || {
            let found = client.fetch_metadata(Some(topic), Duration::from_secs(2));
            let leader = found.ok().and_then(|found| {
                let partitions = found.topics().first()?.partitions();
                partitions.iter().find(|p| p.id() == partition).map(|p| p.leader())
            });
            match leader.and_then(|id| usize::try_from(id - 1).ok()) {
                Some(index) => Look::Ready(index),
                None => Look::NotYet("none".into()),
            }
        })
    }

    fn client(&self) -> Result<BaseConsumer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap()).set("log_level", "0");
        config.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        config.create().context("cannot make a client")
    }
}

impl Node {
    fn format(
        installed: &Installed,
        dir: &Path,
        index: usize,
        ports: &[u16],
        voters: &str,
    ) -> Result<Self> {
        let dir = dir.join(format!("broker-{index}"));
        let proxy = Proxy::listen()?;
        fs::create_dir_all(&dir)?;
        let node_wide = ["node.id=", "controller.quorum.bootstrap.servers="];
        let shared = PROPERTIES.lines().filter(|l| !node_wide.iter().any(|n| l.starts_with(n)));
        let properties = format!("{}\n{MORE}", shared.collect::<Vec<_>>().join("\n"))
            .replace("{id}", &(index + 1).to_string())
            .replace("{voters}", voters)
            .replace("{direct}", &ports[0].to_string())
            .replace("{proxied}", &ports[1].to_string())
            .replace("{controller}", &ports[2].to_string())
            .replace("{advertised}", &proxy.port().to_string())
            .replace("{dir}", &dir.display().to_string());
        fs::write(dir.join("broker.properties"), properties)?;
        fs::write(dir.join("log4j2.xml"), LOG4J)?;
        let mut format = java(installed, &dir, "kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c", "broker.properties"]);
        run(&mut format).context("cannot format a broker's log directory")?;
        proxy.forward_to(ports[1]);
        Ok(Self { dir, direct: ports[0], proxy, process: None })
    }
}

fn java(installed: &Installed, dir: &Path, main: &str) -> Command {
    let mut java = Command::new(&installed.java);
    java.current_dir(dir)
        .args(["-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        .arg("-Dlog4j2.configurationFile=log4j2.xml")
        .arg("-cp")
        .arg(installed.kafka.join("*"))
        .arg(main);
    java
}
