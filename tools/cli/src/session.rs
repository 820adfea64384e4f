//! What every command begins with: the settings, and which cluster and registry they lead to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use nubium_admin::{Admin, Limits};
use nubium_config::{Cluster, Clusters, Registry as RegistrySettings, Topology};
use nubium_host::Stop;
use nubium_registry::{Codec, Registry, RegistryConfig, RegistryError};
use tokio::runtime::Runtime;

use crate::terminal;
use nubium_host::failure::{Failure, Or as _, Outcome};

/// The options that every command has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// A file of NAME=value lines with NU_* settings; the environment wins over it.
    #[arg(long, global = true, env = "DUDE_CONFIG_FILE", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// The cluster, by its name in the map of clusters; else the one that the topic is mapped to.
    #[arg(long, short = 'c', global = true, env = "DUDE_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
    /// Brokers to use instead of the maps of clusters and topics.
    #[arg(long, global = true, env = "DUDE_BOOTSTRAP", value_name = "HOST:PORT")]
    pub bootstrap: Option<String>,
    /// Schema registry to use instead of NU_SCHEMA_REGISTRY_URL.
    #[arg(long, global = true, env = "DUDE_REGISTRY", value_name = "URL")]
    pub registry: Option<String>,
    /// How long Kafka and the registry may take to answer, in seconds.
    #[arg(long, global = true, env = "DUDE_TIMEOUT_SECONDS", value_name = "N")]
    #[arg(default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Print results as JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not ask.
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Show what the clients log.
    #[arg(long, short = 'v', global = true)]
    pub verbose: bool,
}

/// Names the cluster that `--bootstrap` makes.
const AD_HOC: &str = "bootstrap";
/// Settings whose value is a path, which a file of settings gives from its own directory.
const PATHS: [&str; 3] = ["_YAML", "_FILE", "_LOCATION"];

/// Holds the settings of one run and what they lead to.
#[derive(Debug)]
pub struct Session {
    /// Clusters, topics and registry.
    pub topology: Topology,
    /// The options of the command line.
    pub options: Global,
    /// Runs what is asked of the registry and the admin client.
    pub runtime: Runtime,
    /// Requested by INT and TERM.
    pub stop: Stop,
    /// What the app whose environment is at hand consumes.
    pub consumed: Vec<String>,
}

/// Where a command works.
#[derive(Debug, Clone)]
pub struct Target {
    /// The cluster's name in the map.
    pub name: String,
    /// How to reach it.
    pub cluster: Cluster,
}

impl Session {
    /// Reads file, environment and options. A command that has no use for a cluster starts without
    /// the map of clusters too.
    ///
    /// # Errors
    /// All that is wrong with them at once.
    pub fn open(options: &Global, needs_cluster: bool) -> Outcome<Self> {
        // What librdkafka logs of connections explains why nothing comes.
        let level = if options.verbose { "INFO,librdkafka=debug" } else { "ERROR" };
        let level = level.parse().map_err(anyhow::Error::msg).or_host()?;
        nubium_host::logging::init(&level, nubium_host::logging::LogFormat::Text).or_host()?;
        let (mut vars, options) = variables(options)?;
        let consumed = vars.remove("NU_CONSUME_TOPICS").map(|text| names(&text));
        let clusters = if needs_cluster { Clusters::Needed } else { Clusters::Optional };
        let topology = Topology::from_vars(vars, clusters).map_err(Failure::settings)?;
        for warning in &topology.warnings {
            terminal::tell(format!("warning: {warning}"));
        }
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.context("async runtime").or_host()?;
        let (stop, consumed) = (Stop::new(), consumed.unwrap_or_default());
        Ok(Self { topology, options, runtime, stop, consumed })
    }

    /// How long an answer may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.options.timeout)
    }

    /// Lets INT and TERM end the work in good order instead of ending the process.
    ///
    /// # Errors
    /// The system has no handler or thread left.
    pub fn obey_signals(&self) -> Outcome {
        nubium_host::signals::install(&self.stop).context("signal handlers").or_host()
    }

    /// Finds the cluster: the one named, else the one that all `topics` are mapped to, else the
    /// only one.
    ///
    /// # Errors
    /// There is no such cluster, or more than one.
    pub fn target(&self, topics: &[&str]) -> Outcome<Target> {
        let ad_hoc = self.options.bootstrap.as_ref().map(|_| AD_HOC);
        let named = ad_hoc.or(self.options.cluster.as_deref());
        let (name, cluster) = match named {
            Some(name) => match self.topology.clusters.get_key_value(name) {
                Some((name, cluster)) => (name.as_str(), cluster),
                None => return Err(Failure::settings(self.unknown_cluster(name))),
            },
            None => self.topology.cluster_for(topics).map_err(|problem| {
                Failure::settings(format!("{problem}\nor name a cluster: {}", self.clusters()))
            })?,
        };
        Ok(Target { name: name.to_owned(), cluster: cluster.clone() })
    }

    /// Finds the clusters of a command that works on several: the one named, else all.
    ///
    /// # Errors
    /// There is no cluster of that name.
    pub fn targets(&self) -> Outcome<Vec<Target>> {
        if self.options.cluster.is_some() || self.options.bootstrap.is_some() {
            return Ok(vec![self.target(&[])?]);
        }
        let target = |(name, cluster): (&String, &Cluster)| Target {
            name: name.clone(),
            cluster: cluster.clone(),
        };
        Ok(self.topology.clusters.iter().map(target).collect())
    }

    fn unknown_cluster(&self, name: &str) -> String {
        format!("--cluster {name}: no cluster has this name; there is {}", self.clusters())
    }

    fn clusters(&self) -> String {
        let names: Vec<_> =
            self.topology.clusters.keys().map(|n| format!("--cluster {n}")).collect();
        names.join(", ")
    }

    /// Connects the admin client.
    ///
    /// # Errors
    /// No broker answers, or lets us in.
    pub fn admin(&self, target: &Target) -> Outcome<Admin> {
        let limits = Limits { answer: self.timeout(), ..Limits::default() };
        let admin = Admin::connect_within(&target.cluster, "dude", limits);
        let admin = self.runtime.block_on(admin);
        Ok(admin.with_context(|| format!("cluster {}", target.name))?)
    }

    /// Makes the codec of the schema registry.
    ///
    /// # Errors
    /// No registry is given, or its URL is wrong.
    pub fn codec(&self) -> Outcome<Codec> {
        let codec = Codec::new(self.schemas()?);
        codec.set_topics(self.topology.topic_schemas());
        Ok(codec)
    }

    /// Makes the codec, or one without schemas where no registry is given.
    ///
    /// # Errors
    /// The registry's URL is wrong.
    pub fn codec_or_none(&self) -> Outcome<Option<Codec>> {
        self.topology.registry.as_ref().map(|_| self.codec()).transpose()
    }

    /// Makes the client of the registry.
    ///
    /// # Errors
    /// No registry is given, or its URL is wrong.
    pub fn schemas(&self) -> Outcome<Registry> {
        let mut config = RegistryConfig::from(self.registry()?);
        config.startup_deadline = self.timeout();
        config.not_found_grace = Duration::from_secs(1);
        let registry = Registry::new(config, self.runtime.handle().clone());
        registry.context("schema registry").or_settings()
    }

    /// Waits for what the registry answers.
    ///
    /// # Errors
    /// As the question has it.
    pub fn ask<T>(&self, question: impl Future<Output = Result<T, RegistryError>>) -> Outcome<T> {
        self.runtime.block_on(question).or_refused()
    }

    /// Finds the registry's settings.
    ///
    /// # Errors
    /// No registry is given.
    pub fn registry(&self) -> Outcome<&RegistrySettings> {
        let what = "no schema registry is given: set NU_SCHEMA_REGISTRY_URL or --registry URL";
        self.topology.registry.as_ref().ok_or_else(|| Failure::settings(what))
    }
}

impl Target {
    /// Refuses what destroys on a cluster that is marked so.
    ///
    /// # Errors
    /// The cluster is protected.
    pub fn may_destroy(&self, what: &str) -> Outcome {
        match self.cluster.protected {
            false => Ok(()),
            true => Err(Failure::no(format!(
                "cluster {} is protected, so dude does not {what} there. Take `protected` out of \
                 its entry in the map of clusters if it shall.",
                self.name
            ))),
        }
    }
}

/// Takes the names of a list.
fn names(text: &str) -> Vec<String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Lays file, environment and options over each other. The file may name a cluster, brokers or a
/// registry too.
fn variables(options: &Global) -> Outcome<(BTreeMap<String, String>, Global)> {
    let mut options = options.clone();
    let mut vars = match &options.config_file {
        Some(file) => read_file(file)?,
        None => BTreeMap::new(),
    };
    for (name, value) in std::env::vars_os() {
        let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
        vars.insert(name, value);
    }
    vars.retain(|_, value| !value.trim().is_empty());
    for (option, name) in [
        (&mut options.cluster, "DUDE_CLUSTER"),
        (&mut options.bootstrap, "DUDE_BOOTSTRAP"),
        (&mut options.registry, "DUDE_REGISTRY"),
    ] {
        *option = option.take().or_else(|| vars.get(name).cloned());
    }
    if let Some(bootstrap) = &options.bootstrap {
        let clusters = serde_json::json!({ AD_HOC: { "url": bootstrap } });
        vars.remove("NU_KAFKA_CLUSTERS_CONFIGS_YAML");
        vars.insert("NU_KAFKA_CLUSTERS_CONFIGS_JSON".into(), clusters.to_string());
        // It names the clusters of the other map.
        vars.remove("NU_TOPIC_CONFIGS_YAML");
        vars.remove("NU_TOPIC_CONFIGS_JSON");
    }
    if let Some(registry) = &options.registry {
        vars.insert("NU_SCHEMA_REGISTRY_URL".into(), registry.clone());
    }
    Ok((vars, options))
}

fn read_file(file: &Path) -> Outcome<BTreeMap<String, String>> {
    let what = || format!("--config-file {}", file.display());
    let lines = dotenvy::from_path_iter(file).with_context(what).or_settings()?;
    let mut vars = BTreeMap::new();
    for line in lines {
        // The error quotes the line, which may hold a password.
        let line = line.map_err(|error| match error {
            dotenvy::Error::LineParse(_, at) => {
                anyhow!("{}: a line is not NAME=value (at its byte {at})", what())
            }
            other => anyhow!("{}: {other}", what()),
        });
        let (name, value) = line.or_settings()?;
        vars.insert(name.clone(), from_directory(&name, value, file));
    }
    Ok(vars)
}

fn from_directory(name: &str, value: String, file: &Path) -> String {
    let is_path = name.starts_with("NU_") && PATHS.iter().any(|end| name.ends_with(end));
    match file.parent() {
        Some(directory)
            if is_path && !value.trim().is_empty() && Path::new(&value).is_relative() =>
        {
            directory.join(&value).to_string_lossy().into_owned()
        }
        _ => value,
    }
}
