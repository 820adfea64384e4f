//! The table of what was done and what it did.

use std::fmt::Write as _;
use std::time::Duration;

/// What was done to one service, each time with the pause that it caused.
#[derive(Debug)]
struct Row {
    what: String,
    pauses: Vec<Duration>,
}

/// Pauses by what caused them.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a pause to the row of this name.
    pub fn add(&mut self, what: &str, pause: Duration) {
        match self.rows.iter_mut().find(|row| row.what == what) {
            Some(row) => row.pauses.push(pause),
            None => self.rows.push(Row { what: what.to_owned(), pauses: vec![pause] }),
        }
    }

    /// Gives the worst pause of a row.
    pub fn worst(&self, what: &str) -> Option<Duration> {
        let row = self.rows.iter().find(|row| row.what == what)?;
        row.pauses.iter().max().copied()
    }

    /// Writes it as Markdown.
    pub fn show(&self) -> String {
        let mut text = String::from(
            "| what was done | times | pause of a partition, median | worst |\n\
             | --- | ---: | ---: | ---: |\n",
        );
        for Row { what, pauses } in &self.rows {
            let mut sorted = pauses.clone();
            sorted.sort();
            let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
            let worst = sorted.last().copied().unwrap_or_default();
            let (median, worst) = (median.as_secs_f64(), worst.as_secs_f64());
            let _ = writeln!(text, "| {what} | {} | {median:.1} s | {worst:.1} s |", sorted.len());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_median_and_worst() {
        let mut table = Table::default();
        for seconds in [3, 1, 2] {
            table.add("x", Duration::from_secs(seconds));
        }
        assert!(table.show().contains("| x | 3 | 2.0 s | 3.0 s |"), "{}", table.show());
        assert_eq!(table.worst("x"), Some(Duration::from_secs(3)));
    }
}
