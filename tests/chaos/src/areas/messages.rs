//! Messages that no app likes: none of them stops the others, is lost, or is done twice.

use anyhow::{Context, Result};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::reader::{read_all, settled};
use nubium_test_kit::scenario::DEADLINE;
use nubium_test_kit::topics;

use super::shared;
use crate::case::Work;
use crate::cell::{Cell, Needs, Run};
use crate::laws;
use crate::world::World;

const INPUTS: u32 = 200;

/// What the value of a message is.
type Value = (&'static str, fn() -> Vec<u8>);

const VALUES: [Value; 10] = [
    ("empty", Vec::new),
    ("one-byte", || vec![0]),
    ("four-bytes", || vec![0; 4]),
    ("other-magic", || vec![1, 0, 0, 0, 1, 2]),
    ("unknown-schema", || vec![0, 0x7f, 0xff, 0xff, 0xff, 2, 2]),
    ("text", || b"{\"seq\": 1}".to_vec()),
    ("giant", || vec![0x5a; 900_000]),
    ("zeros", || vec![0; 4_096]),
    ("ones", || vec![0xff; 300]),
    ("schema-and-no-value", || vec![0, 0, 0, 0, 1]),
];

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for work in [Work::Copy, Work::Batch, Work::Funnel] {
        for (name, value) in VALUES {
            let story = move |world: &World, run: &mut Run| bad(world, run, work, value());
            let name = format!("{}-{name}", work.name());
            cells.push(Cell::new("messages", name, Needs::App, story));
        }
    }
    cells
}

/// One bad message among good ones goes to the failure topic, byte for byte, and nothing else does.
fn bad(world: &World, run: &mut Run, work: Work, value: Vec<u8>) -> Result<()> {
    let mut case = shared(world, run, work, "bad", INPUTS)?;
    let failures = format!("{}-failures", case.scenario.group);
    let bootstrap = case.scenario.cluster.bootstrap.clone();
    topics::create(&bootstrap, &[(&failures, 1)])?;
    case.scenario.set("NU_PRODUCE_FAILURE_TOPICS", &failures);
    // One that is unknown for good is asked for that long.
    case.scenario.set("NU_SCHEMA_REGISTRY_TIMEOUT_SECONDS", "2");
    let at = case.ledger.partitions().first().context("no partition")?.clone();
    case.ledger.write_bytes(&at, &value)?;
    case.more(INPUTS)?;
    let mut app = case.keep("app")?;
    case.drained(&mut [&mut app])?;
    app.process().kill()?;
    let ended = app.exits().len();
    run.holds("it lives on", ended == 0, || format!("it ended {ended} times"));
    settled(&bootstrap, &[&failures], DEADLINE)?;
    let failed = read_all(&bootstrap, &[&failures])?;
    let same = failed.len() == 1 && failed[0].value.as_ref() == Some(&value);
    run.holds("the failure topic has it, byte for byte", same, || {
        format!("{} records", failed.len())
    });
    let says = failed.first().and_then(|raw| raw.header("exception")).is_some();
    run.holds("a header says why", says, || format!("{failed:?}"));
    let (evidence, _) = case.scenario.evidence(case.ledger.partitions())?;
    laws::judge(run, "end", case.ledger.rows(), &evidence, Extent::Complete);
    Ok(())
}
