//! The map of topics: which cluster each is on and, for the tools, how it is made.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cluster::Cluster;
use super::document::{self, Fields, kind_of};
use super::parse;
use super::problem::Problem;
use super::reader::{Reader, known};
use super::setting::nearest_of;

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
}

/// Names the setting that the map of topics came from.
pub(super) fn setting_in_use(reader: &Reader) -> &'static str {
    if reader.is_given(YAML) { YAML } else { JSON }
}

/// Reads the topics and gives them by name.
pub(super) fn read(reader: &mut Reader) -> BTreeMap<String, Topic> {
    let Some(document) = document::either(reader, JSON, YAML) else { return BTreeMap::new() };
    let mut topics = BTreeMap::new();
    // A name that starts with a dot holds a YAML anchor.
    for (name, value) in document.map.iter().filter(|(name, _)| !name.starts_with('.')) {
        if let Err(why) = parse::topic(name) {
            let expected = "a topic name: letters, digits, '.', '_' and '-', at most 249".into();
            reader.problem(document.setting, name.chars().take(80).collect(), why, expected);
        }
        let fields = Fields::enter(reader, document.setting, name.clone(), value);
        if let Some(topic) = fields.and_then(|mut fields| read_topic(&mut fields)) {
            topics.insert(name.clone(), topic);
        }
    }
    topics
}

fn read_topic(fields: &mut Fields<'_>) -> Option<Topic> {
    fields.warn_unknown(["cluster", "configs"].into_iter());
    let cluster = fields.text("cluster");
    if cluster.is_none() && !fields.is_wrong("cluster") {
        fields.refuse("cluster", "nothing", "the name of a cluster");
    }
    let mut topic = Topic {
        cluster: cluster?,
        num_partitions: None,
        replication_factor: None,
        config: BTreeMap::new(),
    };
    if let Some(value) = fields.map.get("configs").filter(|value| !value.is_null()) {
        let place = format!("{}.configs", fields.place);
        let mut inner = Fields::enter(fields.reader, fields.setting, place, value)?;
        inner.warn_unknown(["num_partitions", "replication_factor", "config"].into_iter());
        topic.num_partitions = count(&mut inner, "num_partitions");
        topic.replication_factor = count(&mut inner, "replication_factor");
        topic.config = config(&mut inner);
    }
    Some(topic)
}

/// Reads a number from 1; -1 is Kafka's own word for the brokers' default.
fn count<T: TryFrom<u64>>(fields: &mut Fields<'_>, key: &str) -> Option<T> {
    let number = match fields.map.get(key)? {
        Value::Null => return None,
        Value::Number(number) if number.as_i64() == Some(-1) => return None,
        Value::String(text) if text.trim() == "-1" => return None,
        Value::Number(number) => whole(number).and_then(|number| u64::try_from(number).ok()),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let count = number.filter(|n| *n > 0).and_then(|n| T::try_from(n).ok());
    if count.is_none() {
        let read = fields.map.get(key).map(Value::to_string).unwrap_or_default();
        fields.refuse(key, read, "a whole number from 1, or -1 for the brokers' default");
    }
    count
}

fn config(fields: &mut Fields<'_>) -> BTreeMap<String, String> {
    let Some(value) = fields.map.get("config").filter(|value| !value.is_null()) else {
        return BTreeMap::new();
    };
    let place = format!("{}.config", fields.place);
    let Some(mut inner) = Fields::enter(fields.reader, fields.setting, place, value) else {
        return BTreeMap::new();
    };
    let mut config = BTreeMap::new();
    for (key, value) in inner.map {
        match scalar(value).or_else(|| list(value)) {
            Some(text) => drop(config.insert(key.clone(), text)),
            None => {
                let expected = "text, a number, true or false, or a list of such";
                inner.refuse(key, kind_of(value), expected);
            }
        }
    }
    config
}

/// Writes a text, number or boolean as Kafka expects it; anything else has no such form.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            Some(whole(number).map_or_else(|| number.to_string(), |whole| whole.to_string()))
        }
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Writes a list as Kafka does: with commas.
fn list(value: &Value) -> Option<String> {
    let items: Option<Vec<String>> = value.as_array()?.iter().map(scalar).collect();
    items.map(|items| items.join(","))
}

/// Gives a number that is whole, however it is written: `1e6` is 1000000.
fn whole(number: &serde_json::Number) -> Option<i64> {
    /// Above it a double does not tell neighbours apart.
    const EXACT: f64 = (1_u64 << 53) as f64;
    let float = || number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= EXACT);
    number.as_i64().or_else(|| float().map(|n| n as i64))
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
    let near = nearest_of(name, clusters.keys().map(String::as_str))
        .map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default();
    problem(
        setting,
        format!("cluster {name:?} for {}", topics.join(", ")),
        format!("a cluster that the map of clusters names{near}"),
    )
}
