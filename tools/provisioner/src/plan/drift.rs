//! Whether a topic still is what a plan found, or already what it wants. Pure.

use std::collections::BTreeMap;

use nubium_admin::is_same_value;

use super::{Action, TopicPlan};
use crate::observed::State;

/// How a topic stands to its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is as the plan found it, in whole or for what is left to do.
    ToDo {
        /// Whether the partitions are still to be raised.
        partitions: bool,
        /// The values still to be set.
        config: BTreeMap<String, String>,
    },
    /// It is as the plan wants it.
    Done,
    /// It is neither; the text says in what.
    Drifted(String),
}

impl Standing {
    fn whole() -> Self {
        Self::ToDo { partitions: true, config: BTreeMap::new() }
    }
}

/// Tells how a topic stands, seen as `now`.
///
/// Each attribute may be as before or as wanted, so that a plan whose application ended half way
/// can be applied again; anything else is drift.
#[must_use]
pub fn standing(plan: &TopicPlan, now: Option<&State>) -> Standing {
    match (&plan.action, &plan.before, now) {
        (Action::Create { .. }, _, None) => Standing::whole(),
        (Action::Create { partitions, replication, config }, _, Some(now)) => {
            created(now, *partitions, *replication, config)
        }
        (Action::Delete, _, None) => Standing::Done,
        (Action::Delete, Some(before), Some(now)) if before.id != now.id => recreated(),
        (Action::Delete, ..) => Standing::whole(),
        (_, Some(before), Some(now)) if before.id != now.id => recreated(),
        (_, Some(_), None) => Standing::Drifted("it is gone".into()),
        (Action::Keep, Some(before), Some(now)) => changed(before, now, None, &BTreeMap::new()),
        (Action::Change { partitions, config }, Some(before), Some(now)) => {
            changed(before, now, *partitions, config)
        }
        (Action::Keep | Action::Change { .. }, None, _) => {
            Standing::Drifted("the plan does not say what it was".into())
        }
    }
}

fn recreated() -> Standing {
    Standing::Drifted("it was deleted and created again".into())
}

fn created(
    now: &State,
    partitions: Option<u32>,
    replication: Option<u16>,
    config: &BTreeMap<String, String>,
) -> Standing {
    if let Some(wanted) = partitions.filter(|wanted| *wanted != now.partitions) {
        return drifted("partitions", now.partitions, wanted);
    }
    if let Some(wanted) = replication.filter(|wanted| *wanted != now.replication) {
        return drifted("copies", now.replication, wanted);
    }
    for (key, wanted) in config {
        if !is_same(key, now.config.get(key), Some(wanted)) {
            return drifted(key, shown(now.config.get(key)), wanted);
        }
    }
    Standing::Done
}

fn drifted(what: &str, is: impl ToString, wanted: impl ToString) -> Standing {
    Standing::Drifted(format!(
        "it was made by somebody else with {what} {} instead of {}",
        is.to_string(),
        wanted.to_string()
    ))
}

fn changed(
    before: &State,
    now: &State,
    partitions: Option<u32>,
    config: &BTreeMap<String, String>,
) -> Standing {
    let differs = |what: &str, was: &str, is: &str| {
        Standing::Drifted(format!("its {what} was {was} and is {is}"))
    };
    if now.partitions != before.partitions && Some(now.partitions) != partitions {
        let (was, is) = (before.partitions.to_string(), now.partitions.to_string());
        return differs("number of partitions", &was, &is);
    }
    if now.replication != before.replication {
        let (was, is) = (before.replication.to_string(), now.replication.to_string());
        return differs("number of copies", &was, &is);
    }
    let mut left = BTreeMap::new();
    let keys = before.config.keys().chain(now.config.keys()).chain(config.keys());
    for key in keys {
        let (was, is, wanted) = (before.config.get(key), now.config.get(key), config.get(key));
        match wanted {
            Some(wanted) if is_same(key, is, Some(wanted)) => {}
            _ if !is_same(key, is, was) => return differs(key, shown(was), shown(is)),
            Some(wanted) => drop(left.insert(key.clone(), wanted.clone())),
            None => {}
        }
    }
    let grows = partitions.is_some_and(|wanted| wanted != now.partitions);
    match !grows && left.is_empty() {
        true => Standing::Done,
        false => Standing::ToDo { partitions: grows, config: left },
    }
}

/// Tells whether two values of a property are one, or both not set.
pub(crate) fn is_same(key: &str, one: Option<&String>, other: Option<&String>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => is_same_value(key, one, other),
        (one, other) => one == other,
    }
}

fn shown(value: Option<&String>) -> &str {
    value.map_or("not set", String::as_str)
}
