//! The schema registry is down, errs, or has new schemas.

use anyhow::Result;
use nubium_test_kit::outage::Outage;
use nubium_test_kit::scenario::{DEADLINE, Kept};

use super::shared;
use crate::case::{Case, Work};
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const INPUTS: u32 = 400;

/// What the registry does while the app needs it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Down,
    Errs(usize),
    None,
}

pub(super) fn cells() -> Vec<Cell> {
    let faults = [
        ("down", Fault::Down),
        ("500-once", Fault::Errs(1)),
        ("500-twice", Fault::Errs(2)),
        ("well", Fault::None),
    ];
    let mut cells = Vec::new();
    for work in [Work::Copy, Work::Batch, Work::Table] {
        for (name, fault) in faults {
            for at_start in [true, false] {
                let when = if at_start { "at-start" } else { "new-schema" };
                let story =
                    move |world: &World, run: &mut Run| hurt(world, run, work, fault, at_start);
                let name = format!("{}-{name}-{when}", work.name());
                cells.push(Cell::new("registry", name, Needs::App, story));
            }
        }
    }
    cells
}

fn hurt(world: &World, run: &mut Run, work: Work, fault: Fault, at_start: bool) -> Result<()> {
    let mut case = shared(world, run, work, "registry", INPUTS)?;
    let registry = case.scenario.cluster.registry.clone();
    let outage = Outage::before(&registry)?;
    case.scenario.set("NU_SCHEMA_REGISTRY_URL", outage.url());
    if at_start {
        begin(&outage, fault);
        let scenario = case.scenario.clone();
        let app = Kept::start(&scenario, case.program(), "app")?;
        return end(run, &case, &outage, fault, app);
    }
    let scenario = case.scenario.clone();
    let mut app = Kept::start(&scenario, case.program(), "app")?;
    case.drained(&mut [&mut app])?;
    begin(&outage, fault);
    // What it knows it goes on decoding; what it does not know waits.
    case.ledger.evolve(&registry)?;
    case.more(INPUTS)?;
    end(run, &case, &outage, fault, app)
}

fn begin(outage: &Outage, fault: Fault) {
    match fault {
        Fault::Down => outage.begin(),
        Fault::Errs(times) => outage.fail_next(times),
        Fault::None => {}
    }
}

fn end(run: &mut Run, case: &Case, outage: &Outage, fault: Fault, mut app: Kept<'_>) -> Result<()> {
    if let Fault::Down = fault {
        outage.noticed(2, DEADLINE)?;
        outage.end();
    }
    case.drained(&mut [&mut app])?;
    if let Fault::Errs(times) = fault {
        case.hit(run, outage.errors_given() == times)?;
    }
    let ended = app.exits().len();
    run.holds("it lives on", ended == 0, || format!("it ended {ended} times"));
    case.finish(run, app)
}
