//! 200,000 messages of 10,000 keys, each counted once, while the app is killed, joined and left by
//! others, its volume is wiped, its stores are cut, and its broker restarts.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::ledger::Ledger;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, seeded};
use rand::Rng;

use crate::APP;
use crate::setup::{Table, cut, stop, write_ledger};

const KEYS: u32 = 10_000;
const INPUTS: u32 = 200_000;

/// The inputs, written once for all tests that do not hurt their broker.
fn ledger() -> &'static Ledger {
    static LEDGER: OnceLock<Ledger> = OnceLock::new();
    LEDGER.get_or_init(|| {
        write_ledger(&Cluster::shared(), "counts", KEYS, INPUTS)
            .unwrap_or_else(|error| panic!("{error:#}"))
    })
}

#[test]
fn killed_at_random_moments_with_stores_kept_wiped_and_cut() -> Result<()> {
    let (cluster, ledger) = (Cluster::shared(), ledger());
    let table = Table::new(&cluster, "killed", ledger)?;
    let mut rng = seeded("killed_at_random_moments_with_stores_kept_wiped_and_cut");
    let progress = table.scenario.progress()?;
    let mut app = table.start("app", "own")?;
    const KILLS: u32 = 6;
    let step = INPUTS / (KILLS + 2);
    for kill in 0..KILLS {
        let at = kill * step + rng.random_range(1..step);
        progress.reach(at.into(), DEADLINE, || {
            app.is_running().then_some(()).with_context(|| app.log_tail())
        })?;
        app.kill()?;
        match kill {
            2 => std::fs::remove_dir_all(table.volume("own"))?,
            4 => cut(&table.store("own", 1)).context("the store of partition 1")?,
            _ => {}
        }
        app = table.start("app", "own")?;
    }
    table
        .scenario
        .drained(ledger, || app.is_running().then_some(()).with_context(|| app.log_tail()))?;
    assert!(app.log().contains("set aside"), "the cut store was not noticed\n{}", app.log_tail());
    stop(&app)?;
    table.verify(ledger, "own")
}

/// Three instances that join, leave and are killed, each on the volume that is named for it.
fn rebalanced(name: &str, volume_of: fn(&'static str) -> &'static str) -> Result<()> {
    let (cluster, ledger) = (Cluster::shared(), ledger());
    let table = Table::new(&cluster, name, ledger)?;
    let mut rng = seeded(name);
    let progress = table.scenario.progress()?;
    let mut next = |part: u32| -> Result<()> {
        let at = INPUTS / 12 * part + rng.random_range(0..INPUTS / 24);
        progress.reach(at.into(), DEADLINE, || Ok(()))
    };
    let start = |host: &'static str| table.start(host, volume_of(host));
    let first = start("one")?;
    next(1)?;
    let second = start("two")?;
    next(3)?;
    let third = start("three")?;
    next(5)?;
    stop(&second)?;
    next(6)?;
    let second = start("two")?;
    next(8)?;
    third.kill()?;
    next(9)?;
    stop(&first)?;
    let alive = || second.is_running().then_some(()).with_context(|| second.log_tail());
    table.scenario.drained(ledger, alive)?;
    stop(&second)?;
    table.verify(ledger, volume_of("two"))?;
    if volume_of("three") != volume_of("two") {
        // Whoever was killed long ago catches up from where its stores were.
        table.verify(ledger, volume_of("three"))?;
    }
    Ok(())
}

#[test]
fn three_instances_with_volumes_of_their_own() -> Result<()> {
    rebalanced("own-volumes", |host| host)
}

#[test]
fn three_instances_on_one_volume() -> Result<()> {
    rebalanced("shared-volume", |_| "shared")
}

#[test]
fn the_broker_restarts() -> Result<()> {
    let mut faulty = Faulty::start()?;
    let cluster = Cluster { app_bootstrap: faulty.broker.bootstrap(), ..faulty.cluster() };
    let ledger = write_ledger(&cluster, "table-restart", KEYS, INPUTS / 4)?;
    let table = Table::new(&cluster, "table-restart", &ledger)?;
    let mut rng = seeded("the_broker_restarts");
    let progress = table.scenario.progress()?;
    let scenario = table.on("own");
    let mut app = Kept::start(&scenario, APP, "app")?;
    let at = rng.random_range(INPUTS / 40..INPUTS / 12);
    progress.reach(at.into(), DEADLINE, || app.tend())?;
    faulty.broker.kill()?;
    faulty.broker.start_again()?;
    table.scenario.drained(&ledger, || app.tend())?;
    stop(app.process())?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    table.verify(&ledger, "own")
}
