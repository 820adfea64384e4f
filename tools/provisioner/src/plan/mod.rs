//! The plan: what has to be done so that what shall be is.

mod diff;
mod drift;
mod saved;
mod show;

use std::collections::BTreeMap;

use nubium_admin::{Acl, NewTopic};
use nubium_registry::SubjectReference;
use serde::{Deserialize, Serialize};

pub use self::diff::{Prune, plan};
pub(crate) use self::drift::is_same;
pub use self::drift::{Standing, standing};
pub use self::saved::{load, save};
pub use self::show::show;

use crate::desired::Origin;
use crate::observed::State;

/// Everything that is to be done, on all clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// By cluster.
    pub clusters: BTreeMap<String, ClusterPlan>,
    /// Compatibility levels to set, before schemas are registered.
    #[serde(default)]
    pub levels: Vec<LevelStep>,
    /// Schemas to register.
    pub schemas: Vec<SchemaStep>,
    /// What is in the way; a plan that has any is not saved and cannot be applied.
    pub conflicts: Vec<String>,
    /// What is worth knowing.
    pub warnings: Vec<String>,
}

/// What is to be done on one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPlan {
    /// The cluster's id; a plan is for this one alone.
    pub id: String,
    /// Every topic that was looked at.
    pub topics: BTreeMap<String, TopicPlan>,
    /// Rules to add.
    pub rights: Vec<Acl>,
}

/// What is to be done with one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPlan {
    /// Why it is in the plan.
    pub origin: Origin,
    /// What it was when the plan was made; none if it was not there.
    pub before: Option<State>,
    /// What is to be done.
    pub action: Action,
}

/// What can be done with a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Nothing: it is as it shall be.
    Keep,
    /// It is made.
    Create {
        /// How many partitions; none means the brokers' default.
        partitions: Option<u32>,
        /// How many copies; none means the brokers' default.
        replication: Option<u16>,
        /// Its own configuration.
        config: BTreeMap<String, String>,
    },
    /// It is changed.
    Change {
        /// The new number of partitions, if that is more than before.
        partitions: Option<u32>,
        /// The values to set.
        config: BTreeMap<String, String>,
    },
    /// It is deleted; only if `apply` is told its name, too.
    Delete,
}

/// A schema to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaStep {
    /// The subject.
    pub subject: String,
    /// The schema.
    pub schema: String,
    /// The registry's name of its type.
    #[serde(default = "avro")]
    pub kind: String,
    /// The schemas that it refers to.
    #[serde(default)]
    pub references: Vec<SubjectReference>,
    /// The app that needs it.
    pub app: String,
    /// The file that it is from.
    pub file: String,
    /// Whether the subject is new.
    pub first: bool,
}

fn avro() -> String {
    "AVRO".into()
}

/// The compatibility level of a subject that is to be another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelStep {
    /// The subject.
    pub subject: String,
    /// The level of its own that it had; none means the registry's.
    pub before: Option<String>,
    /// The level that it shall have.
    pub level: String,
}

impl ClusterPlan {
    /// Gives the topics that are made, with what they shall be.
    pub fn created(&self) -> impl Iterator<Item = (&String, NewTopic)> {
        self.topics.iter().filter_map(|(name, topic)| match &topic.action {
            Action::Create { partitions, replication, config } => {
                let (partitions, replication) = (*partitions, *replication);
                let configs = config.clone();
                Some((name, NewTopic { name: name.clone(), partitions, replication, configs }))
            }
            _ => None,
        })
    }
}

impl Plan {
    /// Counts what there is to do, deletions too.
    #[must_use]
    pub fn changes(&self) -> usize {
        let clusters = self.clusters.values().map(|cluster| {
            let topics = cluster.topics.values();
            topics.filter(|topic| topic.action != Action::Keep).count() + cluster.rights.len()
        });
        clusters.sum::<usize>() + self.levels.len() + self.schemas.len()
    }
}

#[cfg(test)]
mod tests;
