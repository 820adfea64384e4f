//! Where the demo runs: an embedded broker and registry, or a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nubium_core::Config;
use nubium_local::{Broker, Registry};

use nubium_service::cluster;

/// Partitions of each topic: enough for several threads to share the work.
const PARTITIONS: i32 = 4;
/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps the broker and the registry, or the topics on a cluster, for as long as the demo runs.
pub(crate) struct Place {
    bootstrap: String,
    registry: String,
    topics: Vec<String>,
    embedded: Option<(Broker, Registry)>,
}

impl Place {
    /// Starts an embedded broker and registry.
    ///
    /// # Errors
    /// When they cannot listen.
    pub(crate) fn embedded(topics: &[&str]) -> Result<Self> {
        let broker = Broker::start().context("embedded broker")?;
        let registry = Registry::start().context("embedded registry")?;
        for topic in topics {
            broker.create_topic(topic, PARTITIONS)?;
        }
        Ok(Self {
            bootstrap: broker.bootstrap().to_owned(),
            registry: registry.url(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            embedded: Some((broker, registry)),
        })
    }

    /// Creates the topics on a cluster. They are the demo's own: [`Self::clear`] deletes them.
    ///
    /// # Errors
    /// When one exists already, or the cluster does not answer.
    pub(crate) fn cluster(
        bootstrap: &str,
        registry: &str,
        topics: &[&str],
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self> {
        let taken = cluster::topics(&client(bootstrap), PATIENCE)?.topics;
        if let Some((topic, _)) = taken.iter().find(|(name, _)| topics.contains(&name.as_str())) {
            bail!(
                "topic {topic} exists on {bootstrap} already; the demo works on topics of its own \
                 ({}) and deletes them at the end: rename or delete it first",
                topics.join(", ")
            );
        }
        runtime.block_on(cluster::create(&client(bootstrap), topics, PARTITIONS, PATIENCE))?;
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            registry: registry.to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            embedded: None,
        })
    }

    /// Gives the app's settings for this place.
    ///
    /// # Errors
    /// When the addresses are none.
    pub(crate) fn config(&self) -> Result<Config> {
        let cluster = serde_json::json!({"demo": {"url": self.bootstrap}}).to_string();
        let topics = self.topics.iter();
        let topics: serde_json::Map<_, _> =
            topics.map(|topic| (topic.clone(), serde_json::json!({"cluster": "demo"}))).collect();
        // A name of its own for each run, as the group must not know an earlier one's offsets.
        let name = format!("funnel-demo-{}-{}", std::process::id(), seconds_since_1970());
        let vars = [
            ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", cluster),
            ("NU_TOPIC_CONFIGS_JSON", serde_json::Value::Object(topics).to_string()),
            ("NU_SCHEMA_REGISTRY_URL", self.registry.clone()),
            ("NU_APP_NAME", name.clone()),
            ("NU_HOSTNAME", name),
            ("NU_PRODUCE_FAILURE_TOPICS", crate::FAILURES.to_owned()),
            ("NU_CONSUMER_AUTO_OFFSET_RESET", "earliest".to_owned()),
            ("NU_DO_METRICS_PUSHING", "false".to_owned()),
            ("NU_HEALTH_FILE", "off".to_owned()),
        ];
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value));
        Config::from_vars(vars)
            .map(|loaded| loaded.config)
            .map_err(|problems| anyhow::anyhow!("{problems}"))
    }

    /// Tells whether it is the embedded one.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Deletes the demo's topics from a cluster.
    ///
    /// # Errors
    /// When the cluster refuses.
    pub(crate) fn clear(&self, runtime: &tokio::runtime::Runtime) -> Result<()> {
        if self.is_embedded() {
            return Ok(());
        }
        let topics: Vec<_> = self.topics.iter().map(String::as_str).collect();
        runtime.block_on(cluster::delete(&client(&self.bootstrap), &topics, PATIENCE))
    }
}

fn client(bootstrap: &str) -> BTreeMap<String, String> {
    [("bootstrap.servers".to_owned(), bootstrap.to_owned())].into()
}

fn seconds_since_1970() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
