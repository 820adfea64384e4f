//! Answers that are errors, or that never come: the app lives on, and counts each input once.

use anyhow::Result;
use nubium_test_kit::checker::Extent;
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::kproxy::{ApiKey, Rule, Side, Verdict, answer_error};
use nubium_test_kit::scenario::Kept;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

/// The cluster may refuse a group's offsets: the transaction must be aborted.
const GROUP_AUTHORIZATION_FAILED: i16 = 30;
/// Another producer has this transactional id now.
const INVALID_PRODUCER_EPOCH: i16 = 47;
/// Which one of its kind is hit: one in the middle of the work.
const NTH: usize = 3;

/// Runs the app with this rule and sees that it does all its work in one life.
///
/// Returns what it logged.
fn lives_through(name: &str, rule: Rule) -> Result<String> {
    let faulty = Faulty::take_turns();
    let cluster = faulty.cluster();
    let ledger = write_ledger(&cluster, name, 5_000)?;
    let mut scenario = scenario_on(&cluster, name, &ledger)?;
    scenario.set("NU_OUTBOX_MAX_COUNT", "200");
    let client = scenario.host("app");
    faulty.proxy.add(rule.nth(NTH).client(&client));
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(&ledger, || app.tend())?;
    assert_eq!(faulty.proxy.acted(), 1, "the fault never came");
    scenario.verify(&ledger, Extent::Complete)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    Ok(app.process().log())
}

#[test]
fn an_aborted_transaction_is_rewound_and_replayed() -> Result<()> {
    let refuse = answer_error(GROUP_AUTHORIZATION_FAILED);
    let log =
        lives_through("refused", Rule::on(ApiKey::ADD_OFFSETS_TO_TXN, Side::Response, refuse))?;
    assert!(log.contains("aborted"), "no transaction was aborted:\n{log}");
    Ok(())
}

#[test]
fn a_commit_that_was_applied_but_called_fenced_is_not_repeated() -> Result<()> {
    let refuse = answer_error(INVALID_PRODUCER_EPOCH);
    let log = lives_through("in-doubt", Rule::on(ApiKey::END_TXN, Side::Response, refuse))?;
    assert!(log.contains("in doubt"), "the app was in no doubt:\n{log}");
    Ok(())
}

#[test]
fn the_connection_is_lost_before_the_answer_to_a_commit() -> Result<()> {
    let close = |_: &_| Verdict::Close;
    lives_through("lost-commit", Rule::on(ApiKey::END_TXN, Side::Response, close)).map(drop)
}

#[test]
fn the_connection_is_lost_before_a_commit_arrives() -> Result<()> {
    let close = |_: &_| Verdict::Close;
    lives_through("lost-request", Rule::on(ApiKey::END_TXN, Side::Request, close)).map(drop)
}

#[test]
fn the_connection_is_lost_before_the_answer_to_offsets() -> Result<()> {
    let rule = Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, |_| Verdict::Close);
    lives_through("lost-offsets", rule).map(drop)
}

#[test]
fn the_connection_is_lost_before_the_answer_to_records() -> Result<()> {
    let rule = Rule::on(ApiKey::PRODUCE, Side::Response, |_| Verdict::Close);
    lives_through("lost-records", rule).map(drop)
}
