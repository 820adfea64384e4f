//! A plan as single steps, in the order in which they are safe. Pure.

use std::collections::{BTreeMap, BTreeSet};

use nubium_admin::{Acl, NewTopic, Refusal, ResponseError};

use crate::desired::Origin;
use crate::observed::State;
use crate::plan::{Action, LevelStep, Plan, SchemaStep, Standing, TopicPlan, is_same, standing};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The cluster; empty for the registry.
    pub(super) cluster: String,
    /// What it is, for people.
    pub(super) text: String,
    pub(super) kind: Kind,
    /// The name that the broker's answer has for it.
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Create { new: NewTopic },
    Grow { partitions: u32, changelog: bool },
    Configure { config: BTreeMap<String, String> },
    Grant(Acl),
    Level(LevelStep),
    Register(Box<SchemaStep>),
    Delete,
}

impl Step {
    fn on(cluster: &str, name: &str, text: String, kind: Kind) -> Self {
        Self { cluster: cluster.to_owned(), text, kind, name: name.to_owned() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether both can be asked for in one request.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        self.cluster == other.cluster && self.stage() == other.stage()
    }

    /// What comes first: a changelog must be raised before its input is even asked for.
    fn stage(&self) -> u8 {
        match self.kind {
            Kind::Create { .. } => 0,
            Kind::Grow { changelog: true, .. } => 1,
            Kind::Grow { changelog: false, .. } => 2,
            Kind::Configure { .. } => 3,
            Kind::Grant(_) => 4,
            Kind::Level(_) => 5,
            Kind::Register(_) => 6,
            Kind::Delete => 7,
        }
    }

    pub(super) fn noun(&self) -> &'static str {
        match self.kind {
            Kind::Create { .. } => "topics created",
            Kind::Grow { .. } => "partitions added",
            Kind::Configure { .. } => "configurations changed",
            Kind::Grant(_) => "rights added",
            Kind::Level(_) => "compatibility levels set",
            Kind::Register(_) => "schemas registered",
            Kind::Delete => "topics deleted",
        }
    }

    pub(super) fn new_topic(&self) -> Option<NewTopic> {
        match &self.kind {
            Kind::Create { new } => Some(new.clone()),
            _ => None,
        }
    }

    /// The partitions whose leaders must be waited for.
    pub(super) fn leaders(&self) -> Option<(String, u32)> {
        match &self.kind {
            Kind::Create { new } => Some((self.name.clone(), new.partitions.unwrap_or(1))),
            Kind::Grow { partitions, .. } => Some((self.name.clone(), *partitions)),
            _ => None,
        }
    }

    /// Tells whether the topic, seen as `now`, has what this step is for.
    pub(super) fn is_done(&self, topic: &TopicPlan, now: Option<&State>) -> bool {
        match (&self.kind, now) {
            (Kind::Delete, now) => now.is_none(),
            (Kind::Grow { partitions, .. }, Some(now)) => now.partitions == *partitions,
            (Kind::Configure { config }, Some(now)) => {
                config.iter().all(|(key, value)| is_same(key, now.config.get(key), Some(value)))
            }
            (Kind::Create { .. }, Some(_)) => standing(topic, now) == Standing::Done,
            _ => false,
        }
    }

    /// Tells whether what another made may not be seen yet: the controller refuses a step before
    /// the brokers have heard of the other's.
    pub(super) fn may_appear(&self, refusal: &Refusal, now: Option<&State>) -> bool {
        match (&self.kind, now) {
            (Kind::Create { .. }, None) => refusal.is(ResponseError::TopicAlreadyExists),
            (Kind::Grow { partitions, .. }, Some(now)) => {
                refusal.is(ResponseError::InvalidPartitions) && now.partitions < *partitions
            }
            _ => false,
        }
    }
}

/// Gives what is left to do: topics are made first, a changelog grows before its input, rights and
/// schemas follow what they are about, deletions come last. What is done already goes to `already`.
pub(super) fn steps(
    plan: &Plan,
    now: &BTreeMap<String, BTreeMap<String, State>>,
    delete: &BTreeSet<String>,
    already: &mut Vec<String>,
) -> Vec<Step> {
    let mut all = Vec::new();
    for (cluster, part) in &plan.clusters {
        for (name, topic) in &part.topics {
            let seen = now.get(cluster).and_then(|topics| topics.get(name));
            let at = format!("topic {name} on {cluster}");
            match (&topic.action, standing(topic, seen)) {
                (Action::Keep, _) | (_, Standing::Drifted(_)) => {}
                (Action::Delete, _) if !delete.contains(name) => {}
                (action, Standing::Done) => already.push(format!("{} {at}", verb(action))),
                (Action::Create { partitions, replication, config }, _) => {
                    let new = NewTopic {
                        name: name.clone(),
                        partitions: *partitions,
                        replication: *replication,
                        configs: config.clone(),
                    };
                    let text = format!("create {at}");
                    all.push(Step::on(cluster, name, text, Kind::Create { new }));
                }
                (
                    Action::Change { partitions, .. },
                    Standing::ToDo { partitions: grows, config },
                ) => {
                    let changelog = matches!(topic.origin, Origin::Changelog(_));
                    if let Some(partitions) = partitions.filter(|_| grows) {
                        let text = format!("raise {at} to {partitions} partitions");
                        let kind = Kind::Grow { partitions, changelog };
                        all.push(Step::on(cluster, name, text, kind));
                    }
                    if !config.is_empty() {
                        let keys: Vec<&str> = config.keys().map(String::as_str).collect();
                        let text = format!("set {} of {at}", keys.join(", "));
                        all.push(Step::on(cluster, name, text, Kind::Configure { config }));
                    }
                }
                (Action::Delete, _) => {
                    let text = format!("delete {at}");
                    all.push(Step::on(cluster, name, text, Kind::Delete));
                }
            }
        }
        for acl in &part.rights {
            let (name, text) = (acl.to_string(), format!("allow on {cluster}: {acl}"));
            all.push(Step::on(cluster, &name, text, Kind::Grant(acl.clone())));
        }
    }
    let levels = plan.levels.iter().map(|step| {
        let text = format!("set the compatibility of subject {} to {}", step.subject, step.level);
        Step::on("", &step.subject, text, Kind::Level(step.clone()))
    });
    all.extend(levels);
    let schemas = plan.schemas.iter().map(|schema| {
        let text = format!("register the schema of subject {}", schema.subject);
        Step::on("", &schema.subject, text, Kind::Register(Box::new(schema.clone())))
    });
    all.extend(schemas);
    // The sort keeps the order of names within a stage.
    all.sort_by_key(Step::stage);
    all
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Create { .. } => "create",
        Action::Change { .. } => "change",
        Action::Delete => "delete",
        Action::Keep => "keep",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ClusterPlan, TopicPlan};

    fn topic(origin: Origin, partitions: u32, config: &[&str]) -> TopicPlan {
        let config = config.iter().map(|key| ((*key).to_owned(), "1".to_owned())).collect();
        let action = Action::Change { partitions: Some(partitions), config };
        TopicPlan { origin, before: Some(State { partitions: 2, ..State::default() }), action }
    }

    #[test]
    fn changelogs_grow_before_inputs_and_deletions_come_last_and_only_if_named() {
        let create =
            Action::Create { partitions: None, replication: None, config: BTreeMap::new() };
        let create = TopicPlan { origin: Origin::Map, before: None, action: create };
        let old = |_| TopicPlan {
            origin: Origin::Unnamed,
            before: Some(State::default()),
            action: Action::Delete,
        };
        let topics = [
            ("a-in", topic(Origin::Map, 4, &["x"])),
            ("new", create),
            ("old", old(())),
            ("older", old(())),
            ("z__changelog", topic(Origin::Changelog("z".into()), 4, &[])),
        ];
        let topics: BTreeMap<_, _> =
            topics.into_iter().map(|(name, topic)| (name.to_owned(), topic)).collect();
        let now = topics
            .iter()
            .filter_map(|(name, topic)| Some((name.clone(), topic.before.clone()?)))
            .collect();
        let part = ClusterPlan { id: "id".into(), topics, rights: Vec::new() };
        let plan = Plan { clusters: [("main".to_owned(), part)].into(), ..Plan::default() };
        let now = BTreeMap::from([("main".to_owned(), now)]);
        let mut already = Vec::new();
        let steps = steps(&plan, &now, &["old".to_owned()].into(), &mut already);
        let texts: Vec<_> = steps.iter().map(|step| step.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "create topic new on main",
                "raise topic z__changelog on main to 4 partitions",
                "raise topic a-in on main to 4 partitions",
                "set x of topic a-in on main",
                "delete topic old on main",
            ]
        );
        assert!(already.is_empty());
        // A changelog that cannot be raised must not share a request with its input.
        assert!(!steps[1].goes_with(&steps[2]) && !steps[2].goes_with(&steps[1]));
    }
}
