//! What was checked, by area, and the table of it.

use std::collections::BTreeMap;

use crate::cell::Check;

/// The counts of one area.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    cells: usize,
    passed: usize,
    failed: usize,
    not_run: usize,
}

/// What was checked, by area.
#[derive(Debug, Default)]
pub(crate) struct Board {
    rows: BTreeMap<&'static str, Row>,
    notes: Vec<String>,
}

impl Board {
    /// Adds what a cell found.
    pub(crate) fn add(&mut self, area: &'static str, checks: &[Check]) {
        let row = self.rows.entry(area).or_default();
        row.cells += 1;
        let passed = checks.iter().filter(|check| check.broken.is_none()).count();
        row.passed += passed;
        row.failed += checks.len() - passed;
    }

    /// Counts cells that were chosen and did not run.
    pub(crate) fn not_run(&mut self, area: &'static str, cells: usize) {
        self.rows.entry(area).or_default().not_run += cells;
    }

    /// Shows a line below the table.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    fn sum(&self) -> Row {
        let add = |mut sum: Row, row: &Row| {
            sum.cells += row.cells;
            sum.passed += row.passed;
            sum.failed += row.failed;
            sum.not_run += row.not_run;
            sum
        };
        self.rows.values().fold(Row::default(), add)
    }

    /// Says whether something was checked, all of it held, and nothing was left out.
    pub(crate) fn is_good(&self) -> bool {
        let sum = self.sum();
        sum.passed > 0 && sum.failed == 0 && sum.not_run == 0
    }

    /// The table, an area a line.
    pub(crate) fn table(&self) -> String {
        let line = |name: &str, row: &Row| {
            let checks = row.passed + row.failed;
            format!(
                "{name:<12} {:>6} {checks:>7} {:>7} {:>7} {:>8}",
                row.cells, row.passed, row.failed, row.not_run
            )
        };
        let mut lines = vec![format!(
            "{:<12} {:>6} {:>7} {:>7} {:>7} {:>8}",
            "area", "cells", "checks", "passed", "failed", "not run"
        )];
        lines.extend(self.rows.iter().map(|(area, row)| line(area, row)));
        lines.push(line("all", &self.sum()));
        lines.extend(self.notes.iter().cloned());
        lines.join("\n")
    }

    /// The sum as a test program prints it, so that whoever adds those up adds this, too.
    pub(crate) fn result_line(&self) -> String {
        let sum = self.sum();
        let word = if self.is_good() { "ok" } else { "FAILED" };
        let (passed, failed) = (sum.passed, sum.failed + sum.not_run);
        format!("test result: {word}. {passed} passed; {failed} failed; 0 ignored")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(broken: bool) -> Check {
        Check { law: "law".into(), broken: broken.then(|| "why".into()) }
    }

    #[test]
    fn only_what_passed_is_good() {
        let mut board = Board::default();
        assert!(!board.is_good(), "nothing was checked");
        board.add("kill", &[check(false), check(false)]);
        assert!(board.is_good());
        assert_eq!(board.result_line(), "test result: ok. 2 passed; 0 failed; 0 ignored");
        board.not_run("pause", 1);
        assert!(!board.is_good(), "a cell was left out");
        board.add("pause", &[check(true)]);
        assert_eq!(board.result_line(), "test result: FAILED. 2 passed; 2 failed; 0 ignored");
        let table = board.table();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let last = table.lines().last().map(words).unwrap();
        assert_eq!(last, ["all", "2", "3", "2", "1", "1"]);
    }
}
