//! Compares what came out with what went in, record by record.
//!
//! It works on lists, not sets: every output is counted, so a duplicate cannot hide. It knows
//! nothing of Kafka; [`crate::reader`] brings the evidence. A checker that cannot fail is
//! worthless, so its tests plant one fault of every kind.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::ledger::{Input, Ledger, Partition};

const SHOWN: usize = 20;

/// The input a record was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Its partition.
    pub partition: Partition,
    /// Its offset.
    pub offset: i64,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offset {}", self.partition, self.offset)
    }
}

/// A visible output record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where it lies.
    pub partition: Partition,
    /// Its offset.
    pub offset: i64,
    /// The input it says it was made from.
    pub source: Source,
    /// The number it says its input had.
    pub seq: i64,
    /// Its key.
    pub key: String,
}

/// Where the log of a partition ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// For readers of committed records: the first open transaction starts here.
    pub stable: i64,
    /// For all.
    pub end: i64,
}

/// Everything that was found after a run.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The visible outputs, in offset order within each partition.
    pub outputs: Vec<Output>,
    /// The group's committed offsets.
    pub committed: BTreeMap<Partition, i64>,
    /// Where the output logs end.
    pub ends: BTreeMap<Partition, LogEnd>,
}

/// How much of the input must be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Complete,
    /// What the committed offsets say, not a record more or less.
    UpToCommitted,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// An input whose offset is committed has no output.
    Lost(Source),
    /// An input has this many outputs instead of one.
    Duplicate(Source, usize),
    /// An input that produces nothing, or that was never written, has an output.
    Phantom(Output),
    /// An output's number or key is not that of its input.
    Altered(Output),
    /// In an output partition an input comes after a later one of the same source partition.
    Disorder {
        /// The record out of place.
        output: Output,
        /// The source offset before it.
        after: i64,
    },
    /// An output is visible though its input's offset is not committed: it would be repeated.
    Uncommitted(Source),
    /// Committed offsets end before the input does, or beyond it.
    Offset {
        /// The input partition.
        partition: Partition,
        /// What is committed, if anything.
        committed: Option<i64>,
        /// Where the input ends.
        end: i64,
    },
    /// A transaction is still open on an output partition.
    OpenTransaction(Partition, LogEnd),
}

/// Checks every promise of exactly-once, and returns those that are broken.
///
/// Every input that is to be copied, below its partition's committed offset, has one output with
/// its number and key; no other output exists; within each pair of source and output partition
/// the source offsets rise; no transaction is open; and with [`Extent::Complete`] the committed
/// offsets are the ends of the input.
pub fn check(
    rows: &BTreeMap<Partition, Vec<Input>>,
    evidence: &Evidence,
    extent: Extent,
) -> Vec<Violation> {
    let mut broken = Vec::new();
    let counts = check_outputs(rows, &evidence.outputs, &mut broken);
    for (partition, inputs) in rows {
        check_partition(partition, inputs, evidence, extent, &counts, &mut broken);
    }
    for (partition, end) in &evidence.ends {
        if end.stable != end.end {
            broken.push(Violation::OpenTransaction(partition.clone(), *end));
        }
    }
    broken
}

/// Checks every output on its own and in its place; returns how many each source has.
fn check_outputs<'a>(
    rows: &BTreeMap<Partition, Vec<Input>>,
    outputs: &'a [Output],
    broken: &mut Vec<Violation>,
) -> HashMap<&'a Source, usize> {
    let mut counts = HashMap::new();
    let mut last = HashMap::new();
    for output in outputs {
        let source = &output.source;
        match find(rows, source) {
            Some(input) if input.fate.is_copied() => {
                if (input.seq, &input.key) != (output.seq, &output.key) {
                    broken.push(Violation::Altered(output.clone()));
                }
                *counts.entry(source).or_default() += 1;
            }
            _ => broken.push(Violation::Phantom(output.clone())),
        }
        let lane = (&source.partition, &output.partition);
        if let Some(after) = last.insert(lane, source.offset)
            && after > source.offset
        {
            broken.push(Violation::Disorder { output: output.clone(), after });
        }
    }
    counts
}

fn find<'a>(rows: &'a BTreeMap<Partition, Vec<Input>>, source: &Source) -> Option<&'a Input> {
    let inputs = rows.get(&source.partition)?;
    let place = inputs.binary_search_by_key(&source.offset, |input| input.offset).ok()?;
    inputs.get(place)
}

fn check_partition(
    partition: &Partition,
    inputs: &[Input],
    evidence: &Evidence,
    extent: Extent,
    counts: &HashMap<&Source, usize>,
    broken: &mut Vec<Violation>,
) {
    let end = inputs.last().map_or(0, |input| input.offset + 1);
    let committed = evidence.committed.get(partition).copied();
    let done = committed.unwrap_or(0);
    let wrong = match extent {
        Extent::Complete => done != end,
        Extent::UpToCommitted => done > end,
    };
    if wrong {
        broken.push(Violation::Offset { partition: partition.clone(), committed, end });
    }
    for input in inputs.iter().filter(|input| input.fate.is_copied()) {
        let source = Source { partition: partition.clone(), offset: input.offset };
        let count = counts.get(&source).copied().unwrap_or(0);
        let is_done = input.offset < done || extent == Extent::Complete;
        if count == 0 && is_done {
            broken.push(Violation::Lost(source.clone()));
        }
        if count > 0 && input.offset >= done {
            broken.push(Violation::Uncommitted(source.clone()));
        }
        if count > 1 {
            broken.push(Violation::Duplicate(source, count));
        }
    }
}

/// Fails the test with the first violations, and how many there are of each kind.
///
/// # Panics
/// A promise is broken.
pub fn assert_exactly_once(ledger: &Ledger, evidence: &Evidence, extent: Extent) {
    let broken = check(ledger.rows(), evidence, extent);
    assert!(broken.is_empty(), "{}", describe(&broken));
}

/// Lists the first violations, and how many there are of each kind.
pub fn describe(broken: &[Violation]) -> String {
    let mut kinds = BTreeMap::<_, usize>::new();
    for violation in broken {
        let debug = format!("{violation:?}");
        let kind = debug.split(['(', ' ']).next().unwrap_or_default().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    let first: Vec<_> = broken.iter().take(SHOWN).map(|v| format!("  {v:?}")).collect();
    format!("{} violations {kinds:?}, the first:\n{}", broken.len(), first.join("\n"))
}

#[cfg(test)]
mod tests;
