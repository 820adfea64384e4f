//! The one broker goes: killed, stopped, standing still, cut off, not there at the start.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::process::Signal;
use nubium_test_kit::wait::last;

use crate::case::{Case, Work};
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const INPUTS: u32 = 4_000;

/// Does its worst to the broker and mends it again.
type Fault = fn(&mut Faulty) -> Result<()>;

const FAULTS: [(&str, Fault); 6] = [
    ("killed", |faulty| {
        faulty.broker.kill()?;
        faulty.broker.start_again()
    }),
    ("restarted", |faulty| {
        faulty.broker.stop()?;
        faulty.broker.start_again()
    }),
    ("still-3-s", |faulty| still(faulty, 3)),
    // Longer than transaction and session.
    ("still-8-s", |faulty| still(faulty, 8)),
    ("cut", |faulty| {
        faulty.proxy.cut();
        Ok(())
    }),
    ("cut-off-8-s", |faulty| {
        faulty.proxy.sever();
        last(Duration::from_secs(8));
        faulty.proxy.mend();
        Ok(())
    }),
];

fn still(faulty: &Faulty, seconds: u64) -> Result<()> {
    faulty.broker.process()?.signal(Signal::STOP)?;
    last(Duration::from_secs(seconds));
    faulty.broker.process()?.signal(Signal::CONT)
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (name, fault) in FAULTS {
        let story = move |world: &World, run: &mut Run| hurt(world, run, fault);
        cells.push(Cell::new("brokers", name, Needs::Broker, story));
    }
    cells.push(Cell::new("brokers", "not-there-at-the-start", Needs::Broker, absent));
    cells
}

/// All kinds of apps at once on a broker that goes while they work.
fn hurt(world: &World, run: &mut Run, fault: Fault) -> Result<()> {
    let mut turn = world.own()?;
    let cluster = world.cluster(turn.get());
    let binaries = world.binaries();
    let cases = [Work::Copy, Work::Transfer, Work::Table, Work::Batch]
        .map(|work| Case::new((&binaries, &cluster), work, "broker", run.seed, INPUTS));
    let cases = cases.into_iter().collect::<Result<Vec<_>>>()?;
    let mut apps = cases.iter().map(|case| case.keep("app")).collect::<Result<Vec<_>>>()?;
    for (case, app) in cases.iter().zip(&mut apps) {
        case.reach(i64::from(INPUTS) / 4, &mut [app])?;
    }
    fault(turn.get_mut())?;
    for (case, app) in cases.iter().zip(apps) {
        case.finish(run, app)?;
    }
    Ok(())
}

/// The app waits for its broker.
fn absent(world: &World, run: &mut Run) -> Result<()> {
    let mut turn = world.own()?;
    let cluster = world.cluster(turn.get());
    let case = Case::new((&world.binaries(), &cluster), Work::Copy, "absent", run.seed, 1_000)?;
    turn.get_mut().broker.kill()?;
    let app = case.keep("app")?;
    last(Duration::from_secs(5));
    turn.get_mut().broker.start_again()?;
    case.finish(run, app)
}
