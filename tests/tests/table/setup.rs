//! What most tests begin with: an input, a changelog, an app, and where its stores lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::ledger::{Ledger, Plan};
use nubium_test_kit::process::{Process, Signal};
use nubium_test_kit::scenario::{Cluster, DEADLINE, Scenario};
use nubium_test_kit::table::{changelog_rows, compare, store_rows};
use nubium_test_kit::topics;
use nubium_test_kit::wait::until;

use crate::APP;

pub(crate) const PARTITIONS: i32 = 4;

/// Writes inputs of so many keys to one topic.
pub(crate) fn write_ledger(
    cluster: &Cluster,
    name: &str,
    keys: u32,
    inputs: u32,
) -> Result<Ledger> {
    let topic = topics::unique(name);
    topics::create(&cluster.bootstrap, &[(&topic, PARTITIONS)])?;
    let plan = Plan { keys, ..Plan::default() };
    let topics = [(topic.as_str(), PARTITIONS)];
    let mut ledger = Ledger::create(&cluster.bootstrap, &cluster.registry, &topics, plan)?;
    ledger.write(inputs)?;
    Ok(ledger)
}

/// A table app on a ledger.
pub(crate) struct Table {
    pub(crate) scenario: Scenario,
    pub(crate) changelog: String,
}

impl Table {
    /// Makes an app with a changelog of its own.
    pub(crate) fn new(cluster: &Cluster, name: &str, ledger: &Ledger) -> Result<Self> {
        Self::with(cluster, name, ledger, &[("cleanup.policy", "compact")])
    }

    pub(crate) fn with(
        cluster: &Cluster,
        name: &str,
        ledger: &Ledger,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let table = Self::without_changelog(cluster, name, ledger)?;
        let new = [(table.changelog.as_str(), PARTITIONS)];
        topics::create_with(&cluster.bootstrap, &new, settings)?;
        Ok(table)
    }

    pub(crate) fn without_changelog(
        cluster: &Cluster,
        name: &str,
        ledger: &Ledger,
    ) -> Result<Self> {
        let input = &ledger.partitions()[0].topic;
        let mut scenario = Scenario::new(name, cluster, &[input], 3)?;
        // Small transactions, so that a fault at any moment is likely to hit one.
        scenario.set("NU_OUTBOX_MAX_COUNT", "500");
        let changelog = format!("{}__changelog", scenario.group);
        Ok(Self { scenario, changelog })
    }

    /// Where the stores of instances on this volume lie.
    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.scenario.logs().join(format!("volume-{name}"))
    }

    /// The scenario of instances on this volume.
    pub(crate) fn on(&self, volume: &str) -> Scenario {
        let mut scenario = self.scenario.clone();
        scenario.set("NU_TABLE_PATH", self.volume(volume).display().to_string());
        scenario
    }

    pub(crate) fn start(&self, host: &str, volume: &str) -> Result<Process> {
        self.on(volume).start(APP, host)
    }

    /// Where the store of a partition lies on a volume.
    pub(crate) fn store(&self, volume: &str, partition: i32) -> PathBuf {
        let name = format!("{}-{partition}", self.changelog);
        self.volume(volume).join(&self.scenario.group).join(name)
    }

    /// Checks that every input counts once: in the output, the offsets, the changelog, and in the
    /// stores of an instance that takes everything over on this volume.
    pub(crate) fn verify(&self, ledger: &Ledger, volume: &str) -> Result<()> {
        self.scenario.verify(ledger, Extent::Complete)?;
        let last = self.on(volume).start_as(APP, "last", &format!("last-on-{volume}"))?;
        ready(&last)?;
        stop(&last)?;
        let changelog = changelog_rows(&self.scenario.cluster.bootstrap, &self.changelog)?;
        compare(ledger, &changelog, &self.stores(volume)?)
    }

    pub(crate) fn stores(&self, volume: &str) -> Result<nubium_test_kit::table::Rows> {
        store_rows(&self.volume(volume), &self.scenario.group, &self.changelog, PARTITIONS)
    }
}

/// Waits until an instance has brought all partitions up to date.
pub(crate) fn ready(app: &Process) -> Result<()> {
    until("all stores to be up to date", DEADLINE, || {
        assert!(app.is_running(), "it has ended\n{}", app.log_tail());
        app.log().matches("The store is up to date").count() >= PARTITIONS as usize
    })
    .with_context(|| app.log_tail())
}

/// Ends an instance in good order.
pub(crate) fn stop(app: &Process) -> Result<()> {
    app.signal(Signal::TERM)?;
    let status = app.wait(DEADLINE)?;
    assert_eq!(status.code(), Some(0), "{status}\n{}", app.log_tail());
    Ok(())
}

/// Cuts a store's file in half.
pub(crate) fn cut(store: &Path) -> Result<()> {
    let file = std::fs::File::options().write(true).open(store.join("data.mdb"))?;
    Ok(file.set_len(file.metadata()?.len() / 2)?)
}
