//! 100,000 messages over four partitions of two topics, each counted once, while the app is
//! killed, joined and left by others, stopped and continued, its function fails, and its broker
//! restarts.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::ledger::Ledger;
use nubium_test_kit::process::{Process, Signal};
use nubium_test_kit::reader::LiveReader;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario, seeded};
use nubium_test_kit::wait::until;
use rand::Rng;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

const INPUTS: u32 = 100_000;
const KILLS: u32 = 10;

/// The inputs, written once for all tests that do not hurt their broker.
fn ledger() -> &'static Ledger {
    static LEDGER: OnceLock<Ledger> = OnceLock::new();
    LEDGER.get_or_init(|| {
        write_ledger(&Cluster::shared(), "hundred-thousand", INPUTS)
            .unwrap_or_else(|error| panic!("{error:#}"))
    })
}

fn scenario(name: &str) -> Result<(Scenario, &'static Ledger)> {
    let ledger = ledger();
    let mut scenario = scenario_on(&Cluster::shared(), name, ledger)?;
    // Small transactions, so that a fault at any moment is likely to hit one.
    scenario.set("NU_OUTBOX_MAX_COUNT", "500");
    Ok((scenario, ledger))
}

/// Ends an instance in good order.
fn stop(app: &Process) -> Result<()> {
    app.signal(Signal::TERM)?;
    let status = app.wait(DEADLINE)?;
    assert_eq!(status.code(), Some(0), "{status}\n{}", app.log_tail());
    Ok(())
}

#[test]
fn killed_ten_times_at_random_moments() -> Result<()> {
    let (scenario, ledger) = scenario("killed")?;
    let mut rng = seeded("killed_ten_times_at_random_moments");
    let reader = LiveReader::start(&scenario.cluster.bootstrap, &[&scenario.output])?;
    let progress = scenario.progress()?;
    let mut app = Kept::start(&scenario, APP, "app")?;
    let step = INPUTS / (KILLS + 2);
    for kill in 0..KILLS {
        let at = kill * step + rng.random_range(1..step);
        progress.reach(at.into(), DEADLINE, || app.tend())?;
        app.kill()?;
    }
    scenario.drained(ledger, || app.tend())?;
    stop(app.process())?;
    let records = scenario.verify(ledger, Extent::Complete)?;
    reader.finish(&records)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    Ok(())
}

#[test]
fn second_and_third_instance_join_and_leave() -> Result<()> {
    let (scenario, ledger) = scenario("rebalanced")?;
    let mut rng = seeded("second_and_third_instance_join_and_leave");
    let progress = scenario.progress()?;
    let mut next = |part: u32, of: u32| -> Result<()> {
        let at = INPUTS / of * part + rng.random_range(0..INPUTS / of / 2);
        progress.reach(at.into(), DEADLINE, || Ok(()))
    };
    let first = scenario.start(APP, "one")?;
    next(1, 12)?;
    let second = scenario.start(APP, "two")?;
    next(3, 12)?;
    let third = scenario.start(APP, "three")?;
    next(5, 12)?;
    stop(&second)?;
    next(6, 12)?;
    let second = scenario.start(APP, "two")?;
    next(8, 12)?;
    third.kill()?;
    next(9, 12)?;
    stop(&first)?;
    scenario.drained(ledger, || second.is_running().then_some(()).context("two has ended"))?;
    stop(&second)?;
    scenario.verify(ledger, Extent::Complete).map(drop)
}

#[test]
fn the_function_fails_at_random_and_is_tried_again() -> Result<()> {
    let (mut scenario, ledger) = scenario("failing")?;
    scenario.set("LEDGER_FAIL_ONE_IN", "2000").set("NU_ERROR_RETRY_MAX", "20");
    scenario.set("NU_ERROR_RETRY_BACKOFF_MILLISECONDS", "10");
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(ledger, || app.tend())?;
    stop(app.process())?;
    scenario.verify(ledger, Extent::Complete)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    Ok(())
}

#[test]
fn the_function_fails_and_panics_at_random_and_the_app_restarts() -> Result<()> {
    let (mut scenario, ledger) = scenario("stopping")?;
    scenario.set("LEDGER_FAIL_ONE_IN", "25000").set("LEDGER_PANIC_ONE_IN", "25000");
    scenario.set("LEDGER_COMMIT_ONE_IN", "1000");
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(ledger, || app.tend())?;
    app.process().kill()?;
    assert!(app.exits().iter().all(|status| !status.success()), "{:?}", app.exits());
    scenario.verify(ledger, Extent::Complete).map(drop)
}

#[test]
fn stopped_past_the_transaction_timeout_and_continued() -> Result<()> {
    let (mut scenario, ledger) = scenario("stopped")?;
    scenario.set("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "2");
    let mut rng = seeded("stopped_past_the_transaction_timeout_and_continued");
    let progress = scenario.progress()?;
    let mut zombie = Kept::start(&scenario, APP, "zombie")?;
    let mut survivor = Kept::start(&scenario, APP, "survivor")?;
    let at = rng.random_range(INPUTS / 10..INPUTS / 2);
    progress.reach(at.into(), DEADLINE, || Ok(()))?;
    zombie.process().signal(Signal::STOP)?;
    // The survivor can commit everything only once the zombie's session and transaction are over.
    scenario.drained(ledger, || survivor.tend())?;
    zombie.process().signal(Signal::CONT)?;
    let log = || std::fs::read_to_string(zombie_log(&scenario)).unwrap_or_default();
    let before = log().len();
    until("the zombie to notice", DEADLINE, || {
        let _ = zombie.tend();
        log().len() > before
    })?;
    stop(survivor.process())?;
    zombie.process().kill()?;
    scenario.verify(ledger, Extent::Complete).map(drop)
}

fn zombie_log(scenario: &Scenario) -> std::path::PathBuf {
    scenario.logs().join("zombie.log")
}

#[test]
fn the_broker_restarts() -> Result<()> {
    let mut faulty = Faulty::start()?;
    let cluster = Cluster { app_bootstrap: faulty.broker.bootstrap(), ..faulty.cluster() };
    let ledger = write_ledger(&cluster, "restart", INPUTS)?;
    let mut scenario = scenario_on(&cluster, "restart", &ledger)?;
    scenario.set("NU_OUTBOX_MAX_COUNT", "500");
    let mut rng = seeded("the_broker_restarts");
    let progress = scenario.progress()?;
    let mut app = Kept::start(&scenario, APP, "app")?;
    let at = rng.random_range(INPUTS / 10..INPUTS / 3);
    progress.reach(at.into(), DEADLINE, || app.tend())?;
    faulty.broker.stop()?;
    faulty.broker.start_again()?;
    let at = rng.random_range(INPUTS / 2..INPUTS / 4 * 3);
    progress.reach(at.into(), DEADLINE, || app.tend())?;
    faulty.broker.kill()?;
    faulty.broker.start_again()?;
    scenario.drained(&ledger, || app.tend())?;
    stop(app.process())?;
    scenario.verify(&ledger, Extent::Complete)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    Ok(())
}
