//! What shall be: the map of topics, and what follows from the manifests. No I/O here.

use std::collections::{BTreeMap, BTreeSet};

use nubium_admin::{Acl, AclOperation, Pattern, ResourceKind};
use nubium_config::Topology;
use serde::{Deserialize, Serialize};

use crate::manifest::{Chain, Manifest, SchemaText};
use crate::observed::Observed;
use crate::subjects;

/// What shall be, on all clusters.
#[derive(Debug, Default)]
pub struct Desired {
    /// The names of all clusters that the settings have, those that were not observed too.
    pub clusters: BTreeSet<String>,
    /// The topics, by cluster and name.
    pub topics: BTreeMap<String, BTreeMap<String, Wanted>>,
    /// The rights, by cluster.
    pub rights: BTreeMap<String, BTreeSet<Acl>>,
    /// The schemas, by subject, with the app that needs each.
    pub schemas: BTreeMap<String, (String, SchemaText)>,
    /// The compatibility levels that subjects shall have.
    pub levels: BTreeMap<String, String>,
    /// What contradicts itself, so that nothing can be planned.
    pub conflicts: Vec<String>,
    /// What is worth knowing.
    pub warnings: Vec<String>,
}

/// What a topic shall be; what is none is left to the brokers, or as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How many partitions.
    pub partitions: Option<u32>,
    /// How many copies of each.
    pub replication: Option<u16>,
    /// Its own configuration; what is not named stays as it is.
    pub config: BTreeMap<String, String>,
    /// Why it is wanted.
    pub origin: Origin,
    /// The app whose table belongs to this input.
    pub table: Option<String>,
}

/// Why a topic is in a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The map of topics names it.
    #[default]
    Map,
    /// It is the changelog of this app.
    Changelog(String),
    /// It is for the retries of this app.
    Retry(String),
    /// It is for the failures of this app.
    Failure(String),
    /// Nothing names it.
    Unnamed,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Map => f.write_str("topic map"),
            Self::Changelog(app) => write!(f, "changelog of {app}"),
            Self::Retry(app) => write!(f, "retries of {app}"),
            Self::Failure(app) => write!(f, "failures of {app}"),
            Self::Unnamed => f.write_str("named nowhere"),
        }
    }
}

/// Finds the cluster of an app: that of its topics in the map, or else the only one.
///
/// # Errors
/// Its topics are on several clusters, or on none while there are several.
pub fn cluster_of<'t>(topology: &'t Topology, manifest: &Manifest) -> Result<&'t str, String> {
    let topics = || manifest.reads().into_iter().chain(manifest.writes());
    let mut clusters = BTreeMap::new();
    for topic in topics() {
        if let Some(mapped) = topology.topics.get(&topic) {
            clusters.entry(mapped.cluster.as_str()).or_insert(topic);
        }
    }
    let app = &manifest.app;
    match (clusters.len(), topology.clusters.len()) {
        (0, 1) => Ok(topology.clusters.keys().next().map_or("", String::as_str)),
        (0, _) => Err(format!(
            "app {app} has no topic in the map of topics, so that it is not known which of the \
             clusters it is on; map its input"
        )),
        (1, _) => Ok(clusters.into_keys().next().unwrap_or_default()),
        _ => {
            let places: Vec<_> = clusters
                .into_iter()
                .map(|(cluster, topic)| format!("{topic} on {cluster}"))
                .collect();
            Err(format!(
                "app {app} is spread over clusters ({}), which a transaction cannot span",
                places.join(", ")
            ))
        }
    }
}

/// Names the topics whose configuration matters, by cluster.
pub fn names(topology: &Topology, manifests: &[Manifest]) -> BTreeMap<String, BTreeSet<String>> {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, topic) in &topology.topics {
        names.entry(topic.cluster.clone()).or_default().insert(name.clone());
    }
    for manifest in manifests {
        if let Ok(cluster) = cluster_of(topology, manifest) {
            let topics = manifest.reads().into_iter().chain(manifest.writes());
            names.entry(cluster.to_owned()).or_default().extend(topics);
        }
    }
    names
}

/// Works out what shall be; `observed` tells what the map leaves open. Apps and topics on clusters
/// that were not observed are left out.
pub fn desired(
    topology: &Topology,
    manifests: &[Manifest],
    observed: &BTreeMap<String, Observed>,
) -> Desired {
    let clusters = topology.clusters.keys().cloned().collect();
    let mut desired = Desired { clusters, ..Desired::default() };
    for (name, topic) in &topology.topics {
        if observed.contains_key(&topic.cluster) {
            let wanted = Wanted {
                partitions: topic.num_partitions,
                replication: topic.replication_factor,
                config: topic.config.clone(),
                ..Wanted::default()
            };
            desired.topics.entry(topic.cluster.clone()).or_default().insert(name.clone(), wanted);
        }
    }
    for manifest in manifests {
        match cluster_of(topology, manifest) {
            Err(why) => desired.conflicts.push(why),
            Ok(cluster) => {
                if let Some(observed) = observed.get(cluster) {
                    desired.add_app(cluster, manifest, observed);
                    desired.add_schemas(topology, manifest);
                }
            }
        }
    }
    desired
}

impl Desired {
    fn add_schemas(&mut self, topology: &Topology, manifest: &Manifest) {
        let subjects = match subjects::of(topology, manifest) {
            Ok(subjects) => subjects,
            Err(problems) => return self.conflicts.extend(problems),
        };
        for (topic, said) in &topology.topics {
            let Some(level) = &said.schemas.compatibility else { continue };
            let wanted = subjects.keys().find(|subject| {
                subjects::is_value_of(topic, &said.schemas, subject, subjects.get(*subject))
            });
            if let Some(subject) = wanted {
                self.levels.insert(subject.clone(), level.clone());
            }
        }
        for (subject, schema) in subjects {
            let (app, text) = (manifest.app.clone(), schema.text.clone());
            match self.schemas.get(&subject) {
                Some((other, known)) if known.text != text => self.conflicts.push(format!(
                    "apps {other} and {app} have different schemas for subject {subject} ({} and \
                     {})",
                    known.file, schema.file
                )),
                Some(_) => {}
                None => drop(self.schemas.insert(subject, (app, schema))),
            }
        }
    }

    fn add_app(&mut self, cluster: &str, manifest: &Manifest, observed: &Observed) {
        self.derive(cluster, manifest, observed);
        self.look_for(cluster, manifest, observed);
        if let Some(principal) = &manifest.principal {
            let rights = rights(manifest, principal);
            self.rights.entry(cluster.to_owned()).or_default().extend(rights);
        }
    }

    /// Adds what an app's topics follow from its input: changelog, retries and failures.
    fn derive(&mut self, cluster: &str, manifest: &Manifest, observed: &Observed) {
        let (partitions, replication) = self.like_input(cluster, manifest, observed);
        let app = || manifest.app.clone();
        let mut derived: Vec<(String, Origin)> = Vec::new();
        derived.extend(manifest.changelog().map(|name| (name, Origin::Changelog(app()))));
        let outside = |name: &&String| !manifest.input.contains(name);
        let named = |names: &[String], origin: fn(String) -> Origin| -> Vec<(String, Origin)> {
            names.iter().filter(outside).map(|name| (name.clone(), origin(app()))).collect()
        };
        let first = manifest.chain.iter().map(Chain::first);
        let first: Vec<_> = first.filter(|first| manifest.input.contains(first)).collect();
        derived.extend(first.into_iter().map(|name| (name, Origin::Retry(app()))));
        derived.extend(named(&manifest.retry, Origin::Retry));
        derived.extend(named(&manifest.failure, Origin::Failure));
        for (name, origin) in derived {
            let is_changelog = matches!(origin, Origin::Changelog(_));
            let known = self.topics.get(cluster).and_then(|topics| topics.get(&name)).cloned();
            let mut wanted = known.unwrap_or(Wanted { origin, ..Wanted::default() });
            if is_changelog {
                self.fit_changelog(&name, manifest, partitions, &mut wanted);
            }
            let exists = observed.topics.contains_key(&name);
            // One that is there already keeps its partitions: only a changelog must have as many.
            if is_changelog || !exists {
                wanted.partitions = wanted.partitions.or(partitions);
            }
            if !exists {
                wanted.replication = wanted.replication.or(replication);
            }
            self.topics.entry(cluster.to_owned()).or_default().insert(name, wanted);
        }
        if let (Some(_), [input]) = (manifest.changelog(), &manifest.input[..])
            && let Some(topic) = self.topics.get_mut(cluster).and_then(|t| t.get_mut(input))
        {
            topic.table = Some(manifest.app.clone());
        }
    }

    fn fit_changelog(
        &mut self,
        name: &str,
        manifest: &Manifest,
        partitions: Option<u32>,
        wanted: &mut Wanted,
    ) {
        let app = &manifest.app;
        if let (Some(own), Some(input)) = (wanted.partitions, partitions)
            && own != input
        {
            self.conflicts.push(format!(
                "changelog {name} of {app} has {own} partitions in the map of topics and its \
                 input {} has {input}; they must have the same number: leave that of the \
                 changelog out",
                manifest.input.join(", ")
            ));
        }
        let policy = wanted.config.entry("cleanup.policy".into()).or_insert("compact".into());
        if policy != "compact" {
            self.warnings.push(format!(
                "changelog {name} of {app} has cleanup.policy={policy} in the map of topics: rows \
                 that are deleted by age are lost to the table"
            ));
        }
    }

    /// The partitions and copies that topics made for an app have: of its input, as it shall be or
    /// as it is; of several inputs, the most.
    fn like_input(
        &self,
        cluster: &str,
        manifest: &Manifest,
        observed: &Observed,
    ) -> (Option<u32>, Option<u16>) {
        let of = |name: &String| {
            let wanted = self.topics.get(cluster).and_then(|topics| topics.get(name));
            let there = observed.topics.get(name);
            let partitions = wanted.and_then(|wanted| wanted.partitions);
            let replication = wanted.and_then(|wanted| wanted.replication);
            (
                partitions.or(there.map(|there| there.partitions)),
                replication.or(there.map(|there| there.replication)),
            )
        };
        let all: Vec<_> = manifest.input.iter().map(of).collect();
        let told = manifest.chain.as_ref().and_then(|chain| chain.partitions);
        let partitions = told.or(all.iter().filter_map(|(partitions, _)| *partitions).max());
        (partitions, all.iter().filter_map(|(_, replication)| *replication).max())
    }

    /// Every topic that an app uses must be there or be made.
    fn look_for(&mut self, cluster: &str, manifest: &Manifest, observed: &Observed) {
        let topics = self.topics.get(cluster);
        let is_known = |name: &String| {
            topics.is_some_and(|topics| topics.contains_key(name))
                || observed.topics.contains_key(name)
        };
        let used: BTreeSet<_> = manifest.reads().into_iter().chain(manifest.writes()).collect();
        for name in used.iter().filter(|name| !is_known(name)) {
            self.conflicts.push(format!(
                "topic {name} of app {} is neither in the map of topics nor on cluster {cluster}; \
                 add it to the map",
                manifest.app
            ));
        }
        let mapped = |name: &&String| topics.is_some_and(|topics| topics.contains_key(*name));
        let open = |name: &String| {
            topics.and_then(|t| t.get(name)).is_some_and(|wanted| wanted.partitions.is_none())
                && !observed.topics.contains_key(name)
        };
        for input in manifest.input.iter().filter(mapped).filter(|name| open(name)) {
            if let Some(changelog) = manifest.changelog() {
                self.conflicts.push(format!(
                    "topic {input} has no num_partitions in the map of topics and is not there \
                     yet, so that it is not known how many {changelog} must have"
                ));
            }
        }
    }
}

/// The rules that an app needs.
fn rights(manifest: &Manifest, principal: &str) -> Vec<Acl> {
    let rule = |kind, name: &str, operation, pattern| Acl {
        principal: principal.to_owned(),
        host: "*".into(),
        operation,
        kind,
        name: name.to_owned(),
        pattern,
        allow: true,
    };
    let topic =
        |name: &String, operation| rule(ResourceKind::Topic, name, operation, Pattern::Literal);
    let mut rules: Vec<Acl> =
        manifest.reads().iter().map(|name| topic(name, AclOperation::Read)).collect();
    rules.extend(manifest.writes().iter().map(|name| topic(name, AclOperation::Write)));
    let (group, literal) = (ResourceKind::Group, Pattern::Literal);
    let groups = manifest.groups();
    rules.extend(groups.iter().map(|name| rule(group, name, AclOperation::Read, literal)));
    if manifest.kind.is_transactional() {
        // Writing comes with describing.
        let (kind, ids) = (ResourceKind::TransactionalId, &manifest.transactional_ids);
        rules.push(rule(kind, ids, AclOperation::Write, Pattern::Prefixed));
    }
    rules
}
