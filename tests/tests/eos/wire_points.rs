//! SIGKILL at an exact request or answer: exactly once at every point of the app's life.
//!
//! The proxy kills the app at the frame itself, so each point is hit every time. What is
//! committed then must match what is visible; the app starts again and does the rest.

use std::os::unix::process::ExitStatusExt;

use anyhow::Result;
use nubium_test_kit::checker::{Extent, Violation, check, describe};
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::kproxy::{ApiKey, Frame, Rule, Side, Target, kill, kill_after};
use nubium_test_kit::process::Signal;
use nubium_test_kit::scenario::{DEADLINE, Kept};

use crate::setup::{scenario_on, write_ledger};

const INPUTS: u32 = 2_000;

/// Kills the app where the rule says; checks the cut, starts it again and checks the whole.
fn killed_at(name: &str, rule: impl FnOnce(&Target) -> Rule) -> Result<()> {
    let broken = killed_with(name, crate::APP, "", rule)?;
    assert!(broken.is_empty(), "{}", describe(&broken));
    Ok(())
}

pub(crate) fn killed_with(
    name: &str,
    program: &'static str,
    mutant: &str,
    rule: impl FnOnce(&Target) -> Rule,
) -> Result<Vec<Violation>> {
    let faulty = Faulty::take_turns();
    let cluster = faulty.cluster();
    let ledger = write_ledger(&cluster, name, INPUTS)?;
    let mut scenario = scenario_on(&cluster, name, &ledger)?;
    // Short, because the cut can be seen only once the broken transaction is over.
    scenario.set("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "2");
    scenario.set("LEDGER_MUTANT", mutant);
    let target = Target::new();
    faulty.proxy.add(rule(&target));
    let app = scenario.start(program, "app")?;
    target.set(app.pid());
    let status = app.wait(DEADLINE)?;
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{status}\n{}", app.log_tail());
    faulty.proxy.clear();
    let (cut, _) = scenario.evidence(ledger.partitions())?;
    let mut broken = check(ledger.rows(), &cut, Extent::UpToCommitted);
    if broken.is_empty() {
        let mut app = Kept::start(&scenario, program, "app")?;
        scenario.drained(&ledger, || app.tend())?;
        app.process().kill()?;
        let (whole, _) = scenario.evidence(ledger.partitions())?;
        broken = check(ledger.rows(), &whole, Extent::Complete);
    }
    Ok(broken)
}

fn is_commit(frame: &Frame) -> bool {
    frame.commits() == Some(true)
}

#[test]
fn killed_when_it_has_its_producer_id() -> Result<()> {
    killed_at("init-producer-id", |app| {
        Rule::on(ApiKey::INIT_PRODUCER_ID, Side::Response, kill_after(app))
    })
}

#[test]
fn killed_while_it_joins_the_group() -> Result<()> {
    killed_at("join-group", |app| Rule::on(ApiKey::JOIN_GROUP, Side::Request, kill(app)))
}

#[test]
fn killed_while_it_gets_its_assignment() -> Result<()> {
    killed_at("sync-group", |app| Rule::on(ApiKey::SYNC_GROUP, Side::Response, kill_after(app)))
}

#[test]
fn killed_with_the_first_messages_in_hand() -> Result<()> {
    const DATA: usize = 1_000;
    killed_at("fetch", |app| {
        let rule = Rule::on(ApiKey::FETCH, Side::Response, kill_after(app));
        rule.when(|frame| frame.bytes.len() > DATA)
    })
}

#[test]
fn killed_before_output_partitions_are_added() -> Result<()> {
    killed_at("add-partitions", |app| {
        Rule::on(ApiKey::ADD_PARTITIONS_TO_TXN, Side::Request, kill(app))
    })
}

#[test]
fn killed_before_its_records_are_written() -> Result<()> {
    killed_at("produce-request", |app| Rule::on(ApiKey::PRODUCE, Side::Request, kill(app)))
}

#[test]
fn killed_before_it_knows_that_records_are_written() -> Result<()> {
    killed_at("produce-response", |app| Rule::on(ApiKey::PRODUCE, Side::Response, kill(app)))
}

#[test]
fn killed_before_offsets_are_added() -> Result<()> {
    killed_at("add-offsets", |app| Rule::on(ApiKey::ADD_OFFSETS_TO_TXN, Side::Request, kill(app)))
}

#[test]
fn killed_before_offsets_are_written() -> Result<()> {
    killed_at("offset-request", |app| Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Request, kill(app)))
}

#[test]
fn killed_before_it_knows_that_offsets_are_written() -> Result<()> {
    killed_at("offset-response", |app| {
        Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, kill(app))
    })
}

#[test]
fn killed_before_its_commit_arrives() -> Result<()> {
    killed_at("commit-request", |app| {
        Rule::on(ApiKey::END_TXN, Side::Request, kill(app)).when(is_commit)
    })
}

#[test]
fn killed_before_it_knows_that_it_has_committed() -> Result<()> {
    killed_at("commit-response", |app| Rule::on(ApiKey::END_TXN, Side::Response, kill(app)))
}

#[test]
fn killed_just_after_it_knows_that_it_has_committed() -> Result<()> {
    killed_at("committed", |app| Rule::on(ApiKey::END_TXN, Side::Response, kill_after(app)))
}
