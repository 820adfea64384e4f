//! Which case passed which program.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Cells by row and column, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    rows: Vec<String>,
    columns: Vec<&'static str>,
    cells: BTreeMap<(usize, usize), Result<(), String>>,
}

impl Matrix {
    /// Notes how a cell went.
    pub(crate) fn note(&mut self, row: &str, column: &'static str, went: Result<(), String>) {
        let row = self.rows.iter().position(|known| known == row).unwrap_or_else(|| {
            self.rows.push(row.to_owned());
            self.rows.len() - 1
        });
        let at = self.columns.iter().position(|known| *known == column).unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        });
        let twice = self.cells.insert((row, at), went);
        assert!(twice.is_none(), "the cell {} of {column} is filled twice", self.rows[row]);
    }

    /// Notes a cell that is right where both are equal.
    pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        row: &str,
        column: &'static str,
        (found, expected): (T, T),
    ) {
        let went = match found == expected {
            true => Ok(()),
            false => Err(format!("{found:?} instead of {expected:?}")),
        };
        self.note(row, column, went);
    }

    /// Prints it, and fails where a cell is wrong or there are fewer than `least`.
    pub(crate) fn finish(&self, least: usize) {
        let widest = self.rows.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        let mut text = format!("{:widest$}", "");
        for column in &self.columns {
            let _ = write!(text, "  {column}");
        }
        for (index, row) in self.rows.iter().enumerate() {
            let _ = write!(text, "\n{row:widest$}");
            for (at, column) in self.columns.iter().enumerate() {
                let mark = match self.cells.get(&(index, at)) {
                    Some(Ok(())) => "ok",
                    Some(Err(_)) => "WRONG",
                    None => "",
                };
                let _ = write!(text, "  {mark:width$}", width = column.len());
            }
        }
        let wrong: Vec<_> = self
            .cells
            .iter()
            .filter_map(|((row, at), went)| {
                let why = went.as_ref().err()?;
                Some(format!("{} / {}: {why}", self.rows[*row], self.columns[*at]))
            })
            .collect();
        let (all, bad) = (self.cells.len(), wrong.len());
        #[expect(clippy::print_stdout, reason = "the matrix is what the test shows")]
        {
            println!("{text}\n{} of {all} cells passed", all - bad);
        }
        assert!(wrong.is_empty(), "{bad} of {all} cells are wrong:\n{}", wrong.join("\n"));
        assert!(all >= least, "{all} cells, {least} were meant to be");
    }
}
