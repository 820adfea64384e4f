//! What every command begins with: the maps of clusters and topics and the manifests, with all
//! problems of both at once.

use std::collections::BTreeMap;

use nubium_admin::Admin;
use nubium_config::{Problem, Problems, Topology};
use nubium_registry::{Registry, RegistryConfig};
use tokio::runtime::Handle;

use crate::ending::Error;
use crate::manifest::{self, Manifest};
use crate::terminal;

/// What the brokers' logs know this tool by.
const CLIENT_ID: &str = "nubium-provision";

/// Holds settings without problems.
#[derive(Debug)]
pub struct Start {
    /// Clusters, topics, registry.
    pub topology: Topology,
    /// The apps.
    pub manifests: Vec<Manifest>,
}

impl Start {
    /// Reads the environment and the manifests, and tells what looks wrong.
    ///
    /// # Errors
    /// Every problem of both.
    pub fn load(manifests: &[String]) -> Result<Self, Error> {
        match (Topology::from_env(), manifest::load(manifests)) {
            (Ok(topology), Ok(manifests)) => {
                let warnings = topology.warnings.iter();
                warnings.for_each(|warning| terminal::tell(format!("warning: {warning}")));
                Ok(Self { topology, manifests })
            }
            (topology, manifests) => {
                let mut problems = topology.err().map_or_else(Vec::new, |problems| problems.0);
                problems.extend(manifests.err().into_iter().flatten());
                Err(Error::Settings(Problems(problems)))
            }
        }
    }

    /// Connects to every cluster that is named, or to all.
    ///
    /// # Errors
    /// One of them has no such name, does not answer, or does not let us in.
    pub async fn connect(&self, only: &[String]) -> Result<BTreeMap<String, Admin>, Error> {
        for name in only {
            self.topology.cluster(Some(name))?;
        }
        let mut admins = BTreeMap::new();
        for (name, cluster) in &self.topology.clusters {
            if only.is_empty() || only.contains(name) {
                let admin = Admin::connect(cluster, CLIENT_ID).await;
                admins.insert(name.clone(), admin.map_err(Error::cluster(name))?);
            }
        }
        Ok(admins)
    }

    /// Makes a client of the schema registry.
    ///
    /// # Errors
    /// None is set, or its settings cannot work.
    pub fn registry(&self) -> Result<Registry, Error> {
        let Some(settings) = &self.topology.registry else {
            let why = "where the schema registry is: manifests name schemas";
            return Err(missing("NU_SCHEMA_REGISTRY_URL", why).into());
        };
        let mut config = RegistryConfig::from(settings);
        // A person or a rollout waits for it.
        config.startup_deadline = std::time::Duration::from_secs(15);
        Ok(Registry::new(config, Handle::current())?)
    }

    /// Makes sure that there is something to plan for.
    ///
    /// # Errors
    /// There is neither a map of topics nor a manifest.
    pub fn must_say_something(&self) -> Result<(), Error> {
        match self.topology.topic_setting.is_none() && self.manifests.is_empty() {
            true => {
                let why = "a map of topics, or NU_TOPIC_CONFIGS_YAML, or manifests (--manifests)";
                Err(missing("NU_TOPIC_CONFIGS_JSON", why).into())
            }
            false => Ok(()),
        }
    }
}

fn missing(setting: &str, expected: &str) -> Problem {
    let known = nubium_config::setting(setting);
    let example = known.map(|known| format!("{setting}={}", known.example)).unwrap_or_default();
    Problem {
        setting: setting.into(),
        place: String::new(),
        read: "nothing: it is not set".into(),
        expected: expected.into(),
        example,
    }
}
