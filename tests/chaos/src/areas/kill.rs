//! SIGKILL at every point of the loop: what is committed must agree with what is visible, and the
//! next life does the rest.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::kproxy::{ApiKey, Frame, Rule, Side, Target, Verdict, kill, kill_after};
use nubium_test_kit::process::Signal;
use nubium_test_kit::reader::settled;
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::wait::{last, until};

use super::shared;
use crate::case::Work;
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

/// A frame with messages in it is larger.
const DATA: usize = 1_000;
const INPUTS: u32 = 600;

type Point = (&'static str, fn(&Target) -> Rule);

// The first transaction may hold first positions alone: where it matters, the second is hit.
const POINTS: [Point; 15] = [
    ("init-answered", |app| Rule::on(ApiKey::INIT_PRODUCER_ID, Side::Response, kill_after(app))),
    ("join", |app| Rule::on(ApiKey::JOIN_GROUP, Side::Request, kill(app))),
    ("sync-answered", |app| Rule::on(ApiKey::SYNC_GROUP, Side::Response, kill_after(app))),
    ("offsets-fetched", |app| Rule::on(ApiKey::OFFSET_FETCH, Side::Response, kill_after(app))),
    ("first-data", |app| Rule::on(ApiKey::FETCH, Side::Response, kill_after(app)).when(has_data)),
    ("add-partitions", |app| Rule::on(ApiKey::ADD_PARTITIONS_TO_TXN, Side::Request, kill(app))),
    ("produce", |app| Rule::on(ApiKey::PRODUCE, Side::Request, kill(app))),
    ("produced", |app| Rule::on(ApiKey::PRODUCE, Side::Response, kill(app))),
    ("add-offsets", |app| Rule::on(ApiKey::ADD_OFFSETS_TO_TXN, Side::Request, kill(app)).nth(2)),
    ("offsets", |app| Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Request, kill(app)).nth(2)),
    ("offsets-written", |app| {
        Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, kill(app)).nth(2)
    }),
    ("commit", |app| Rule::on(ApiKey::END_TXN, Side::Request, kill(app)).when(commits).nth(2)),
    ("commit-sent", |app| Rule::on(ApiKey::END_TXN, Side::Request, kill_after(app)).nth(2)),
    ("committed", |app| Rule::on(ApiKey::END_TXN, Side::Response, kill(app)).nth(2)),
    ("commit-known", |app| Rule::on(ApiKey::END_TXN, Side::Response, kill_after(app)).nth(2)),
];

fn has_data(frame: &Frame) -> bool {
    frame.bytes.len() > DATA
}

fn commits(frame: &Frame) -> bool {
    frame.commits() == Some(true)
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for work in Work::ALL.into_iter().chain([Work::Upload]) {
        for (name, rule) in POINTS {
            // The uploader produces nothing here.
            if work == Work::Upload && ["add-partitions", "produce", "produced"].contains(&name) {
                continue;
            }
            let name = format!("{}-{name}", work.name());
            let story = move |world: &World, run: &mut Run| killed(world, run, work, "kill", rule);
            cells.push(Cell::new("kill", name, Needs::App, story));
        }
    }
    for work in [Work::Copy, Work::Transfer, Work::Table] {
        let story = move |world: &World, run: &mut Run| killed_while_aborting(world, run, work);
        cells.push(Cell::new("kill", format!("{}-abort", work.name()), Needs::App, story));
    }
    cells.push(Cell::new("kill", "before-the-first-commit", Needs::App, unborn));
    cells.push(Cell::new("kill", "the-next-life-ends-the-transaction", Needs::App, ended));
    cells
}

/// A group that begins at the end is killed before anything of it is committed: what came since is
/// not skipped.
fn unborn(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Copy, "unborn", 0)?;
    case.scenario.set("NU_CONSUMER_AUTO_OFFSET_RESET", "latest");
    let (target, client) = (Target::new(), case.client("app"));
    let rule = Rule::on(ApiKey::PRODUCE, Side::Request, kill(&target)).client(&client);
    world.shared()?.proxy.add(rule);
    let app = case.start("app")?;
    target.set(app.pid());
    until("the assignment", DEADLINE, || app.log().contains("Partitions assigned."))?;
    // Its first positions are on their way, or never will be.
    last(Duration::from_millis(500));
    case.more(INPUTS)?;
    let status = app.wait(DEADLINE)?;
    case.hit(run, status.signal() == Some(Signal::KILL.as_raw()))?;
    let mut app = case.keep("app")?;
    until("the assignment", DEADLINE, || {
        app.process().log().matches("Partitions assigned.").count() > 1
    })?;
    last(Duration::from_millis(500));
    case.more(1)?;
    case.drained(&mut [&mut app])?;
    case.finish(run, app)
}

/// A transaction that may last a minute is left open by a kill: the next life of the same name ends
/// it at once, so that readers do not wait.
fn ended(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Copy, "ended", INPUTS)?;
    case.scenario.set("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "600");
    let target = Target::new();
    let rule = Rule::on(ApiKey::END_TXN, Side::Request, kill(&target)).nth(2);
    world.shared()?.proxy.add(rule.client(&case.client("app")));
    let app = case.start("app")?;
    target.set(app.pid());
    let status = app.wait(DEADLINE)?;
    case.hit(run, status.signal() == Some(Signal::KILL.as_raw()))?;
    let app = case.keep("app")?;
    let (bootstrap, output) = (&case.scenario.cluster.bootstrap, &case.scenario.output);
    let open = settled(bootstrap, &[output], Duration::from_secs(30)).map(drop);
    let over = open.is_ok();
    run.looked("the open transaction is ended by the next life", open);
    if !over {
        anyhow::bail!("the output cannot be read");
    }
    case.finish(run, app)
}

fn killed(
    world: &World,
    run: &mut Run,
    work: Work,
    name: &str,
    rule: impl FnOnce(&Target) -> Rule,
) -> Result<()> {
    let case = shared(world, run, work, name, INPUTS)?;
    let target = Target::new();
    world.shared()?.proxy.add(rule(&target).client(&case.client("app")));
    let app = case.start("app")?;
    target.set(app.pid());
    let status = app.wait(DEADLINE)?;
    case.hit(run, status.signal() == Some(Signal::KILL.as_raw()))?;
    case.judge_cut(run)?;
    case.finish(run, case.keep("app")?)
}

/// The broker says no to the offsets, and the app is killed as it takes its records back.
fn killed_while_aborting(world: &World, run: &mut Run, work: Work) -> Result<()> {
    const GROUP_AUTHORIZATION_FAILED: i16 = 30;
    let case = shared(world, run, work, "kill-abort", INPUTS)?;
    let (target, client) = (Target::new(), case.client("app"));
    // Not at the first request of the transaction: one that the client thinks empty ends without a word.
    let no = nubium_test_kit::kproxy::with_error(GROUP_AUTHORIZATION_FAILED);
    let proxy = &world.shared()?.proxy;
    proxy.add(Rule::on(ApiKey::TXN_OFFSET_COMMIT, Side::Response, no).nth(2).client(&client));
    let mut act = kill(&target);
    let aborts = |frame: &Frame| frame.commits() == Some(false);
    let rule = Rule::on(ApiKey::END_TXN, Side::Request, move |frame| -> Verdict { act(frame) });
    proxy.add(rule.when(aborts).client(&client));
    let app = case.start("app")?;
    target.set(app.pid());
    let status = app.wait(DEADLINE)?;
    case.hit(run, status.signal() == Some(Signal::KILL.as_raw()))?;
    case.judge_cut(run)?;
    case.finish(run, case.keep("app")?)
}
