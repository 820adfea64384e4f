//! Shows that the cells catch bugs: every mutant of the product is run through cells until one says
//! no. A mutant that none catches is a missing check.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};

use crate::board::Board;
use crate::cell::{Cell, Check};
use crate::plan::Choice;
use crate::world::World;
use crate::{complain, say};

/// A planted bug, and the cells that are tried on it, as `area/name`.
type Mutant = (&'static str, &'static [&'static str]);

const MUTANTS: [Mutant; 29] = [
    ("no-rewind", &["network/told-offsets-group-forbidden", "kill/copy-abort"]),
    ("one-partition-rewinds", &["network/told-offsets-group-forbidden"]),
    ("committed-is-forgotten", &["network/told-offsets-group-forbidden"]),
    ("stale-is-taken", &["network/told-offsets-group-forbidden", "network/told-commit-bad-epoch"]),
    ("group-is-not-asked", &["network/told-commit-bad-epoch", "network/told-commit-unknown-error"]),
    (
        "revoked-is-kept",
        &[
            "rebalance/partitions-go-with-one-at-work",
            "rebalance/partitions-go-with-many-at-work",
            "rebalance/copy-storm-cooperative",
        ],
    ),
    ("revoked-without-commit", STORMS),
    ("start-is-not-committed", &["kill/before-the-first-commit"]),
    ("records-before-offsets", &["kill/copy-commit-sent", "kill/copy-offsets", "kill/copy-commit"]),
    ("offsets-before-records", &["kill/copy-produce", "kill/copy-commit-sent"]),
    ("plain-commit", &["kill/copy-commit", "kill/copy-produce"]),
    ("unanswered-is-committed", OVERDUE),
    ("unanswered-is-aborted", OVERDUE),
    (
        "doubtful-is-kept",
        &[
            "pause/a-late-commit-meets-the-next-transaction",
            "pause/a-commit-whose-connection-broke-meets-the-next-transaction",
            "pause/an-abort-whose-connection-broke-meets-the-next-transaction",
            "pause/an-offset-whose-connection-broke-meets-the-next-transaction",
        ],
    ),
    ("failure-is-committed", &["network/table-told-offsets-group-forbidden"]),
    ("offset-of-the-last", &["kill/copy-committed", "shutdown/copy-term-idle"]),
    ("offset-too-far", &["kill/copy-committed", "shutdown/copy-term-idle"]),
    ("another-id-each-start", &["kill/the-next-life-ends-the-transaction"]),
    ("input-is-read-uncommitted", &["functions/copy-inputs-of-aborted-transactions"]),
    ("error-is-swallowed", &["functions/copy-fails-and-is-tried-again"]),
    ("failed-output-is-kept", &["functions/copy-fails-and-is-tried-again"]),
    ("store-before-commit", &["kill/table-commit", "kill/table-abort"]),
    (
        "overlay-survives-abort",
        &["network/table-overdue-commit", "kill/table-abort", "pause/table-offsets-written"],
    ),
    ("store-is-not-caught-up", &["network/table-told-commit-bad-epoch"]),
    ("position-runs-ahead", &["table/rows-are-followed", "table/volume-deleted"]),
    ("tombstones-are-skipped", &["table/rows-are-followed"]),
    ("deletes-are-not-stored", &["table/rows-are-deleted"]),
    ("changelog-is-read-uncommitted", &["table/changelog-ends-in-aborted-records"]),
    ("recovery-ends-at-the-stable-end", &["table/changelog-has-an-open-transaction"]),
];

const OF_THE_RECEIVER: [Mutant; 3] = [
    ("answered-before-the-report", &["receiver/killed"]),
    ("failed-report-is-ignored", &["receiver/nothing-is-taken-any-more"]),
    ("not-idempotent", &["receiver/told-not-leader", "receiver/answer-cut"]),
];

/// What moves partitions while there is work in hand.
const STORMS: &[&str] = &[
    "rebalance/copy-storm-cooperative",
    "rebalance/copy-storm-eager",
    "rebalance/transfer-storm-cooperative",
    "rebalance/copy-storm-kip-848",
    "rebalance/batch-storm-cooperative",
];

/// What leaves a commit without its answer.
const OVERDUE: &[&str] = &[
    "network/copy-overdue-commit",
    "network/copy-commit-unanswered",
    "network/copy-overdue-records",
    "network/table-overdue-commit",
    "pause/copy-commit-held-while-another-takes-over",
];

/// Seeds that are tried before a mutant counts as one that got away.
const SEEDS: u64 = 4;

/// Runs the mutants, and says which check caught each.
pub(crate) fn run(choice: &Choice) -> Result<Board> {
    let mut world = World::start()?;
    let binaries = choice.binaries.clone().unwrap_or_else(|| world.binaries().join("mutants"));
    ensure!(
        binaries.join("ledger-app").exists(),
        "no apps with mutants in {}: scripts/chaos mutants builds them",
        binaries.display()
    );
    world.take_apps_from(&binaries);
    let all = MUTANTS.iter().chain(&OF_THE_RECEIVER).copied();
    let chosen = all.filter(|(name, _)| choice.names(name));
    let queue = Mutex::new(chosen.collect::<VecDeque<_>>());
    let board = Mutex::new(Board::default());
    std::thread::scope(|scope| {
        for _ in 0..choice.jobs() {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((name, cells)) = next else { return };
                    let check = hunt(&world.with_mutant(name), name, cells, choice.seed);
                    let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
                    board.add("mutants", &[check]);
                }
            });
        }
    });
    Ok(board.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs cells on a mutant until one of them fails.
fn hunt(world: &World, name: &str, cells: &[&str], first_seed: u64) -> Check {
    let known = super::all();
    let mut runs = 0;
    for seed in first_seed..first_seed + SEEDS {
        for place in cells {
            let Some(cell) = known.iter().find(|cell| is_at(cell, place)) else {
                let broken = Some(format!("there is no cell {place}"));
                return Check { law: name.to_owned(), broken };
            };
            runs += 1;
            let found = cell.run(world, seed);
            if let Some(check) = found.iter().find(|check| check.broken.is_some()) {
                let why = check.broken.as_deref().unwrap_or_default();
                let why = why.lines().next().unwrap_or_default();
                let why: String = why.chars().take(160).collect();
                say(&format!("{name}: caught by {place} after {runs} runs: {}: {why}", check.law));
                return Check { law: name.to_owned(), broken: None };
            }
        }
    }
    complain(&format!("{name}: GOT AWAY in {runs} runs of {cells:?}"));
    Check { law: name.to_owned(), broken: Some(format!("it got away in {runs} runs")) }
}

fn is_at(cell: &Cell, place: &str) -> bool {
    place.split_once('/').is_some_and(|(area, name)| cell.area == area && cell.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_has_cells_and_a_hook_in_the_product() {
        let known = super::super::all();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let grep = std::process::Command::new("git")
            .args(["grep", "-h", "-o", "mutant!(\"[a-z-]*\")", "--", "core", "services"])
            .current_dir(root)
            .output()
            .unwrap();
        let hooks = String::from_utf8(grep.stdout).unwrap();
        for (name, cells) in MUTANTS.iter().chain(&OF_THE_RECEIVER) {
            assert!(hooks.contains(&format!("(\"{name}\")")), "{name} is nowhere in the product");
            for place in *cells {
                assert!(known.iter().any(|cell| is_at(cell, place)), "{name}: {place}");
            }
        }
    }

    #[test]
    fn no_build_but_that_of_the_feature_has_them() {
        // This very program, and with it the whole product, is built without the feature.
        assert!(!nubium_test_kit::has_mutants());
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = vec![root.join("scripts/image")];
        let listed = std::fs::read_dir(root.join("deploy")).unwrap().map_while(Result::ok);
        files.extend(listed.map(|entry| entry.path()).filter(|path| path.is_file()));
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(!text.contains("mutants") && !text.contains("all-features"), "{file:?}");
        }
    }
}
