//! The harness itself: it passes an app that is right, and catches each way of being wrong.

use anyhow::Result;
use nubium_test_kit::checker::{Extent, Violation, check, describe};
use nubium_test_kit::kproxy::{ApiKey, Rule, Side, kill, kill_after};
use nubium_test_kit::ledger::Ledger;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario, seeded};
use rand::Rng;

use crate::setup::{scenario_on, write_ledger};
use crate::wire_points::killed_with;

const COPIER: &str = env!("CARGO_BIN_EXE_reference-copier");
const INPUTS: u32 = 8_000;
const KILLS: i64 = 3;

struct Run {
    scenario: Scenario,
    ledger: Ledger,
}

/// Makes a copier with a planted bug, if any, whose function fails once in 1,000 messages.
fn prepare(mutant: &str, inputs: u32) -> Result<Run> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "harness", inputs)?;
    let mut scenario = scenario_on(&cluster, "harness", &ledger)?;
    scenario.set("LEDGER_MUTANT", mutant).set("LEDGER_FAIL_ONE_IN", "1000");
    Ok(Run { scenario, ledger })
}

impl Run {
    /// Runs two instances with kills until the group has committed everything.
    fn go(&self) -> Result<()> {
        let mut rng = seeded("harness");
        let progress = self.scenario.progress()?;
        let mut first = Kept::start(&self.scenario, COPIER, "one")?;
        let mut second = Kept::start(&self.scenario, COPIER, "two")?;
        let step = i64::from(INPUTS) / (KILLS + 2);
        for kill in 0..KILLS {
            let at = kill * step + rng.random_range(1..step);
            progress.reach(at, DEADLINE, || first.tend().and_then(|()| second.tend()))?;
            if kill % 2 == 0 { first.kill()? } else { second.kill()? }
        }
        self.scenario.drained(&self.ledger, || first.tend().and_then(|()| second.tend()))?;
        first.process().kill()?;
        second.process().kill()
    }

    fn violations(&self, extent: Extent) -> Result<Vec<Violation>> {
        let (evidence, _) = self.scenario.evidence(self.ledger.partitions())?;
        Ok(check(self.ledger.rows(), &evidence, extent))
    }
}

/// Runs a mutant on inputs that come while it runs, so that a batch holds several partitions, and
/// what it leaves out is followed, and covered, by later offsets.
fn catches(mutant: &str) -> Result<()> {
    const PORTIONS: u32 = 30;
    let mut run = prepare(mutant, 0)?;
    run.scenario.set("LEDGER_FAIL_ONE_IN", "400");
    let app = run.scenario.start(COPIER, "one")?;
    let progress = run.scenario.progress()?;
    for _ in 0..PORTIONS {
        let before = progress.now()?;
        run.ledger.write(300)?;
        progress.reach(before + 1, DEADLINE, || Ok(()))?;
    }
    app.kill()?;
    let broken = run.violations(Extent::UpToCommitted)?;
    assert!(
        broken.iter().any(|violation| matches!(violation, Violation::Lost(_))),
        "the mutant got away: {}",
        describe(&broken)
    );
    Ok(())
}

#[test]
fn passes_an_app_that_is_right() -> Result<()> {
    let run = prepare("", INPUTS)?;
    run.go()?;
    let broken = run.violations(Extent::Complete)?;
    assert!(broken.is_empty(), "{}", describe(&broken));
    Ok(())
}

#[test]
fn catches_an_app_that_does_not_rewind() -> Result<()> {
    catches("no-rewind")
}

#[test]
fn catches_an_app_that_rewinds_one_partition_alone() -> Result<()> {
    catches("rewinds-one-partition")
}

#[test]
fn catches_an_app_that_commits_after_an_error() -> Result<()> {
    catches("swallowed-error")
}

#[test]
fn catches_an_app_that_commits_offsets_outside_of_the_transaction() -> Result<()> {
    let broken = killed_with("plain-commit", COPIER, "plain-commit", |app| {
        Rule::on(ApiKey::END_TXN, Side::Request, kill(app))
    })?;
    assert!(broken.iter().any(|v| matches!(v, Violation::Lost(_))), "{}", describe(&broken));
    Ok(())
}

#[test]
fn catches_an_app_that_commits_the_last_offset_instead_of_the_next() -> Result<()> {
    let broken = killed_with("plus-one", COPIER, "offset-without-plus-one", |app| {
        Rule::on(ApiKey::END_TXN, Side::Response, kill_after(app))
    })?;
    let repeats = |violation: &Violation| matches!(violation, Violation::Uncommitted(_));
    assert!(broken.iter().any(repeats), "{}", describe(&broken));
    Ok(())
}
