//! What is: clusters as they are found, in the same terms as what shall be.

use std::collections::{BTreeMap, BTreeSet};

use nubium_admin::{Acl, AclFilter, Admin, AdminError, ConfigScope, ResponseError};
use serde::{Deserialize, Serialize};

use crate::ending::Error;

/// Shows one cluster as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The id it was formatted with.
    pub id: String,
    /// All topics, by name.
    pub topics: BTreeMap<String, State>,
    /// Topics that Kafka keeps for itself, by its own word.
    pub internal: BTreeSet<String>,
    /// The rules of who may do what.
    pub rights: Rights,
}

/// Shows one topic as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The id that tells it from an earlier topic of the same name.
    pub id: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// How many copies of each.
    pub replication: u16,
    /// The values that are set for it; only read for topics that are asked about.
    pub config: BTreeMap<String, String>,
}

/// Shows the rules of a cluster, as far as they can be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Rights {
    /// Nobody asked.
    #[default]
    Unasked,
    /// The cluster has none: everybody may do everything.
    Off,
    /// The user may not see them.
    Hidden,
    /// These.
    Known(Vec<Acl>),
}

/// Looks at a cluster; `wanted` names the topics whose configuration matters.
///
/// It takes the same few requests however many topics there are.
///
/// # Errors
/// The cluster is lost, or refuses to be looked at.
pub async fn observe(
    name: &str,
    admin: &Admin,
    wanted: &BTreeSet<String>,
    with_rights: bool,
) -> Result<Observed, Error> {
    let at = Error::cluster(name);
    let id = admin.cluster().await.map_err(&at)?.id;
    let (mut topics, mut internal) = (BTreeMap::new(), BTreeSet::new());
    for (topic, found) in admin.topics().await.map_err(&at)? {
        if found.internal {
            internal.insert(topic.clone());
        }
        let state = State {
            partitions: u32::try_from(found.partitions.len()).unwrap_or(u32::MAX),
            replication: u16::try_from(found.replication()).unwrap_or(u16::MAX),
            id: found.id,
            config: BTreeMap::new(),
        };
        topics.insert(topic, state);
    }
    let there: Vec<&str> =
        wanted.iter().filter(|name| topics.contains_key(*name)).map(String::as_str).collect();
    for (topic, config) in own_config(admin, &there).await.map_err(&at)? {
        if let Some(state) = topics.get_mut(&topic) {
            state.config = config;
        }
    }
    let rights = if with_rights { rights(admin).await.map_err(&at)? } else { Rights::Unasked };
    Ok(Observed { id, topics, internal, rights })
}

/// Looks at some topics alone; those that are not there are left out.
///
/// # Errors
/// The cluster is lost, or refuses.
pub async fn states(admin: &Admin, names: &[&str]) -> Result<BTreeMap<String, State>, AdminError> {
    let found = admin.describe_topics(names).await?;
    let there: Vec<&str> = found.keys().map(String::as_str).collect();
    let mut configs = own_config(admin, &there).await?;
    let states = found.into_iter().map(|(name, topic)| {
        let state = State {
            partitions: u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX),
            replication: u16::try_from(topic.replication()).unwrap_or(u16::MAX),
            id: topic.id,
            config: configs.remove(&name).unwrap_or_default(),
        };
        (name, state)
    });
    Ok(states.collect())
}

async fn own_config(
    admin: &Admin,
    names: &[&str],
) -> Result<BTreeMap<String, BTreeMap<String, String>>, AdminError> {
    let configs = admin.topic_configs(names, ConfigScope::Own).await?;
    let plain = configs.into_iter().map(|(topic, entries)| {
        let values = entries.into_iter();
        (topic, values.filter_map(|(key, entry)| Some((key, entry.value?))).collect())
    });
    Ok(plain.collect())
}

async fn rights(admin: &Admin) -> Result<Rights, AdminError> {
    match admin.acls(&AclFilter::default()).await {
        Ok(acls) => Ok(Rights::Known(acls)),
        Err(error) => match error.refusal() {
            Some(no) if no.is(ResponseError::SecurityDisabled) => Ok(Rights::Off),
            Some(no) if no.is_unauthorized() => Ok(Rights::Hidden),
            _ => Err(error),
        },
    }
}
