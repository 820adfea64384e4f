//! Members that come, go, are killed and come back, in every way to be a member.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use nubium_test_kit::kproxy::{ApiKey, Rule, Side, with_error};
use nubium_test_kit::process::Process;
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::wait::until;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::shared;
use crate::case::{Case, Work};
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

/// Settings of a way to be a member.
type Way = (&'static str, &'static [(&'static str, &'static str)]);

const WAYS: [Way; 5] = [
    ("cooperative", &[]),
    ("eager", &[("NU_CONSUMER_ASSIGNMENT_STRATEGY", "range")]),
    ("static", &[("NU_CONSUMER_GROUP_INSTANCE_ID", "hostname")]),
    (
        "kip-848",
        &[
            ("NU_CONSUMER_GROUP_PROTOCOL", "consumer"),
            // These are the broker's there.
            ("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", ""),
            ("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS", ""),
        ],
    ),
    ("threads", &[("NU_APP_THREADS", "2")]),
];

const PORTION: u32 = 400;
const ROUNDS: u32 = 8;

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for work in [Work::Copy, Work::Transfer, Work::Batch, Work::Table] {
        for (name, settings) in WAYS {
            // A table's stores are one instance's: storms move them between volumes, see `table`.
            if work == Work::Table && name == "threads" {
                continue;
            }
            let story = move |world: &World, run: &mut Run| storm(world, run, work, settings);
            let name = format!("{}-storm-{name}", work.name());
            cells.push(Cell::new("rebalance", name, Needs::App, story));
        }
    }
    for (name, code) in [("in-progress", 27), ("unknown-member", 25), ("illegal-generation", 22)] {
        for work in [Work::Copy, Work::Table] {
            let story = move |world: &World, run: &mut Run| thrown_out(world, run, work, code);
            let name = format!("{}-heartbeat-{name}", work.name());
            cells.push(Cell::new("rebalance", name, Needs::App, story));
        }
    }
    for (name, concurrency) in [("one", "1"), ("many", "16")] {
        let story = move |world: &World, run: &mut Run| in_hand(world, run, concurrency);
        let name = format!("partitions-go-with-{name}-at-work");
        cells.push(Cell::new("rebalance", name, Needs::App, story));
    }
    cells.push(Cell::new("rebalance", "partitions-are-added", Needs::App, grown));
    cells
}

/// While inputs come, members join, are killed, or leave, drawn at random.
fn storm(world: &World, run: &mut Run, work: Work, settings: &[(&str, &str)]) -> Result<()> {
    let mut case = shared(world, run, work, "storm", PORTION)?;
    for (name, value) in settings {
        case.scenario.set(name, *value);
    }
    let mut rng = StdRng::seed_from_u64(run.seed);
    let mut members: Vec<Option<Process>> = vec![None, None, None];
    members[0] = Some(start(&case, 0)?);
    let progress = case.scenario.progress()?;
    for _ in 0..ROUNDS {
        let before = progress.now()?;
        case.more(PORTION)?;
        let number = rng.random_range(0..members.len());
        match members[number].take() {
            None => members[number] = Some(start(&case, number)?),
            Some(member) if rng.random_bool(0.5) => {
                member.kill()?;
                members[number] = Some(start(&case, number)?);
            }
            Some(member) => case.end(run, &member)?,
        }
        if members.iter().all(Option::is_none) {
            members[0] = Some(start(&case, 0)?);
        }
        // The next comes in the middle of what this one began.
        progress.reach(before + 1, DEADLINE, || tend(&case, &mut members))?;
    }
    case.scenario.drained(&case.ledger, || tend(&case, &mut members))?;
    for member in members.into_iter().flatten() {
        case.end(run, &member)?;
    }
    take_over(&case, run)?;
    case.judge_whole(run)
}

/// Functions are slow, so that many messages are in hand while half of the partitions go to another.
fn in_hand(world: &World, run: &mut Run, concurrency: &str) -> Result<()> {
    let mut case = shared(world, run, Work::Copy, "in-hand", 3 * PORTION)?;
    case.scenario.set("NU_APP_CONCURRENCY", concurrency).set("NU_OUTBOX_MAX_COUNT", "50");
    let millis = if concurrency == "1" { "5" } else { "50" };
    case.scenario.set("LEDGER_CALL_MILLIS", millis);
    let progress = case.scenario.progress()?;
    let mut first = case.keep("first")?;
    progress.reach(progress.now()? + 1, DEADLINE, || first.tend())?;
    let mut second = case.keep("second")?;
    case.drained(&mut [&mut first, &mut second])?;
    let moved = second.process().log().contains("assigned");
    case.hit(run, moved)?;
    case.end(run, second.process())?;
    case.finish(run, first)
}

/// Each has a volume of its own, as pods have.
fn start(case: &Case, number: usize) -> Result<Process> {
    let mut scenario = case.scenario.clone();
    let volume = case.volume().join(format!("member-{number}"));
    scenario.set("NU_TABLE_PATH", volume.display().to_string());
    case.start_in(&scenario, &format!("member-{number}"))
}

fn tend(case: &Case, members: &mut [Option<Process>]) -> Result<()> {
    for (number, member) in members.iter_mut().enumerate() {
        if member.as_ref().is_some_and(|member| !member.is_running()) {
            *member = Some(start(case, number)?);
        }
    }
    Ok(())
}

/// One instance takes all stores of a table over, so that they can be looked at.
fn take_over(case: &Case, run: &mut Run) -> Result<()> {
    if case.work != Work::Table {
        return Ok(());
    }
    let last = case.start("last")?;
    case.ready(&last)?;
    case.end(run, &last)
}

/// The group's coordinator says no to a heartbeat: partitions are lost, or come back at once.
fn thrown_out(world: &World, run: &mut Run, work: Work, code: i16) -> Result<()> {
    let mut case = shared(world, run, work, "thrown", PORTION)?;
    let hits = Arc::new(AtomicUsize::new(0));
    let rule = Rule::on(ApiKey::HEARTBEAT, Side::Response, with_error(code));
    let proxy = &world.shared()?.proxy;
    proxy.add(rule.counting(&hits).client(&case.client("app")));
    let mut app = case.keep("app")?;
    until("the heartbeat", DEADLINE, || case.more(50).is_ok() && hits.load(Ordering::Acquire) > 0)?;
    case.more(PORTION)?;
    case.drained(&mut [&mut app])?;
    case.hit(run, true)?;
    let ended = app.exits().len();
    run.holds("it lives on", ended == 0, || format!("it ended {ended} times"));
    case.finish(run, app)
}

/// An input topic gets more partitions while it is read.
fn grown(world: &World, run: &mut Run) -> Result<()> {
    let mut case = shared(world, run, Work::Copy, "grown", PORTION)?;
    // The app's client looks for new partitions now and then.
    case.scenario
        .set("NU_CONSUMER_PROPERTIES_JSON", r#"{"topic.metadata.refresh.interval.ms": 500}"#);
    let mut app = case.keep("app")?;
    case.drained(&mut [&mut app])?;
    let topic = case.scenario.inputs.first().context("no input")?.clone();
    case.ledger.grow(&case.scenario.cluster.bootstrap, &topic, 4)?;
    case.more(2 * PORTION)?;
    case.finish(run, app)
}
