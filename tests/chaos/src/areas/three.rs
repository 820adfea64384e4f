//! Three brokers: one is killed, stopped, cut off, rolled, or lost for good, while every kind of
//! app works; leaders, coordinators and the controller move with it.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::process::Signal;
use nubium_test_kit::trio::Trio;
use nubium_test_kit::wait::last;

use crate::case::{Case, Work};
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const INPUTS: u32 = 3_000;

type Fault = fn(&mut Trio, usize) -> Result<()>;

const FAULTS: [(&str, Fault); 5] = [
    ("killed", |trio, node| {
        trio.kill(node)?;
        last(Duration::from_secs(5));
        trio.start_again(node)
    }),
    ("stopped", |trio, node| {
        trio.stop(node)?;
        trio.start_again(node)
    }),
    ("standing-still", |trio, node| {
        trio.process(node)?.signal(Signal::STOP)?;
        last(Duration::from_secs(8));
        trio.process(node)?.signal(Signal::CONT)
    }),
    // From the apps: the other brokers see it.
    ("cut-off", |trio, node| {
        trio.proxy(node).sever();
        last(Duration::from_secs(8));
        trio.proxy(node).mend();
        Ok(())
    }),
    // It comes back only after the apps are done.
    ("lost", |trio, node| trio.kill(node)),
];

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for (name, fault) in FAULTS {
        // With two partitions of each, every broker is leader or coordinator of something.
        for node in 0..3 {
            let story =
                move |world: &World, run: &mut Run| hurt(world, run, &mut |trio| fault(trio, node));
            cells.push(Cell::new("three", format!("broker-{node}-{name}"), Needs::Brokers, story));
        }
    }
    let rolled = |world: &World, run: &mut Run| {
        hurt(world, run, &mut |trio| {
            (0..3).try_for_each(|node| {
                trio.stop(node)?;
                trio.start_again(node)?;
                trio.until_whole()
            })
        })
    };
    cells.push(Cell::new("three", "rolled", Needs::Brokers, rolled));
    cells
}

fn hurt(
    world: &World,
    run: &mut Run,
    fault: &mut dyn FnMut(&mut Trio) -> Result<()>,
) -> Result<()> {
    let mut turn = world.trio()?;
    let cluster = world.cluster_of(turn.get());
    let binaries = world.binaries();
    let cases = [Work::Copy, Work::Transfer, Work::Table]
        .map(|work| Case::new((&binaries, &cluster), work, "three", run.seed, INPUTS));
    let cases = cases.into_iter().collect::<Result<Vec<_>>>()?;
    let mut apps = cases.iter().map(|case| case.keep("app")).collect::<Result<Vec<_>>>()?;
    for (case, app) in cases.iter().zip(&mut apps) {
        case.reach(200, &mut [app])?;
    }
    fault(turn.get_mut())?;
    for (case, app) in cases.iter().zip(apps) {
        case.finish(run, app)?;
    }
    Ok(())
}
