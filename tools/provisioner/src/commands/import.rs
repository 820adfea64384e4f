//! `nubium-provision import`: the map of topics of a running cluster.

use std::collections::{BTreeMap, BTreeSet};

use nubium_admin::naming;
use nubium_config::Topology;
use serde::Serialize;

use super::write;
use crate::cli::ImportOptions;
use crate::ending::{Ending, Error};
use crate::observed::{self, Observed};
use crate::start::Start;

#[derive(Serialize)]
struct Topic<'a> {
    cluster: &'a str,
    configs: Configs<'a>,
}

#[derive(Serialize)]
struct Configs<'a> {
    num_partitions: u32,
    replication_factor: u16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    config: &'a BTreeMap<String, String>,
}

/// Writes the map; internal topics and mirrors of other clusters are left out.
pub(super) async fn run(options: &ImportOptions) -> Result<Ending, Error> {
    let start = Start::load(&[])?;
    let (name, _) = start.topology.cluster(options.cluster.as_deref())?;
    let admins = start.connect(&[name.to_owned()]).await?;
    let Some(admin) = admins.get(name) else { return Ok(Ending::Failed) };
    let all: BTreeSet<String> = admin
        .topics()
        .await
        .map_err(Error::cluster(name))?
        .into_keys()
        .filter(|topic| !naming::is_internal(topic))
        .collect();
    let found = observed::observe(name, admin, &all, false).await?;
    write(&options.output, &map(&start.topology, name, &found))?;
    Ok(Ending::Ok)
}

fn map(topology: &Topology, cluster: &str, found: &Observed) -> String {
    let others = || topology.clusters.keys().map(String::as_str).filter(|name| *name != cluster);
    let ours = found.topics.iter().filter(|(name, _)| {
        !naming::is_internal(name)
            && !found.internal.contains(*name)
            && !naming::is_mirror(name, others())
    });
    let topics: BTreeMap<&str, Topic<'_>> = ours
        .map(|(name, state)| {
            let configs = Configs {
                num_partitions: state.partitions,
                replication_factor: state.replication,
                config: &state.config,
            };
            (name.as_str(), Topic { cluster, configs })
        })
        .collect();
    let yaml = serde_norway::to_string(&topics).unwrap_or_default();
    format!("# The topics of cluster {cluster}, written by nubium-provision import.\n{yaml}")
}
