//! Settings: reads the `NU_*` names of the environment into one typed [`Config`].
//!
//! Every problem of a start is collected into [`Problems`] and printed at once, before anything
//! touches the network. One table, [`SECTIONS`], holds names, defaults and meanings; parsing,
//! the warnings about unknown names, the listing of effective settings and the docs page all
//! come from it.

mod certificate;
mod choice;
mod cluster;
mod cross;
mod document;
mod group;
mod identity;
mod instance;
mod load;
mod page;
mod parse;
mod properties;
mod raw;
mod reader;
mod schemas;
mod secret;
mod setting;
mod shown;
mod topic;
mod topology;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use self::certificate::Certificates;
pub use self::choice::{
    AssignmentStrategy, AutoOffsetReset, Choice, Compression, DeleteMarker, ErrorPolicy,
    GroupProtocol, LogFormat, LogLevel, MissingHeaders, Ordering, SaslMechanism, SecurityProtocol,
};
pub use self::cluster::{Cluster, Login, Sasl, Tls};
pub use self::group::{
    App, BasicAuth, Consumer, Errors, Log, MetricsPush, Operation, Outbox, Producer, PushAuth,
    Registry, Routes, Table,
};
pub use self::identity::{AwsCredentials, Kerberos, TokenEndpoint, TokenOrigin, TokenSource};
pub use self::instance::{Instance, numbered};
pub use self::page::settings_page;
pub use self::properties::Properties;
pub use self::reader::{Effective, Source};
pub use self::secret::{REDACTED, Secret};
pub use self::setting::{
    Kind, Origin, SECTIONS, SERVICES, Section, Setting, Unit, WhenUnset, nearest, setting, settings,
};
pub use self::topic::Topic;
pub use self::topology::{Clusters, Topology};

use self::raw::Raw;

pub use nubium_document::{Problem, Problems, Warning};
pub use nubium_formats::{Format, SubjectNames, SubjectReference, TopicSchemas, Topics, Version};

/// Holds every setting, checked and typed. Printing it shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Who the app is.
    pub app: App,
    /// How log lines look.
    pub log: Log,
    /// The clusters, by name; at least one.
    pub clusters: BTreeMap<String, Cluster>,
    /// The topics that are mapped to a cluster, by name.
    pub topics: BTreeMap<String, Topic>,
    /// Further librdkafka properties.
    pub properties: Properties,
    /// Where the schema registry is.
    pub registry: Registry,
    /// Which topics the app uses.
    pub routes: Routes,
    /// How messages are consumed.
    pub consumer: Consumer,
    /// How messages are produced.
    pub producer: Producer,
    /// What bounds a transaction.
    pub outbox: Outbox,
    /// What follows when the app function fails.
    pub errors: Errors,
    /// How the process is watched and stopped.
    pub operation: Operation,
    /// Where metrics are pushed to.
    pub metrics: MetricsPush,
    /// How a table app keeps its table.
    pub table: Table,
    topic_setting: &'static str,
    effective: Vec<Effective>,
}

/// Holds what a load gives when nothing is wrong.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What looks wrong but does not prevent the start; for the log.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads the process's environment, and the files that it names.
    ///
    /// # Errors
    /// Every problem there is, not only the first. The caller prints them and exits 2.
    pub fn from_env() -> Result<Loaded, Problems> {
        load::load(Raw::from_process(std::env::vars_os()))
    }

    /// Reads given names and values as [`Config::from_env`] reads the environment.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, Problems> {
        load::load(Raw::from_vars(vars))
    }

    /// Finds the one cluster, with its name, that all these topics are on.
    ///
    /// Topics that are not mapped go along with the others; when none is mapped and there is
    /// exactly one cluster, it is that one. For what is not mapped see [`Config::unmapped`].
    ///
    /// # Errors
    /// The topics are on several clusters (a transaction cannot span two), on one that is not
    /// known, or none of them is mapped and there are several clusters.
    pub fn cluster_for<'t>(
        &self,
        topics: impl Iterator<Item = &'t str>,
    ) -> Result<(&str, &Cluster), Problems> {
        let names: Vec<&str> = topics.collect();
        self.places().cluster_for(&names).map_err(|problem| Problems(vec![problem]))
    }

    fn places(&self) -> topic::Places<'_> {
        let Self { clusters, topics, topic_setting: setting, .. } = self;
        topic::Places { clusters, topics, setting }
    }

    /// Reads from the process's environment what [`Config::topic_schemas`] gives; what is wrong with
    /// it is for [`Config::from_env`] to tell.
    #[must_use]
    pub fn topic_schemas_of_env() -> Topics {
        let mut reader = reader::Reader::new(Raw::from_process(std::env::vars_os()));
        topic::schemas_of(&topic::read(&mut reader))
    }

    /// Gives the topics whose keys and values are not as they are by default.
    #[must_use]
    pub fn topic_schemas(&self) -> Topics {
        topic::schemas_of(&self.topics)
    }

    /// Warns of each of these topics that the map of topics does not hold.
    pub fn unmapped<'t>(&self, topics: impl Iterator<Item = &'t str>) -> Vec<Warning> {
        topics
            .filter(|topic| !self.topics.contains_key(*topic))
            .map(|topic| Warning {
                setting: self.topic_setting.into(),
                text: format!("topic {topic} is not in the map; the app's cluster is assumed"),
            })
            .collect()
    }

    /// Lists every setting in force, in the order of the docs page, secrets redacted.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }
}
