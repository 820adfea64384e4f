//! Many slow calls at once: each input once and in order of its partition, whatever is killed in
//! the middle of them.

use anyhow::{Context, Result};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::process::Signal;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, seeded};
use rand::Rng;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

const INPUTS: u32 = 12_000;

#[test]
fn killed_in_the_middle_of_many_calls() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "abreast", INPUTS)?;
    let mut scenario = scenario_on(&cluster, "abreast", &ledger)?;
    scenario.set("NU_APP_CONCURRENCY", "64").set("LEDGER_CALL_MILLIS", "30");
    scenario.set("LEDGER_FAIL_ONE_IN", "500").set("NU_ERROR_RETRY_MAX", "20");
    scenario.set("NU_ERROR_RETRY_BACKOFF_MILLISECONDS", "50");
    let mut rng = seeded("killed_in_the_middle_of_many_calls");
    let progress = scenario.progress()?;
    let mut app = Kept::start(&scenario, APP, "app")?;
    let step = INPUTS / 6;
    for kill in 0..4 {
        let at = kill * step + rng.random_range(1..step);
        progress.reach(at.into(), DEADLINE, || app.tend())?;
        app.kill()?;
    }
    // Another one takes partitions over while calls run, and an orderly stop waits for its calls.
    let second = scenario.start(APP, "second")?;
    progress.reach((5 * step).into(), DEADLINE, || app.tend())?;
    second.signal(Signal::TERM)?;
    let status = second.wait(DEADLINE)?;
    assert_eq!(status.code(), Some(0), "{status}\n{}", second.log_tail());
    scenario.drained(&ledger, || app.tend())?;
    app.process().signal(Signal::TERM)?;
    let status = app.process().wait(DEADLINE)?;
    assert_eq!(status.code(), Some(0), "{status}\n{}", app.process().log_tail());
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

#[test]
fn an_app_of_batches_refuses_more_than_one_at_once() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "abreast-batch", 10)?;
    let mut scenario = scenario_on(&cluster, "abreast-batch", &ledger)?;
    scenario.set("NU_APP_CONCURRENCY", "8");
    let app = scenario.start(crate::BATCH_APP, "app")?;
    let status = app.wait(DEADLINE)?;
    let log = app.log();
    assert!(log.contains("NU_APP_CONCURRENCY=8") && log.contains("batches"), "{status}\n{log}");
    status.code().filter(|code| *code != 0).context("it must be refused").map(drop)
}
