//! The schema registry goes away or errs: nothing is lost, skipped or dead-lettered.

use anyhow::Result;
use nubium_test_kit::checker::Extent;
use nubium_test_kit::ledger::Ledger;
use nubium_test_kit::outage::Outage;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario};
use nubium_test_kit::topics;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

struct Run {
    outage: Outage,
    ledger: Ledger,
    scenario: Scenario,
}

/// An app with a failure topic, whose registry can go away.
fn prepare(name: &str) -> Result<Run> {
    let shared = Cluster::shared();
    let ledger = write_ledger(&shared, name, 500)?;
    let outage = Outage::before(&shared.registry)?;
    let cluster = Cluster { registry: outage.url().to_owned(), ..shared };
    let mut scenario = scenario_on(&cluster, name, &ledger)?;
    let failures = format!("{}-failures", scenario.group);
    topics::create(&cluster.bootstrap, &[(&failures, 1)])?;
    scenario.set("NU_PRODUCE_FAILURE_TOPICS", failures);
    Ok(Run { outage, ledger, scenario })
}

impl Run {
    /// Waits for all, and sees that the app has lived through it and dead-lettered nothing.
    fn finish(&self, mut app: Kept<'_>) -> Result<()> {
        self.scenario.drained(&self.ledger, || app.tend())?;
        self.scenario.verify(&self.ledger, Extent::Complete)?;
        let failures = format!("{}-failures", self.scenario.group);
        let failed =
            nubium_test_kit::reader::read_all(&self.scenario.cluster.bootstrap, &[&failures])?;
        assert_eq!(failed, []);
        assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
        Ok(())
    }
}

#[test]
fn the_registry_is_down_at_start() -> Result<()> {
    let run = prepare("down-at-start")?;
    run.outage.begin();
    let app = Kept::start(&run.scenario, APP, "app")?;
    run.outage.noticed(3, DEADLINE)?;
    run.outage.end();
    run.finish(app)
}

#[test]
fn the_registry_goes_down_before_a_new_schema_comes() -> Result<()> {
    let mut run = prepare("down-in-the-middle")?;
    let registry = Cluster::shared().registry;
    let scenario = Scenario::clone(&run.scenario);
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(&run.ledger, || app.tend())?;
    run.outage.begin();
    // What it knows it goes on decoding; what it does not know waits.
    run.ledger.write(200)?;
    scenario.drained(&run.ledger, || app.tend())?;
    run.ledger.evolve(&registry)?;
    run.ledger.write(200)?;
    run.outage.noticed(3, DEADLINE)?;
    run.outage.end();
    run.finish(app)
}

#[test]
fn the_registry_errs_once_at_start() -> Result<()> {
    let run = prepare("one-error-at-start")?;
    run.outage.fail_next(1);
    let app = Kept::start(&run.scenario, APP, "app")?;
    run.finish(app)?;
    assert_eq!(run.outage.errors_given(), 1);
    Ok(())
}

#[test]
fn the_registry_errs_once_for_a_new_schema() -> Result<()> {
    let mut run = prepare("one-error-in-the-middle")?;
    let registry = Cluster::shared().registry;
    let scenario = Scenario::clone(&run.scenario);
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(&run.ledger, || app.tend())?;
    run.outage.fail_next(1);
    run.ledger.evolve(&registry)?;
    run.ledger.write(200)?;
    run.finish(app)?;
    assert_eq!(run.outage.errors_given(), 1);
    Ok(())
}
