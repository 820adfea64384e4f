//! What leads to clusters, topics and the registry: all that tools read, without an app.

use std::collections::BTreeMap;

use super::cluster::{self, Cluster};
use super::cross;
use super::group::{Producer, Registry};
use super::instance::{Instance, group_instance_id};
use super::load;
use super::properties::{self, Properties};
use super::raw::Raw;
use super::reader::{Reader, known};
use super::topic::{self, Places, Topic};
use nubium_document::{Problem, Problems, Warning};

const REGISTRY: &str = "NU_SCHEMA_REGISTRY_URL";
const CLUSTERS: [&str; 2] = ["NU_KAFKA_CLUSTERS_CONFIGS_JSON", "NU_KAFKA_CLUSTERS_CONFIGS_YAML"];
/// How the settings begin that are read here: of the others a tool does not warn.
const READ: [&str; 6] = [
    "NU_KAFKA",
    "NU_TOPIC",
    "NU_SCHEMA",
    "NU_PRODUCER",
    "NU_CONSUMER_MESSAGE",
    "NU_CONSUMER_PROPERTIES",
];

/// Says whether a command can do without the map of clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clusters {
    /// There must be one.
    Needed,
    /// If there is none, the command works without.
    Optional,
}

/// Holds where clusters, topics and the registry are, and how clients speak to them. Printing it
/// shows no secret.
#[derive(Debug, Clone)]
pub struct Topology {
    /// The clusters, by name; at least one where they are needed.
    pub clusters: BTreeMap<String, Cluster>,
    /// The topics that are mapped to a cluster, by name; empty when no map is given.
    pub topics: BTreeMap<String, Topic>,
    /// The setting that the map of topics came from; none when no map is given.
    pub topic_setting: Option<&'static str>,
    /// Where the schema registry is; none when that is not set.
    pub registry: Option<Registry>,
    /// Further librdkafka properties.
    pub properties: Properties,
    /// How records are produced.
    pub producer: Producer,
    /// `NU_CONSUMER_MESSAGE_BATCH_MAX_MB`, in bytes.
    pub message_max_bytes: u64,
    /// Which instance the settings are of; none when they name neither an app nor an instance.
    pub instance: Option<Instance>,
    /// What looks wrong but does not prevent the start.
    pub warnings: Vec<Warning>,
}

impl Topology {
    /// Gives the topics whose keys and values are not as they are by default.
    #[must_use]
    pub fn topic_schemas(&self) -> nubium_formats::Topics {
        topic::schemas_of(&self.topics)
    }

    /// Reads the process's environment, and the files that it names.
    ///
    /// Only the clusters are required; the names of an app's other settings are known and ignored.
    ///
    /// # Errors
    /// Every problem there is, a topic on an unknown cluster too.
    pub fn from_env() -> Result<Self, Problems> {
        Self::load(Raw::from_process(std::env::vars_os()), Clusters::Needed)
    }

    /// Reads given names and values as [`Topology::from_env`] reads the environment.
    ///
    /// # Errors
    /// As [`Topology::from_env`].
    pub fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
        clusters: Clusters,
    ) -> Result<Self, Problems> {
        Self::load(Raw::from_vars(vars), clusters)
    }

    fn load(raw: Raw, clusters: Clusters) -> Result<Self, Problems> {
        let given = |name: &str| raw.texts.get(name).is_some_and(|text| !text.trim().is_empty());
        let has_clusters = clusters == Clusters::Needed || CLUSTERS.into_iter().any(given);
        let has_topics = [topic::JSON, topic::YAML].into_iter().any(given);
        let has_registry = given(REGISTRY);
        // Every shell has a HOSTNAME, so that alone says nothing.
        let has_instance = ["NU_HOSTNAME", "NU_APP_NAME"].into_iter().any(given);
        let mut reader = Reader::new(raw);
        let clusters = if has_clusters { cluster::read(&mut reader) } else { BTreeMap::new() };
        let topics = if has_topics { topic::read(&mut reader) } else { BTreeMap::new() };
        let topic_setting = has_topics.then(|| topic::setting_in_use(&reader));
        let registry = has_registry.then(|| load::read_registry(&mut reader));
        if has_registry {
            cross::registry_login(&mut reader);
        }
        let instance = if has_instance { read_instance(&mut reader) } else { None };
        let properties = properties::read(&mut reader);
        let producer = load::read_producer(&mut reader);
        let message_max_bytes = reader.bytes("NU_CONSUMER_MESSAGE_BATCH_MAX_MB");
        if let Some(setting) = topic_setting
            && !clusters.is_empty()
        {
            check_clusters(&mut reader, setting, &clusters, &topics);
        }
        if !reader.problems.is_empty() {
            return Err(Problems(reader.problems));
        }
        let mut warnings = reader.warnings;
        warnings.retain(|warning| READ.iter().any(|start| warning.setting.starts_with(start)));
        Ok(Self {
            clusters,
            topics,
            topic_setting,
            registry,
            properties,
            producer,
            message_max_bytes,
            instance,
            warnings,
        })
    }

    /// Finds the one cluster, with its name, that all these topics are on; see
    /// [`Config::cluster_for`](super::Config::cluster_for).
    ///
    /// # Errors
    /// The topics are on several clusters, on one that is not known, or cannot be placed.
    pub fn cluster_for(&self, topics: &[&str]) -> Result<(&str, &Cluster), Problem> {
        Places {
            clusters: &self.clusters,
            topics: &self.topics,
            setting: self.topic_setting.unwrap_or(topic::JSON),
        }
        .cluster_for(topics)
    }

    /// Finds one cluster by name; without a name, the only one.
    ///
    /// # Errors
    /// There is none of that name, or there are several and none is named.
    pub fn cluster(&self, name: Option<&str>) -> Result<(&str, &Cluster), Problem> {
        let found = match name {
            Some(name) => self.clusters.get_key_value(name),
            None if self.clusters.len() == 1 => self.clusters.iter().next(),
            None => None,
        };
        found.map(|(name, cluster)| (name.as_str(), cluster)).ok_or_else(|| {
            let names: Vec<&str> = self.clusters.keys().map(String::as_str).collect();
            Problem {
                setting: "--cluster".into(),
                place: String::new(),
                read: name.map_or_else(|| "nothing".into(), |name| format!("{name:?}")),
                expected: format!("the name of a cluster: {}", names.join(", ")),
                example: format!("--cluster {}", names.first().copied().unwrap_or("main")),
            }
        })
    }
}

fn read_instance(reader: &mut Reader) -> Option<Instance> {
    let hostname = reader.optional_text("NU_HOSTNAME")?;
    let given = reader.optional_text("NU_CONSUMER_GROUP_INSTANCE_ID");
    let group_instance_id = group_instance_id(given, &hostname);
    Some(Instance { hostname, threads: reader.small("NU_APP_THREADS"), group_instance_id })
}

fn check_clusters(
    reader: &mut Reader,
    setting: &str,
    clusters: &BTreeMap<String, Cluster>,
    topics: &BTreeMap<String, Topic>,
) {
    for (name, topic) in topics.iter().filter(|(_, t)| !clusters.contains_key(&t.cluster)) {
        let near = nubium_document::nearest(&topic.cluster, clusters.keys().map(String::as_str))
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        let expected = format!("a cluster that the map of clusters names{near}");
        let place = format!("{name}.cluster");
        reader.problem(known(setting), place, format!("{:?}", topic.cluster), expected);
    }
}

#[cfg(test)]
mod tests {
    use super::{Clusters, Topology};

    const CLUSTERS: (&str, &str) =
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", r#"{"main": {"url": "broker:9092"}}"#);

    fn load(vars: &[(&str, &str)]) -> Result<Topology, String> {
        let vars = vars.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Topology::from_vars(vars, Clusters::Needed).map_err(|problems| problems.to_string())
    }

    #[test]
    fn clusters_alone_are_enough() {
        let topology = load(&[CLUSTERS]).unwrap();
        assert_eq!(topology.cluster(None).unwrap().0, "main");
        assert!(topology.topics.is_empty() && topology.topic_setting.is_none());
        assert!(topology.registry.is_none());
        assert!(load(&[]).unwrap_err().contains("NU_KAFKA_CLUSTERS_CONFIGS_JSON"));
    }

    #[test]
    fn anchors_are_no_topics_and_a_cluster_that_is_not_there_is_a_problem() {
        let topics = r#"{".common": 1, "in": {"cluster": "main"}, "out": {"cluster": "mian"}}"#;
        let error = load(&[CLUSTERS, ("NU_TOPIC_CONFIGS_JSON", topics)]).unwrap_err();
        assert!(error.contains("out.cluster") && error.contains("did you mean main?"), "{error}");
        let topics = r#"{".common": 1, "in": {"cluster": "main"}}"#;
        let topology = load(&[CLUSTERS, ("NU_TOPIC_CONFIGS_JSON", topics)]).unwrap();
        assert_eq!(topology.topics.keys().collect::<Vec<_>>(), ["in"]);
        assert_eq!(topology.topic_setting, Some("NU_TOPIC_CONFIGS_JSON"));
    }

    #[test]
    fn an_instance_is_who_the_app_would_be() {
        let of = |vars: &[(&str, &str)]| {
            let vars = [&[CLUSTERS], vars].concat();
            load(&vars).unwrap().instance
        };
        assert_eq!(of(&[("HOSTNAME", "laptop")]), None);
        let named = of(&[("NU_APP_NAME", "a"), ("HOSTNAME", "a-0")]).unwrap();
        assert_eq!(named.transactional_ids(), ["a-0"]);
        assert!(named.members().is_empty());
        let member = ("NU_CONSUMER_GROUP_INSTANCE_ID", "hostname");
        let own = of(&[("NU_HOSTNAME", "ns.a-0"), ("NU_APP_THREADS", "2"), member]).unwrap();
        assert_eq!(own.transactional_ids(), ["ns.a-0", "ns.a-0-1"]);
        assert_eq!(own.members(), own.transactional_ids());
    }

    #[test]
    fn half_a_login_is_a_problem_and_clusters_can_be_left_out() {
        let registry = ("NU_SCHEMA_REGISTRY_URL", "https://registry");
        let error = load(&[CLUSTERS, registry, ("NU_SCHEMA_REGISTRY_USERNAME", "u")]).unwrap_err();
        assert!(error.contains("NU_SCHEMA_REGISTRY_PASSWORD"), "{error}");
        let vars = [(registry.0.to_owned(), registry.1.to_owned())];
        let topology = Topology::from_vars(vars, Clusters::Optional).unwrap();
        assert!(topology.clusters.is_empty() && topology.registry.is_some());
    }

    #[test]
    fn the_settings_of_an_app_are_known_and_a_typo_is_told() {
        let topology = load(&[CLUSTERS, ("NU_APP_NAME", "x"), ("NU_TOPIC_CONFIG_JSON", "{}")]);
        let warnings = topology.unwrap().warnings;
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].text.contains("NU_TOPIC_CONFIGS_JSON"), "{warnings:?}");
    }
}
