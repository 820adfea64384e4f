//! The map of topics: which cluster each is on and, for the tools, how it is made.

use std::collections::{BTreeMap, BTreeSet};

use nubium_document::{Value, kind_of, nearest, scalar, show, topic_name, whole};
use nubium_formats::{TopicSchemas, Topics};

use super::cluster::Cluster;
use super::document::{self, Fields};
use super::reader::{Reader, known};
use super::schemas;
use nubium_document::Problem;

pub(super) const JSON: &str = "NU_TOPIC_CONFIGS_JSON";
pub(super) const YAML: &str = "NU_TOPIC_CONFIGS_YAML";

/// Says where one topic is and how it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The name of its cluster.
    pub cluster: String,
    /// How many partitions it is created with; none means as many as the brokers give by default.
    pub num_partitions: Option<u32>,
    /// How many copies of each partition it is created with; none means as many as the brokers give
    /// by default.
    pub replication_factor: Option<u16>,
    /// The topic's own configuration, by property.
    pub config: BTreeMap<String, String>,
    /// What its keys and values are, and where their schemas are.
    pub schemas: TopicSchemas,
}

/// Names the setting that the map of topics came from.
pub(super) fn setting_in_use(reader: &Reader) -> &'static str {
    if reader.is_given(YAML) { YAML } else { JSON }
}

/// Reads the topics and gives them by name.
pub(super) fn read(reader: &mut Reader) -> BTreeMap<String, Topic> {
    let Some(opened) = document::either(reader, JSON, YAML) else { return BTreeMap::new() };
    let mut topics = BTreeMap::new();
    for (name, fields) in opened.named(reader) {
        if let Err(why) = topic_name(name) {
            let place: String = name.chars().take(80).collect();
            let expected = "a topic name: letters, digits, '.', '_' and '-', at most 249";
            opened.document.problem(&place, why, expected, "");
        }
        if let Some(topic) = fields.and_then(|fields| read_topic(&fields)) {
            topics.insert(name.to_owned(), topic);
        }
    }
    opened.close(reader);
    topics
}

/// Picks what is not as it is by default.
pub(super) fn schemas_of(topics: &BTreeMap<String, Topic>) -> Topics {
    let said = topics.iter().filter(|(_, topic)| topic.schemas != TopicSchemas::default());
    said.map(|(name, topic)| (name.clone(), topic.schemas.clone())).collect()
}

fn read_topic(fields: &Fields<'_>) -> Option<Topic> {
    fields.warn_unknown(["cluster", "configs"].into_iter().chain(schemas::KEYS));
    let cluster = fields.text("cluster");
    if cluster.is_none() && !fields.is_wrong("cluster") {
        fields.refuse("cluster", "nothing", "the name of a cluster");
    }
    let mut topic = Topic {
        cluster: cluster?,
        num_partitions: None,
        replication_factor: None,
        config: BTreeMap::new(),
        schemas: schemas::read(fields),
    };
    if fields.has("configs") {
        let inner = fields.section("configs")?;
        inner.warn_unknown(["num_partitions", "replication_factor", "config"].into_iter());
        topic.num_partitions = count(&inner, "num_partitions");
        topic.replication_factor = count(&inner, "replication_factor");
        topic.config = config(&inner);
    }
    Some(topic)
}

/// Reads a number from 1; -1 is Kafka's own word for the brokers' default.
fn count<T: TryFrom<u64>>(fields: &Fields<'_>, key: &str) -> Option<T> {
    let value = fields.value(key)?;
    let number = match value {
        Value::Number(number) if number.as_i64() == Some(-1) => return None,
        Value::String(text) if text.trim() == "-1" => return None,
        Value::Number(number) => whole(number).and_then(|number| u64::try_from(number).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let count = number.filter(|n| *n > 0).and_then(|n| T::try_from(n).ok());
    if count.is_none() {
        fields.refuse(key, show(value), "a whole number from 1, or -1 for the brokers' default");
    }
    count
}

fn config(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let Some(inner) = fields.section("config") else { return BTreeMap::new() };
    let mut config = BTreeMap::new();
    for (key, value) in inner.pairs_of_values() {
        match scalar(value).or_else(|| list(value)) {
            Some(text) => drop(config.insert(key.to_owned(), text)),
            None => {
                let expected = "text, a number, true or false, or a list of such";
                inner.refuse(key, kind_of(value), expected);
            }
        }
    }
    config
}

/// Writes a list as Kafka does: with commas.
fn list(value: &Value) -> Option<String> {
    let items: Option<Vec<String>> = value.as_sequence()?.iter().map(scalar).collect();
    items.map(|items| items.join(","))
}

/// Says where topics are: the two maps, and the setting that the map of topics came from.
pub(super) struct Places<'c> {
    pub(super) clusters: &'c BTreeMap<String, Cluster>,
    pub(super) topics: &'c BTreeMap<String, Topic>,
    pub(super) setting: &'static str,
}

impl<'c> Places<'c> {
    /// Finds the one cluster that all of `names` are on.
    ///
    /// Topics that are not mapped go along with the others; when none is mapped, the only cluster
    /// is taken.
    ///
    /// # Errors
    /// The topics are on several clusters, on one that is not known, or cannot be placed at all.
    pub(super) fn cluster_for(&self, names: &[&str]) -> Result<(&'c str, &'c Cluster), Problem> {
        let Self { clusters, topics, setting } = *self;
        let mapped: Vec<(&str, &'c str)> = names
            .iter()
            .filter_map(|name| topics.get(*name).map(|topic| (*name, topic.cluster.as_str())))
            .collect();
        let used: BTreeSet<&'c str> = mapped.iter().map(|(_, cluster)| *cluster).collect();
        let name = match (used.len(), clusters.len()) {
            (0, 1) => clusters.keys().next().map_or("", String::as_str),
            (0, _) => return Err(unplaced(setting, clusters, names)),
            (1, _) => used.first().copied().unwrap_or_default(),
            _ => return Err(spread(setting, &mapped)),
        };
        match clusters.get_key_value(name) {
            Some((name, cluster)) => Ok((name, cluster)),
            None => Err(unknown(setting, clusters, name, &mapped)),
        }
    }
}

fn problem(setting: &str, read: String, expected: String) -> Problem {
    let example = known(setting).example;
    Problem {
        setting: setting.into(),
        place: String::new(),
        read,
        expected,
        example: format!("{setting}={example}"),
    }
}

fn unplaced(setting: &str, clusters: &BTreeMap<String, Cluster>, names: &[&str]) -> Problem {
    let all: Vec<&str> = clusters.keys().map(String::as_str).collect();
    let read = format!("no cluster for any of the topics {}", names.join(", "));
    problem(setting, read, format!("each topic with its cluster, one of {}", all.join(", ")))
}

fn spread(setting: &str, mapped: &[(&str, &str)]) -> Problem {
    let places: Vec<String> = mapped.iter().map(|(t, c)| format!("{t} on {c}")).collect();
    let expected = "all topics that the app consumes and produces on one cluster, since a \
        transaction cannot span two";
    problem(setting, places.join(", "), expected.into())
}

fn unknown(
    setting: &str,
    clusters: &BTreeMap<String, Cluster>,
    name: &str,
    mapped: &[(&str, &str)],
) -> Problem {
    let topics: Vec<&str> = mapped.iter().map(|(topic, _)| *topic).collect();
    let near = nearest(name, clusters.keys().map(String::as_str))
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    problem(
        setting,
        format!("cluster {name:?} for {}", topics.join(", ")),
        format!("a cluster that the map of clusters names{near}"),
    )
}
