//! A broker of the newest version: every input counts once across kills of the app and of the
//! broker.

use anyhow::Result;
use nubium_test_kit::broker::{Broker, Options};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::install::ensure_installed_with;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept};
use nubium_test_kit::services::shared;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

fn counts_every_input_once(version: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = Options { heap_mb: 512, ..Options::default() };
    let mut broker = Broker::start(&ensure_installed_with(version)?, dir.path(), &options)?;
    let registry = shared().registry.clone();
    let (bootstrap, app_bootstrap) = (broker.bootstrap(), broker.bootstrap());
    let cluster = Cluster { bootstrap, app_bootstrap, registry };
    let mut ledger = write_ledger(&cluster, "version", 1_000)?;
    let scenario = scenario_on(&cluster, "version", &ledger)?;
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.progress()?.reach(200, DEADLINE, || app.tend())?;
    app.kill()?;
    scenario.progress()?.reach(500, DEADLINE, || app.tend())?;
    broker.kill()?;
    broker.start_again()?;
    ledger.write(500)?;
    scenario.drained(&ledger, || app.tend())?;
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

#[test]
fn the_newest_kafka() -> Result<()> {
    counts_every_input_once("4.4.0")
}
