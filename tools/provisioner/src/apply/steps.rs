//! A plan as single steps, in the order in which they are safe. Pure.

use std::collections::{BTreeMap, BTreeSet};

use nubium_admin::{Acl, NewTopic};

use crate::desired::Origin;
use crate::observed::State;
use crate::plan::{Action, Plan, SchemaStep, Standing, TopicPlan, standing};

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
    Grow { partitions: u32 },
    Configure { config: BTreeMap<String, String> },
    Grant(Acl),
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
        self.cluster == other.cluster
            && std::mem::discriminant(&self.kind) == std::mem::discriminant(&other.kind)
    }

    pub(super) fn noun(&self) -> &'static str {
        match self.kind {
            Kind::Create { .. } => "topics created",
            Kind::Grow { .. } => "partitions added",
            Kind::Configure { .. } => "configurations changed",
            Kind::Grant(_) => "rights added",
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
            Kind::Grow { partitions } => Some((self.name.clone(), *partitions)),
            _ => None,
        }
    }

    /// Tells whether the topic, seen as `now`, has what this step is for.
    pub(super) fn is_done(&self, topic: &TopicPlan, now: Option<&State>) -> bool {
        match (&self.kind, now) {
            (Kind::Delete, now) => now.is_none(),
            (Kind::Grow { partitions }, Some(now)) => now.partitions == *partitions,
            (Kind::Configure { config }, Some(now)) => {
                config.iter().all(|(key, value)| now.config.get(key) == Some(value))
            }
            (Kind::Create { .. }, Some(_)) => standing(topic, now) == Standing::Done,
            _ => false,
        }
    }

    /// Tells whether what another made may not be seen yet.
    pub(super) fn may_appear(&self, now: Option<&State>) -> bool {
        matches!(self.kind, Kind::Create { .. }) && now.is_none()
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
    let mut all = Sorted::default();
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
                    all.create.push(Step::on(cluster, name, text, Kind::Create { new }));
                }
                (
                    Action::Change { partitions, .. },
                    Standing::ToDo { partitions: grows, config },
                ) => {
                    let is_changelog = matches!(topic.origin, Origin::Changelog(_));
                    if let Some(count) = partitions.filter(|_| grows) {
                        let text = format!("raise {at} to {count} partitions");
                        let step = Step::on(cluster, name, text, Kind::Grow { partitions: count });
                        match is_changelog {
                            true => all.grow_changelogs.push(step),
                            false => all.grow.push(step),
                        }
                    }
                    if !config.is_empty() {
                        let keys: Vec<&str> = config.keys().map(String::as_str).collect();
                        let text = format!("set {} of {at}", keys.join(", "));
                        all.configure.push(Step::on(
                            cluster,
                            name,
                            text,
                            Kind::Configure { config },
                        ));
                    }
                }
                (Action::Delete, _) => {
                    let text = format!("delete {at}");
                    all.delete.push(Step::on(cluster, name, text, Kind::Delete));
                }
            }
        }
        for acl in &part.rights {
            let (name, text) = (acl.to_string(), format!("allow on {cluster}: {acl}"));
            all.grant.push(Step::on(cluster, &name, text, Kind::Grant(acl.clone())));
        }
    }
    let schemas = plan.schemas.iter().map(|schema| {
        let text = format!("register the schema of subject {}", schema.subject);
        Step::on("", &schema.subject, text, Kind::Register(Box::new(schema.clone())))
    });
    all.register.extend(schemas);
    all.in_order()
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Create { .. } => "create",
        Action::Change { .. } => "change",
        Action::Delete => "delete",
        Action::Keep => "keep",
    }
}

#[derive(Default)]
struct Sorted {
    create: Vec<Step>,
    grow_changelogs: Vec<Step>,
    grow: Vec<Step>,
    configure: Vec<Step>,
    grant: Vec<Step>,
    register: Vec<Step>,
    delete: Vec<Step>,
}

impl Sorted {
    fn in_order(self) -> Vec<Step> {
        let Self { create, grow_changelogs, grow, configure, grant, register, delete } = self;
        [create, grow_changelogs, grow, configure, grant, register, delete].concat()
    }
}
