//! The laws, each a check of its own, judged on what an independent reader finds.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use nubium_test_kit::checker::{Evidence, Extent, Violation, check, describe};
use nubium_test_kit::ledger::{Input, Partition};
use nubium_test_kit::reader::Raw;

use crate::cell::Run;

/// A law of exactly-once, and which violations break it.
type Law = (&'static str, fn(&Violation) -> bool);

const LAWS: [Law; 8] = [
    ("nothing is lost", |v| matches!(v, Violation::Lost(_))),
    ("nothing is doubled", |v| matches!(v, Violation::Duplicate(..))),
    ("nothing is made up", |v| matches!(v, Violation::Phantom(_))),
    ("nothing is altered", |v| matches!(v, Violation::Altered(_))),
    ("the order holds", |v| matches!(v, Violation::Disorder { .. })),
    ("offsets and output agree", |v| matches!(v, Violation::Uncommitted(_))),
    ("offsets end where the input does", |v| matches!(v, Violation::Offset { .. })),
    ("no transaction is open", |v| matches!(v, Violation::OpenTransaction(..))),
];

/// Judges every law on what was found at this moment.
pub(crate) fn judge(
    run: &mut Run,
    when: &str,
    rows: &BTreeMap<Partition, Vec<Input>>,
    evidence: &Evidence,
    extent: Extent,
) {
    let broken = check(rows, evidence, extent);
    for (law, breaks) in LAWS {
        let of_law: Vec<_> = broken.iter().filter(|v| breaks(v)).cloned().collect();
        run.holds(&format!("{when}: {law}"), of_law.is_empty(), || describe(&of_law));
    }
}

/// Sums up what the legs of transfers say: what is taken in one place is given in another.
///
/// # Errors
/// A leg is missing, or the sum is not 0.
pub(crate) fn conserved(taken: &[Raw], given: &[Raw]) -> Result<()> {
    let sums = |legs: &[Raw]| -> Result<BTreeMap<String, i64>> {
        let mut sums = BTreeMap::new();
        for leg in legs {
            let output = leg.output()?;
            *sums.entry(output.source.to_string()).or_default() += output.seq;
        }
        Ok(sums)
    };
    let (taken, given) = (sums(taken)?, sums(given)?);
    let (out, back): (i64, i64) = (taken.values().sum(), given.values().sum());
    ensure!(out == back, "{out} was taken and {back} was given");
    ensure!(taken == given, "{} transfers were taken, {} given", taken.len(), given.len());
    Ok(())
}
