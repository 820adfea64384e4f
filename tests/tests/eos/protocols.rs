//! The ways to be a member of a group: each counts every input once while instances join, are
//! killed, come back and leave.

use std::sync::OnceLock;

use anyhow::Result;
use nubium_test_kit::checker::Extent;
use nubium_test_kit::ledger::Ledger;
use nubium_test_kit::process::Signal;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, seeded};
use rand::Rng;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

const INPUTS: u32 = 40_000;

fn ledger() -> &'static Ledger {
    static LEDGER: OnceLock<Ledger> = OnceLock::new();
    LEDGER.get_or_init(|| {
        write_ledger(&Cluster::shared(), "protocols", INPUTS)
            .unwrap_or_else(|error| panic!("{error:#}"))
    })
}

/// A second instance joins, the first is killed and started again, the second leaves.
fn joined_killed_and_left(name: &str, settings: &[(&str, &str)]) -> Result<()> {
    let ledger = ledger();
    let mut scenario = scenario_on(&Cluster::shared(), name, ledger)?;
    scenario.set("NU_OUTBOX_MAX_COUNT", "200");
    for (setting, value) in settings {
        scenario.set(setting, *value);
    }
    let mut rng = seeded(name);
    let progress = scenario.progress()?;
    let mut first = Kept::start(&scenario, APP, "one")?;
    let mut reach = |part: u32, first: &mut Kept<'_>| {
        let at = INPUTS / 8 * part + rng.random_range(0..INPUTS / 10);
        progress.reach(at.into(), DEADLINE, || first.tend())
    };
    reach(1, &mut first)?;
    let second = scenario.start(APP, "two")?;
    reach(3, &mut first)?;
    first.kill()?;
    first.tend()?;
    reach(5, &mut first)?;
    second.signal(Signal::TERM)?;
    let status = second.wait(DEADLINE)?;
    assert_eq!(status.code(), Some(0), "{status}\n{}", second.log_tail());
    scenario.drained(ledger, || first.tend())?;
    first.process().kill()?;
    assert!(first.exits().is_empty(), "it ended by itself: {:?}", first.exits());
    scenario.verify(ledger, Extent::Complete).map(drop)
}

#[test]
fn the_eager_protocol() -> Result<()> {
    joined_killed_and_left("eager", &[("NU_CONSUMER_ASSIGNMENT_STRATEGY", "range")])
}

#[test]
fn the_consumer_protocol() -> Result<()> {
    // Session and heartbeat are the broker's there; blank takes the scenario's own back.
    let settings = [
        ("NU_CONSUMER_GROUP_PROTOCOL", "consumer"),
        ("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", ""),
        ("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS", ""),
    ];
    joined_killed_and_left("consumer-protocol", &settings)
}

#[test]
fn static_members() -> Result<()> {
    joined_killed_and_left("static", &[("NU_CONSUMER_GROUP_INSTANCE_ID", "hostname")])
}

#[test]
fn two_loops_in_each_process() -> Result<()> {
    joined_killed_and_left("threads", &[("NU_APP_THREADS", "2")])
}
