//! The areas: each gives its cells.

mod brokers;
mod functions;
mod kill;
mod messages;
pub(crate) mod mutants;
mod network;
mod pause;
mod rebalance;
mod receiver;
mod registry;
mod shutdown;
pub(crate) mod soak;
mod tables;
mod three;

use anyhow::Result;

use crate::case::{Case, Work};
use crate::cell::{Cell, Run};
use crate::world::World;

/// The names of the areas.
pub(crate) const NAMES: [&str; 11] = [
    "brokers",
    "kill",
    "messages",
    "network",
    "pause",
    "rebalance",
    "receiver",
    "registry",
    "shutdown",
    "table",
    "three",
];

/// Areas that run by name, or with everything.
pub(crate) const BY_NAME: [&str; 1] = ["three"];

/// Every cell there is.
pub(crate) fn all() -> Vec<Cell> {
    let areas = [
        kill::cells,
        functions::cells,
        pause::cells,
        network::cells,
        brokers::cells,
        rebalance::cells,
        tables::cells,
        messages::cells,
        registry::cells,
        receiver::cells,
        shutdown::cells,
        three::cells,
    ];
    areas.into_iter().flat_map(|cells| cells()).collect()
}

/// Makes an app on the broker that all share, behind its proxy.
fn shared(world: &World, run: &Run, work: Work, name: &str, inputs: u32) -> Result<Case> {
    let cluster = world.cluster(world.shared()?);
    let mut case = Case::new((&world.binaries(), &cluster), work, name, run.seed, inputs)?;
    case.scenario.set("NUBIUM_MUTANT", world.mutant());
    Ok(case)
}
