//! App functions that fail, panic or commit in the middle, and inputs of aborted transactions.

use anyhow::Result;
use nubium_test_kit::ledger::Ending;

use super::shared;
use crate::case::Work;
use crate::cell::{Cell, Needs, Run};
use crate::world::World;

const INPUTS: u32 = 1_200;

/// What goes wrong, and how often.
const FAULTS: [(&str, &[(&str, &str)]); 4] = [
    ("fails-and-is-tried-again", &[("LEDGER_FAIL_ONE_IN", "50"), ("NU_ERROR_RETRY_MAX", "5")]),
    ("fails-and-ends-the-app", &[("LEDGER_FAIL_ONE_IN", "200")]),
    ("panics", &[("LEDGER_PANIC_ONE_IN", "200")]),
    ("commits-by-itself", &[("LEDGER_COMMIT_ONE_IN", "20"), ("LEDGER_FAIL_ONE_IN", "200")]),
];

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for work in [Work::Copy, Work::Transfer] {
        for (name, settings) in FAULTS {
            let story = move |world: &World, run: &mut Run| fails(world, run, work, settings);
            cells.push(Cell::new(
                "functions",
                format!("{}-{name}", work.name()),
                Needs::App,
                story,
            ));
        }
    }
    for work in [Work::Copy, Work::Batch, Work::Table, Work::Funnel] {
        let story = move |world: &World, run: &mut Run| aborted_inputs(world, run, work);
        let name = format!("{}-inputs-of-aborted-transactions", work.name());
        cells.push(Cell::new("functions", name, Needs::App, story));
    }
    cells
}

fn fails(world: &World, run: &mut Run, work: Work, settings: &[(&str, &str)]) -> Result<()> {
    let mut case = shared(world, run, work, "fails", INPUTS)?;
    for (name, value) in settings {
        case.scenario.set(name, *value);
    }
    case.scenario.set("NU_ERROR_RETRY_BACKOFF_MILLISECONDS", "1");
    let app = case.keep("app")?;
    case.finish(run, app)
}

/// One in three transactions of inputs was aborted: no reader is to see what was in it.
fn aborted_inputs(world: &World, run: &mut Run, work: Work) -> Result<()> {
    let mut case = shared(world, run, work, "aborted-inputs", 0)?;
    case.ledger.make_transactional(&case.scenario.cluster.bootstrap)?;
    for number in 0..9 {
        let ending = if number % 3 == 1 { Ending::Abort } else { Ending::Commit };
        case.ledger.write_transaction(INPUTS / 9, ending)?;
    }
    let app = case.keep("app")?;
    case.finish(run, app)
}
