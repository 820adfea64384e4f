//! The configuration of topics: what is set, where it comes from, and changing single values.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use crate::admin::{Admin, Mode};
use crate::error::{AdminError, Outcomes, Refusal, check};
use crate::wire::To;

/// Kafka's number for topics among the things that are configured.
const TOPIC: i8 = 2;
/// Topics described in one request; their answers are some kilobytes each.
const CHUNK: usize = 1_000;

/// Chooses which values of a topic are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigScope {
    /// Those set for the topic itself.
    Own,
    /// All, defaults too.
    All,
}

/// Tells where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOrigin {
    /// It is set for the topic.
    Topic,
    /// It is set for brokers, while they run.
    Broker,
    /// It is in the brokers' files.
    BrokerFile,
    /// It is Kafka's own.
    Default,
    /// Something newer than this tool.
    Other(i8),
}

/// Shows one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The value; none when the broker does not show it.
    pub value: Option<String>,
    /// Where it comes from.
    pub origin: ConfigOrigin,
    /// Whether the broker hides it.
    pub sensitive: bool,
    /// Whether it cannot be changed.
    pub read_only: bool,
}

/// The values of one topic, by property.
pub type Configs = BTreeMap<String, ConfigEntry>;

/// Says how one value shall change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Sets it.
    Set(String, String),
    /// Removes it, so that the brokers' default holds again.
    Unset(String),
}

/// Properties of topics that are lists.
const LISTS: [&str; 3] = [
    "cleanup.policy",
    "leader.replication.throttled.replicas",
    "follower.replication.throttled.replicas",
];

/// Tells whether two values of a property mean the same: the order of a list says nothing, and a
/// number may be written in several ways.
#[must_use]
pub fn is_same_value(property: &str, one: &str, other: &str) -> bool {
    let set = |text: &str| -> BTreeSet<String> {
        text.split(',').map(|item| item.trim().to_owned()).collect()
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    // Doubles do not tell large whole numbers apart.
    let whole = |text: &str| text.parse::<i64>().is_ok();
    one == other
        || LISTS.contains(&property) && set(one) == set(other)
        || !(whole(one) && whole(other)) && number(one).is_some() && number(one) == number(other)
}

impl Admin {
    /// Reads the configuration of topics, by topic; one that is not there is left out.
    ///
    /// # Errors
    /// The broker is lost, or refuses one of them.
    pub async fn topic_configs(
        &self,
        names: &[&str],
        scope: ConfigScope,
    ) -> Result<BTreeMap<String, Configs>, AdminError> {
        let mut found = BTreeMap::new();
        for names in names.chunks(CHUNK) {
            let resource = |name: &&str| {
                DescribeConfigsResource::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name((*name).to_owned().into())
                    .with_configuration_keys(None)
            };
            let request = DescribeConfigsRequest::default()
                .with_resources(names.iter().map(resource).collect());
            let what = "read the configuration of topics";
            let answer = self.network.ask(what, To::Any, &request).await?;
            for topic in answer.results {
                let name = topic.resource_name.to_string();
                if Refusal::of(topic.error_code, None).is_some_and(|no| no.is_missing()) {
                    continue;
                }
                let what = format!("read the configuration of topic {name}");
                check(what, topic.error_code, topic.error_message)?;
                let entries = topic.configs.into_iter().map(entry);
                let wanted = entries.filter(|(_, entry)| match scope {
                    ConfigScope::Own => entry.origin == ConfigOrigin::Topic,
                    ConfigScope::All => true,
                });
                found.insert(name, wanted.collect());
            }
        }
        Ok(found)
    }

    /// Changes single values of topics, or lets the cluster check whether it would; what is not
    /// named stays.
    ///
    /// # Errors
    /// The broker is lost; what became of the topics is then not known.
    pub async fn alter_topic_configs(
        &self,
        changes: &[(String, Vec<ConfigChange>)],
        mode: Mode,
    ) -> Result<Outcomes, AdminError> {
        let resources = changes.iter().map(|(name, changes)| {
            AlterConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(name.clone().into())
                .with_configs(changes.iter().map(alterable).collect())
        });
        let request = IncrementalAlterConfigsRequest::default()
            .with_resources(resources.collect())
            .with_validate_only(mode == Mode::Validate);
        let what = match changes {
            [(name, _)] => format!("change the configuration of topic {name}"),
            _ => format!("change the configuration of {} topics", changes.len()),
        };
        let answer = self.network.ask(&what, To::Controller, &request).await?;
        let results = answer.responses.into_iter().map(|topic| {
            let outcome = Refusal::outcome(topic.error_code, topic.error_message);
            (topic.resource_name.to_string(), outcome)
        });
        Ok(results.collect())
    }
}

fn entry(config: DescribeConfigsResourceResult) -> (String, ConfigEntry) {
    let origin = match config.config_source {
        1 => ConfigOrigin::Topic,
        2 | 3 => ConfigOrigin::Broker,
        4 => ConfigOrigin::BrokerFile,
        5 => ConfigOrigin::Default,
        other => ConfigOrigin::Other(other),
    };
    let entry = ConfigEntry {
        value: config.value.map(|value| value.to_string()),
        origin,
        sensitive: config.is_sensitive,
        read_only: config.read_only,
    };
    (config.name.to_string(), entry)
}

fn alterable(change: &ConfigChange) -> AlterableConfig {
    let (name, operation, value) = match change {
        ConfigChange::Set(name, value) => (name, 0, Some(value.clone().into())),
        ConfigChange::Unset(name) => (name, 1, None),
    };
    AlterableConfig::default()
        .with_name(name.clone().into())
        .with_config_operation(operation)
        .with_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sets_and_numbers_are_what_they_mean() {
        for (property, one, other, same) in [
            ("cleanup.policy", "compact,delete", "delete,compact", true),
            ("cleanup.policy", "compact,delete", "delete, compact", true),
            ("cleanup.policy", "compact", "compact,delete", false),
            ("compression.type", "a,b", "b,a", false),
            ("min.cleanable.dirty.ratio", "0.50", "0.5", true),
            ("max.message.bytes", "1e6", "1000000", true),
            ("retention.ms", "9223372036854775807", "9223372036854775806", false),
            ("retention.ms", "1", "2", false),
            ("compression.type", "NaN", "nan", false),
            ("x", "", "", true),
        ] {
            assert_eq!(is_same_value(property, one, other), same, "{property} {one} {other}");
        }
    }
}
