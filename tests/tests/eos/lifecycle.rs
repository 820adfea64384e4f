//! Starting where nothing is committed yet, and stopping in good order.

use std::time::Duration;

use anyhow::{Context, Result};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::kproxy::{ApiKey, Rule, Side, Target, kill};
use nubium_test_kit::process::Signal;
use nubium_test_kit::reader::{committed, members};
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept};
use nubium_test_kit::wait::{Look, eventually, until};

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

#[test]
fn a_graceful_stop_commits_leaves_the_group_and_exits_0() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT] {
        let cluster = Cluster::shared();
        let ledger = write_ledger(&cluster, "graceful", 10_000)?;
        let mut scenario = scenario_on(&cluster, "graceful", &ledger)?;
        scenario.set("NU_OUTBOX_MAX_COUNT", "100");
        let app = scenario.start(APP, "app")?;
        let health = scenario.logs().join("app.health");
        scenario
            .progress()?
            .reach(500, DEADLINE, || app.is_running().then_some(()).context("it has ended"))?;
        assert!(health.exists(), "no health file while it runs");
        app.signal(signal)?;
        let status = app.wait(DEADLINE)?;
        assert_eq!(status.code(), Some(0), "{status}\n{}", app.log_tail());
        assert!(!health.exists(), "the health file is still there");
        assert_eq!(members(&cluster.bootstrap, &scenario.group)?, 0, "it has not left the group");
        scenario.verify(&ledger, Extent::UpToCommitted)?;
        let mut app = Kept::start(&scenario, APP, "app")?;
        scenario.drained(&ledger, || app.tend())?;
        scenario.verify(&ledger, Extent::Complete)?;
    }
    Ok(())
}

#[test]
fn a_second_signal_ends_an_app_whose_function_blocks() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "blocked", 200)?;
    let mut scenario = scenario_on(&cluster, "blocked", &ledger)?;
    let file = scenario.logs().join("never");
    scenario.set("LEDGER_BLOCK_AT", "100").set("LEDGER_BLOCK_FILE", file.display().to_string());
    let app = scenario.start(APP, "app")?;
    until("the function to block", DEADLINE, || app.log().contains("blocking"))?;
    app.signal(Signal::TERM)?;
    until("the first signal to be noticed", DEADLINE, || app.log().contains("stop"))?;
    app.second_signal(Signal::TERM)?;
    let status = app.wait(DEADLINE)?;
    assert_ne!(status.code(), Some(0), "{}", app.log_tail());
    scenario.verify(&ledger, Extent::UpToCommitted)?;
    scenario.set("LEDGER_BLOCK_AT", "-1");
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(&ledger, || app.tend())?;
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

#[test]
fn latest_skips_what_was_before_and_nothing_after() -> Result<()> {
    let faulty = Faulty::take_turns();
    let cluster = faulty.cluster();
    let mut ledger = write_ledger(&cluster, "latest", 400)?;
    let mut scenario = scenario_on(&cluster, "latest", &ledger)?;
    scenario.set("NU_CONSUMER_AUTO_OFFSET_RESET", "latest");
    let starts = ledger.ends();
    // Killed while it commits its first output: nothing but its start is committed.
    let target = Target::new();
    faulty.proxy.add(Rule::on(ApiKey::PRODUCE, Side::Request, kill(&target)));
    let app = scenario.start(APP, "app")?;
    target.set(app.pid());
    eventually("the start to be committed", DEADLINE, || {
        match committed(&cluster.bootstrap, &scenario.group, ledger.partitions()) {
            Ok(now) if now == starts => Look::Ready(()),
            Ok(now) => Look::NotYet(format!("{now:?} of {starts:?}")),
            Err(error) => Look::NotYet(format!("{error:#}")),
        }
    })?;
    ledger.write(400)?;
    app.wait(DEADLINE)?;
    faulty.proxy.clear();
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(&ledger, || app.tend())?;
    ledger.forget_before(&starts);
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

#[test]
fn an_idle_app_makes_no_transactions() -> Result<()> {
    let faulty = Faulty::take_turns();
    let cluster = faulty.cluster();
    let ledger = write_ledger(&cluster, "idle", 100)?;
    let scenario = scenario_on(&cluster, "idle", &ledger)?;
    let app = scenario.start(APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    // Heartbeats are the clock of an idle app: five of them, and no transaction meanwhile.
    let ends = || faulty.proxy.count(ApiKey::END_TXN, Side::Request);
    let heartbeats = || faulty.proxy.count(ApiKey::HEARTBEAT, Side::Response);
    let wait = |more: usize| {
        faulty.proxy.wait_for(ApiKey::HEARTBEAT, Side::Response, heartbeats() + more, DEADLINE)
    };
    wait(1)?;
    let before = ends();
    wait(5)?;
    assert_eq!(ends(), before, "an idle app ends transactions");
    app.signal(Signal::TERM)?;
    app.wait(Duration::from_secs(60))?;
    Ok(())
}
