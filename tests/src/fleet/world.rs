//! What is outside of the cluster: brokers, a registry, an API that fails, names for all of them,
//! and a Prometheus that scrapes one cache.

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nubium_local::{Answer, Api, Request};
use serde_json::Value;

use super::broker::Brokers;
use super::http;
use super::network::{GATEWAY, Network};
use super::pod::Host;
use super::secrets::Secrets;
use nubium_test_kit::dns::NameServer;
use nubium_test_kit::install::{Installed, ensure_installed, run};
use nubium_test_kit::process::Process;
use nubium_test_kit::registry::Registry;
use nubium_test_kit::tls::{Authority, Terminator};
use nubium_test_kit::wait::{Look, eventually};

const REGISTRY: &str = "registry.example.com";
const API: &str = "api.example.com";
const DEADLINE: Duration = Duration::from_secs(60);

/// Everything that the fleet talks to. It ends when dropped.
pub struct World {
    /// What pods get from where they run.
    pub host: Arc<Host>,
    /// The brokers.
    pub brokers: Brokers,
    /// The API.
    pub api: Upstream,
    _registry: Registry,
    _terminators: Vec<Terminator>,
}

/// An API that fails one request in five: some before the work is done, some after.
pub struct Upstream {
    api: Api,
    failed: Arc<AtomicU32>,
    replayed: Arc<AtomicU32>,
}

impl World {
    /// Starts it below a directory; binaries are named as the images.
    ///
    /// # Errors
    /// Something does not start.
    pub fn start(binaries: &Path, namespace: &str, dir: &Path) -> Result<(Self, NameServer)> {
        let installed = ensure_installed()?;
        let network = Network::start()?;
        let names = NameServer::start_on((GATEWAY, 53).into())?;
        let authorities = ["Brokers", "Registry", "API"].map(Authority::new);
        let [brokers_ca, registry_ca, api_ca] = authorities;
        let (brokers_ca, registry_ca, api_ca) = (brokers_ca?, registry_ca?, api_ca?);
        let trust = [
            ("kafka-ca.pem", brokers_ca.pem().to_owned()),
            ("registry-ca.pem", registry_ca.pem().to_owned()),
            ("api-ca.pem", api_ca.pem().to_owned()),
        ];
        let secrets = Secrets::new(&trust);
        let brokers = Brokers::start(&installed, &network, &brokers_ca, &secrets, dir)?;
        for (index, address) in brokers.addresses().iter().enumerate() {
            names.set_addresses(&Brokers::name(index), &[&address.to_string()]);
        }
        allow(&installed, &brokers.bootstrap())?;
        let registry = Registry::start(&installed, &dir.join("registry"))?;
        let api = Upstream::start(secrets.value("batch-uploader-secrets", "api-token"))?;
        let mut terminators = Vec::new();
        for (last, name, authority, url) in [
            (20, REGISTRY, &registry_ca, registry.url().to_owned()),
            (21, API, &api_ca, api.api.url("")),
        ] {
            let address = network.outside(last)?;
            names.set_addresses(name, &[&address.to_string()]);
            let listen = SocketAddr::from((address, 443));
            terminators.push(Terminator::start_on(listen, authority, &[name], socket(&url)?)?);
        }
        let host = Arc::new(Host {
            network,
            binaries: binaries.to_owned(),
            work: dir.to_owned(),
            logs: dir.join("logs"),
            secrets,
            namespace: namespace.to_owned(),
        });
        let world = Self { host, brokers, api, _registry: registry, _terminators: terminators };
        Ok((world, names))
    }
}

/// The address in an URL.
fn socket(url: &str) -> Result<SocketAddr> {
    let rest = url.strip_prefix("http://").context("an http address")?;
    rest.split('/').next().unwrap_or(rest).parse().with_context(|| url.to_owned())
}

/// Gives the provisioner and dude their rights by Kafka's own tool, as an operator would.
fn allow(installed: &Installed, bootstrap: &str) -> Result<()> {
    let provision = ["Create", "Alter", "Describe", "DescribeConfigs", "AlterConfigs"];
    for (user, operations, resources) in [
        ("provision", &provision[..], &["--cluster", "--topic", "*"][..]),
        ("dude", &["Describe", "Read"][..], &["--topic", "*", "--group", "*"][..]),
    ] {
        let mut java = Command::new(&installed.java);
        java.arg("-cp").arg(installed.kafka.join("*")).arg("org.apache.kafka.tools.AclCommand");
        java.args(["--bootstrap-server", bootstrap, "--add", "--allow-principal"]);
        java.arg(format!("User:{user}"));
        for operation in operations {
            java.args(["--operation", operation]);
        }
        run(java.args(resources)).with_context(|| format!("the rights of {user}"))?;
    }
    Ok(())
}

impl Upstream {
    fn start(token: &str) -> Result<Self> {
        let (failed, replayed) = (Arc::default(), Arc::default());
        let api = Api::start(script(token, Arc::clone(&failed), Arc::clone(&replayed), |_| {}))?;
        Ok(Self { api, failed, replayed })
    }

    /// Tells about every item that is taken for the first time from now on.
    pub fn tell(&self, token: &str, taken: impl Fn(&str) + Send + 'static) {
        let (failed, replayed) = (Arc::clone(&self.failed), Arc::clone(&self.replayed));
        self.api.answer(script(token, failed, replayed, taken));
    }

    /// How many requests failed on purpose, and how many came again that had been done.
    pub fn counts(&self) -> (u32, u32) {
        (self.failed.load(Ordering::Relaxed), self.replayed.load(Ordering::Relaxed))
    }
}

fn script(
    token: &str,
    failed: Arc<AtomicU32>,
    replayed: Arc<AtomicU32>,
    taken: impl Fn(&str) + Send + 'static,
) -> impl FnMut(&Request, usize) -> Answer + Send + 'static {
    let bearer = format!("Bearer {token}");
    let done: Mutex<HashMap<String, Vec<u8>>> = Mutex::default();
    move |request, before| {
        let Some(key) = request.header("idempotency-key") else { return Answer::status(400) };
        if request.header("authorization") != Some(&bearer) {
            return Answer::status(401);
        }
        let fails = before % 5 == 4;
        failed.fetch_add(u32::from(fails), Ordering::Relaxed);
        if fails && before % 2 == 0 {
            return Answer::status(503);
        }
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        match done.get(key) {
            Some(body) if *body != request.body => return Answer::status(409),
            Some(_) => drop(replayed.fetch_add(1, Ordering::Relaxed)),
            None => {
                let items: Vec<Value> = serde_json::from_slice(&request.body).unwrap_or_default();
                items.iter().filter_map(|item| item["email"].as_str()).for_each(&taken);
                done.insert(key.to_owned(), request.body.clone());
            }
        }
        if fails { Answer::Close } else { Answer::status(200) }
    }
}

/// A Prometheus that scrapes the cache's service, by the configuration that is shipped.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    _process: Process,
}

impl Prometheus {
    /// Starts it.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(shipped: &Path, cache: SocketAddr, dir: &Path, logs: &Path) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9090));
        fs::create_dir_all(dir)?;
        let shipped = fs::read_to_string(shipped)?;
        let known = "metrics-cache.monitoring.svc:9091";
        ensure!(shipped.contains(known), "the shipped configuration scrapes another service");
        // The replicas are found by a name server that only pods ask.
        let jobs = shipped.split("  # How the replicas are.").next().unwrap_or_default();
        let config = jobs.replace(known, &cache.to_string());
        let path: PathBuf = dir.join("prometheus.yaml");
        fs::write(&path, format!("global: {{scrape_interval: 2s, scrape_timeout: 2s}}\n{config}"))?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", path.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = Process::spawn("prometheus", logs, &mut command)?;
        let prometheus = Self { address, _process: process };
        eventually("Prometheus to answer", DEADLINE, || {
            Look::from_result(prometheus.query("vector(1)"))
        })?;
        Ok(prometheus)
    }

    /// Asks for the values of an expression, by their labels.
    ///
    /// # Errors
    /// It does not answer.
    pub fn query(&self, expression: &str) -> Result<Vec<(Value, f64)>> {
        let mut encoded = String::new();
        for byte in expression.bytes() {
            encoded += &format!("%{byte:02x}");
        }
        let path = format!("/api/v1/query?query={encoded}");
        let answer = http::get(self.address, &path, Duration::from_secs(10))?;
        ensure!(answer.status == 200, "Prometheus answers {}: {}", answer.status, answer.body);
        let answer: Value = serde_json::from_str(&answer.body)?;
        let results = answer["data"]["result"].as_array().context("no result")?;
        let values = results.iter().map(|one| {
            let value = one["value"][1].as_str().and_then(|text| text.parse().ok());
            (one["metric"].clone(), value.unwrap_or(f64::NAN))
        });
        Ok(values.collect())
    }
}
