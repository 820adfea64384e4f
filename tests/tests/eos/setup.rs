//! What most tests begin with: input topics with a ledger, and a scenario on them.

use anyhow::Result;
use nubium_test_kit::ledger::{Ledger, Plan};
use nubium_test_kit::scenario::{Cluster, Scenario};
use nubium_test_kit::topics;

/// Partitions of each of the two input topics.
const PARTITIONS: i32 = 2;

/// Writes so many inputs to two topics of their own, one in ten to be dropped by the app.
pub(crate) fn write_ledger(cluster: &Cluster, name: &str, inputs: u32) -> Result<Ledger> {
    let names = [topics::unique(&format!("{name}-a")), topics::unique(&format!("{name}-b"))];
    let named: Vec<_> = names.iter().map(|topic| (topic.as_str(), PARTITIONS)).collect();
    topics::create(&cluster.bootstrap, &named)?;
    let plan = Plan { drop_one_in: 10, ..Plan::default() };
    let mut ledger = Ledger::create(&cluster.bootstrap, &cluster.registry, &named, plan)?;
    ledger.write(inputs)?;
    Ok(ledger)
}

/// Makes a scenario of an app that reads the ledger's topics.
pub(crate) fn scenario_on(cluster: &Cluster, name: &str, ledger: &Ledger) -> Result<Scenario> {
    let mut topics: Vec<_> = ledger.partitions().iter().map(|p| p.topic.as_str()).collect();
    topics.dedup();
    Scenario::new(name, cluster, &topics, 3)
}
