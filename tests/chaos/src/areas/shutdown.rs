//! INT and TERM at any moment: code 0, nothing half done, and the group is left at once.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::kproxy::{ApiKey, Gate, Rule, Side, Verdict, delay, hold};
use nubium_test_kit::process::Signal;
use nubium_test_kit::reader::members;
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::wait::until;

use super::shared;
use crate::case::Work;
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const INPUTS: u32 = 800;

/// What the app is doing when it is asked to stop.
const MOMENTS: [(&str, Option<(ApiKey, Side)>); 4] = [
    ("idle", None),
    ("records-under-way", Some((ApiKey::PRODUCE, Side::Request))),
    ("commit-under-way", Some((ApiKey::END_TXN, Side::Request))),
    ("commit-unanswered-yet", Some((ApiKey::END_TXN, Side::Response))),
];

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for work in [Work::Copy, Work::Table, Work::Batch] {
        for (name, moment) in MOMENTS {
            for (signal, spelled) in [(Signal::TERM, "term"), (Signal::INT, "int")] {
                let story =
                    move |world: &World, run: &mut Run| stopped(world, run, work, moment, signal);
                let name = format!("{}-{spelled}-{name}", work.name());
                cells.push(Cell::new("shutdown", name, Needs::App, story));
            }
        }
    }
    cells
}

fn stopped(
    world: &World,
    run: &mut Run,
    work: Work,
    moment: Option<(ApiKey, Side)>,
    signal: Signal,
) -> Result<()> {
    let case = shared(world, run, work, "stopped", INPUTS)?;
    let gate = Gate::new();
    if let Some((api, side)) = moment {
        let (mut wait, mut late) = (hold(&gate), delay(Duration::from_millis(300)));
        let rule = Rule::on(api, side, move |frame| match wait(frame) {
            Verdict::Forward => late(frame),
            other => other,
        });
        world.shared()?.proxy.add(rule.nth(2).client(&case.client("app")));
    }
    let app = case.start("app")?;
    match moment {
        Some(_) => gate.reached(DEADLINE)?,
        None => case.drained(&mut [])?,
    }
    app.signal(signal)?;
    gate.open(Verdict::Forward);
    let status = app.wait(DEADLINE)?;
    let good = status.code() == Some(0);
    run.holds("a stop ends with code 0", good, || format!("{status}\n{}", app.log_tail()));
    let (bootstrap, group) = (&case.scenario.cluster.bootstrap, &case.scenario.group);
    run.looked(
        "the group is left",
        until("an empty group", Duration::from_secs(3), || {
            members(bootstrap, group).is_ok_and(|count| count == 0)
        }),
    );
    let health = case.scenario.logs().join("app.health");
    run.holds("the health file is gone", !health.exists(), || health.display().to_string());
    case.judge_cut(run)?;
    case.finish(run, case.keep("app")?)
}
