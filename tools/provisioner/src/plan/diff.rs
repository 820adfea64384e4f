//! The difference between what shall be and what is. Pure: everything is decided here.

use std::collections::{BTreeMap, BTreeSet};

use nubium_admin::{Acl, is_same_value, naming};

use super::{Action, ClusterPlan, Plan, TopicPlan};
use crate::desired::{Desired, Origin, Wanted};
use crate::observed::{Observed, Rights, State};

/// Chooses whether topics that nothing names are planned to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// They are left alone.
    No,
    /// They are.
    Yes,
}

/// Plans; `used` names topics that an app uses without their being in the map.
#[must_use]
pub fn plan(
    desired: &Desired,
    observed: &BTreeMap<String, Observed>,
    used: &BTreeMap<String, BTreeSet<String>>,
    prune: Prune,
) -> Plan {
    let mut plan = Plan {
        conflicts: desired.conflicts.clone(),
        warnings: desired.warnings.clone(),
        ..Plan::default()
    };
    let clusters = &desired.clusters;
    for (cluster, found) in observed {
        let none = BTreeMap::new();
        let wanted = desired.topics.get(cluster).unwrap_or(&none);
        let mut part = ClusterPlan { id: found.id.clone(), ..ClusterPlan::default() };
        for (name, wanted) in wanted {
            if let Some(topic) = plan.topic(cluster, clusters, name, wanted, found) {
                part.topics.insert(name.clone(), topic);
            }
        }
        if prune == Prune::Yes {
            let used = used.get(cluster);
            let is_used = |name: &str| used.is_some_and(|used| used.contains(name));
            for (name, state) in &found.topics {
                if !wanted.contains_key(name)
                    && !is_used(name)
                    && !found.internal.contains(name)
                    && foreign(name, cluster, clusters).is_none()
                {
                    let before = Some(state.clone());
                    let topic =
                        TopicPlan { origin: Origin::Unnamed, before, action: Action::Delete };
                    part.topics.insert(name.clone(), topic);
                }
            }
        }
        plan.collisions(cluster, &part, found);
        part.rights = plan.rights(cluster, desired.rights.get(cluster), &found.rights);
        plan.clusters.insert(cluster.clone(), part);
    }
    plan
}

/// Says whose a topic is that is not ours to change.
fn foreign(name: &str, cluster: &str, clusters: &BTreeSet<String>) -> Option<String> {
    let others = clusters.iter().map(String::as_str).filter(|other| *other != cluster);
    match naming::is_internal(name) {
        true => Some("internal".into()),
        false => naming::mirror(name, others),
    }
}

impl Plan {
    fn topic(
        &mut self,
        cluster: &str,
        clusters: &BTreeSet<String>,
        name: &str,
        wanted: &Wanted,
        observed: &Observed,
    ) -> Option<TopicPlan> {
        let before = observed.topics.get(name).cloned();
        let origin = wanted.origin.clone();
        let internal = || observed.internal.contains(name).then(|| "internal".to_owned());
        if let Some(whose) = foreign(name, cluster, clusters).or_else(internal) {
            let missing = match before {
                None => ", and it is not there: what makes it must, or it must have another name",
                Some(_) => "",
            };
            self.warnings
                .push(format!("topic {name} on {cluster} is {whose}: it is left alone{missing}"));
            return None;
        }
        let action = match &before {
            None => Action::Create {
                partitions: wanted.partitions,
                replication: wanted.replication,
                config: wanted.config.clone(),
            },
            Some(state) => self.change(cluster, name, wanted, state),
        };
        Some(TopicPlan { origin, before, action })
    }

    /// Kafka refuses a name that it cannot tell from another's.
    fn collisions(&mut self, cluster: &str, part: &ClusterPlan, found: &Observed) {
        let made: Vec<&String> = part.created().map(|(name, _)| name).collect();
        for (index, name) in made.iter().enumerate() {
            let earlier = made[..index].iter().copied();
            let others = found.topics.keys().chain(earlier);
            let Some(other) = others.into_iter().find(|other| naming::collides(name, other)) else {
                continue;
            };
            self.conflicts.push(format!(
                "topic {name} on {cluster} cannot be created beside {other}: the names differ in \
                 dots and underscores alone, which Kafka does not tell apart; rename it"
            ));
        }
    }

    fn change(&mut self, cluster: &str, name: &str, wanted: &Wanted, state: &State) -> Action {
        let is = state.partitions;
        let partitions = match wanted.partitions {
            Some(count) if count < is => {
                self.conflicts.push(format!(
                    "topic {name} on {cluster} has {is} partitions and shall have {count} \
                     ({}): partitions cannot be taken away, nor would keys stay where they are",
                    wanted.origin
                ));
                None
            }
            Some(count) if count > is => {
                self.warn_of_moving_keys(cluster, name, wanted, count, is);
                Some(count)
            }
            _ => None,
        };
        if let Some(copies) = wanted.replication.filter(|copies| *copies != state.replication) {
            self.conflicts.push(format!(
                "topic {name} on {cluster} has {} copies of each partition and shall have \
                 {copies}: that moves data between brokers, which is not done here; use \
                 kafka-reassign-partitions, or put {0} in the map",
                state.replication
            ));
        }
        let is = |key: &str, value: &str| {
            state.config.get(key).is_some_and(|is| is_same_value(key, is, value))
        };
        let differs = |(key, value): &(&String, &String)| !is(key, value);
        let config: BTreeMap<_, _> = wanted
            .config
            .iter()
            .filter(differs)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        match partitions.is_none() && config.is_empty() {
            true => Action::Keep,
            false => Action::Change { partitions, config },
        }
    }

    fn warn_of_moving_keys(
        &mut self,
        cluster: &str,
        name: &str,
        wanted: &Wanted,
        count: u32,
        is: u32,
    ) {
        let table = match (&wanted.table, &wanted.origin) {
            // The input says it for both.
            (_, Origin::Changelog(_)) => return,
            (Some(app), _) => format!(
                "; rows of the table of {app} stay in the partition where they were written, so \
                 that messages with moved keys find none: its changelog is raised too, but the \
                 rows must be written anew"
            ),
            (None, _) => String::new(),
        };
        self.warnings.push(format!(
            "topic {name} on {cluster} grows from {is} to {count} partitions: keys move to other \
             partitions, and the order of a key's messages is lost once{table}"
        ));
    }

    fn rights(
        &mut self,
        cluster: &str,
        wanted: Option<&BTreeSet<Acl>>,
        rights: &Rights,
    ) -> Vec<Acl> {
        let Some(wanted) = wanted else { return Vec::new() };
        match rights {
            Rights::Known(known) => wanted
                .iter()
                .filter(|acl| !known.iter().any(|rule| rule.covers(acl)))
                .cloned()
                .collect(),
            Rights::Off => Vec::new(),
            Rights::Hidden | Rights::Unasked => {
                self.warnings.push(format!(
                    "the rules of cluster {cluster} cannot be seen by this user (it needs \
                     Describe on the cluster), so that {} of the apps are not planned",
                    crate::terminal::count(wanted.len(), "right")
                ));
                Vec::new()
            }
        }
    }
}
