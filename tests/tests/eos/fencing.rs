//! Twins and zombies: of two producers with one transactional id only the newer may write.

use anyhow::Result;
use nubium_test_kit::checker::Extent;
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::kproxy::{ApiKey, Gate, Rule, Side, Target, Verdict, hold, stop};
use nubium_test_kit::process::Signal;
use nubium_test_kit::reader::settled;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept};
use nubium_test_kit::wait::until;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

#[test]
fn of_two_instances_with_one_name_one_ends_and_says_why() -> Result<()> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, "twins", 2_000)?;
    let scenario = scenario_on(&cluster, "twins", &ledger)?;
    let first = scenario.start(APP, "twin")?;
    scenario.drained(&ledger, || Ok(()))?;
    // The same name twice, with logs of their own.
    let second = scenario.start_as(APP, "twin", "second-twin")?;
    // Whoever is fenced makes a new producer once, fencing the other; then one gives up.
    until("a twin to end", DEADLINE, || {
        ledger.write(20).is_ok() && !(first.is_running() && second.is_running())
    })?;
    let (ended, other) = if first.is_running() { (&second, &first) } else { (&first, &second) };
    let status = ended.wait(DEADLINE)?;
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    let log = ended.log();
    let id = scenario.host("twin");
    assert!(log.contains(&id) && log.contains("NU_HOSTNAME"), "{}", ended.log_tail());
    scenario.drained(&ledger, || Ok(()))?;
    assert!(other.is_running(), "{}", other.log_tail());
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

#[test]
fn stopped_in_a_transaction_until_the_broker_aborts_it() -> Result<()> {
    let faulty = Faulty::take_turns();
    let cluster = faulty.cluster();
    let ledger = write_ledger(&cluster, "zombie", 2_000)?;
    let mut scenario = scenario_on(&cluster, "zombie", &ledger)?;
    scenario.set("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "2");
    let (target, gate) = (Target::new(), Gate::new());
    // Records and offsets are written, the commit waits, and the app stands still.
    faulty.proxy.add(Rule::on(ApiKey::END_TXN, Side::Request, hold(&gate)));
    faulty.proxy.add(Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, stop(&target)).nth(1));
    let mut app = Kept::start(&scenario, APP, "app")?;
    target.set(app.process().pid());
    until("the stop", DEADLINE, || app.process().is_stopped())?;
    settled(&cluster.bootstrap, &[&scenario.output], DEADLINE)?;
    faulty.proxy.clear();
    gate.open(Verdict::Forward);
    app.process().signal(Signal::CONT)?;
    scenario.drained(&ledger, || app.tend())?;
    scenario.verify(&ledger, Extent::Complete)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    Ok(())
}

#[test]
fn a_late_commit_does_not_end_a_later_transaction() -> Result<()> {
    let faulty = Faulty::take_turns();
    let cluster = faulty.cluster();
    let ledger = write_ledger(&cluster, "late", 2_000)?;
    let scenario = scenario_on(&cluster, "late", &ledger)?;
    let gate = Gate::new();
    faulty.proxy.add(Rule::on(ApiKey::END_TXN, Side::Request, hold(&gate)));
    let mut app = Kept::start(&scenario, APP, "app")?;
    gate.reached(DEADLINE)?;
    // The app loses the connection and does not know; the broker has the commit still to come.
    let mut rest = Kept::start(&scenario, APP, "survivor")?;
    scenario.drained(&ledger, || app.tend().and_then(|()| rest.tend()))?;
    gate.open(Verdict::Forward);
    scenario.verify(&ledger, Extent::Complete).map(drop)
}
