//! What every command begins with: the settings, and which cluster and registry they lead to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use nubium_admin::{Admin, Limits};
use nubium_config::{Cluster, Config};
use nubium_host::Stop;
use nubium_registry::{Codec, Registry as Schemas, RegistryConfig};
use tokio::runtime::Runtime;

use crate::failure::{Failure, Or as _, Outcome};
use crate::registry::Registry;
use crate::terminal;

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
/// Stands where no registry is given; a command that needs one says so first.
const NO_REGISTRY: &str = "http://no-registry.invalid";
/// Stands where no cluster is given and none is needed.
const NO_CLUSTER: &str = r#"{"none": {"url": "no-cluster.invalid:9092"}}"#;
/// How the settings begin that a tool follows. Those of an app whose environment is at hand must
/// not get in its way, nor be warned of.
const OURS: [&str; 7] = [
    "NU_KAFKA",
    "NU_TOPIC",
    "NU_SCHEMA",
    "NU_PRODUCER",
    "NU_CONSUMER_MESSAGE",
    "NU_CONSUMER_PROPERTIES",
    "NU_LOG",
];
/// Settings whose value is a path, which a file of settings gives from its own directory.
const PATHS: [&str; 3] = ["_YAML", "_FILE", "_LOCATION"];

/// Holds the settings of one run and what they lead to.
#[derive(Debug)]
pub struct Session {
    /// The settings.
    pub config: Config,
    /// The options of the command line.
    pub options: Global,
    /// Runs what is asked of the registry and the admin client.
    pub runtime: Runtime,
    /// Requested by INT and TERM.
    pub stop: Stop,
    /// What the app whose environment is at hand consumes.
    pub consumed: Vec<String>,
    has_registry: bool,
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
        let level = if options.verbose { "INFO" } else { "ERROR" };
        let level = level.parse().map_err(anyhow::Error::msg).or_host()?;
        nubium_host::logging::init(&level, nubium_host::logging::LogFormat::Text).or_host()?;
        let (mut vars, options) = variables(options)?;
        let consumed = vars.remove("NU_CONSUME_TOPICS").map(|text| names(&text));
        vars.retain(|name, _| {
            !name.to_uppercase().starts_with("NU_") || OURS.iter().any(|our| name.starts_with(our))
        });
        let stand_ins =
            [("NU_APP_NAME", "dude"), ("NU_HOSTNAME", "dude"), ("NU_DO_METRICS_PUSHING", "false")];
        vars.extend(stand_ins.map(|(name, value)| (name.to_owned(), value.to_owned())));
        vars.insert("NU_HEALTH_FILE".into(), "off".into());
        let has_registry = vars.contains_key("NU_SCHEMA_REGISTRY_URL");
        vars.entry("NU_SCHEMA_REGISTRY_URL".into()).or_insert_with(|| NO_REGISTRY.into());
        let mut stands_in = false;
        if !needs_cluster && !vars.contains_key("NU_KAFKA_CLUSTERS_CONFIGS_YAML") {
            vars.entry("NU_KAFKA_CLUSTERS_CONFIGS_JSON".into()).or_insert_with(|| {
                stands_in = true;
                NO_CLUSTER.into()
            });
        }
        let mut loaded = Config::from_vars(vars).map_err(Failure::settings)?;
        if stands_in {
            loaded.config.clusters.clear();
        }
        for warning in &loaded.warnings {
            terminal::tell(format!("warning: {warning}"));
        }
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.context("async runtime").or_host()?;
        let (config, stop) = (loaded.config, Stop::new());
        let consumed = consumed.unwrap_or_default();
        Ok(Self { config, options, runtime, stop, consumed, has_registry })
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
            Some(name) => match self.config.clusters.get_key_value(name) {
                Some((name, cluster)) => (name.as_str(), cluster),
                None => return Err(Failure::settings(self.unknown_cluster(name))),
            },
            None => self.config.cluster_for(topics.iter().copied()).map_err(|problems| {
                Failure::settings(format!("{problems}\nor name a cluster: {}", self.clusters()))
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
        Ok(self.config.clusters.iter().map(target).collect())
    }

    fn unknown_cluster(&self, name: &str) -> String {
        format!("--cluster {name}: no cluster has this name; there is {}", self.clusters())
    }

    fn clusters(&self) -> String {
        let names: Vec<_> = self.config.clusters.keys().map(|n| format!("--cluster {n}")).collect();
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
        self.need_registry()?;
        let mut config = RegistryConfig::from(&self.config.registry);
        config.startup_deadline = self.timeout();
        config.not_found_grace = Duration::from_secs(1);
        let registry = Schemas::new(config, self.runtime.handle().clone());
        Ok(Codec::new(registry.context("schema registry").or_settings()?))
    }

    /// Makes the codec, or one without schemas where no registry is given.
    ///
    /// # Errors
    /// The registry's URL is wrong.
    pub fn codec_or_none(&self) -> Outcome<Option<Codec>> {
        if self.has_registry { self.codec().map(Some) } else { Ok(None) }
    }

    /// Makes the client of the registry's whole API.
    ///
    /// # Errors
    /// No registry is given.
    pub fn schemas(&self) -> Outcome<Registry<'_>> {
        self.need_registry()?;
        Registry::new(&self.config.registry, self.timeout(), &self.runtime)
    }

    fn need_registry(&self) -> Outcome {
        match self.has_registry {
            true => Ok(()),
            false => Err(Failure::settings(
                "no schema registry is given: set NU_SCHEMA_REGISTRY_URL or --registry URL",
            )),
        }
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
    if !vars.contains_key("NU_TOPIC_CONFIGS_YAML") {
        vars.entry("NU_TOPIC_CONFIGS_JSON".into()).or_insert_with(|| "{}".into());
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
