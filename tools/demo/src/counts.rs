//! The app's own counters, read from its metrics as Prometheus would.

use std::collections::BTreeMap;

use nubium_core::metrics::Metrics;

/// Holds what the app has counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages consumed, in committed transactions.
    pub(crate) consumed: u64,
    /// Records produced in committed transactions, by topic.
    pub(crate) produced: BTreeMap<String, u64>,
    /// Messages dropped by the program.
    pub(crate) dropped: u64,
    /// Committed transactions.
    pub(crate) committed: u64,
    /// Aborted transactions.
    pub(crate) aborted: u64,
}

impl Counts {
    /// Reads the counters.
    pub(crate) fn of(metrics: &Metrics) -> Self {
        Self::read(&metrics.text())
    }

    /// Reads the counters from Prometheus' text format.
    fn read(text: &str) -> Self {
        let mut counts = Self::default();
        for (name, labels, value) in text.lines().filter_map(sample) {
            match name {
                "messages_consumed" => counts.consumed += value,
                // The app counts every topic that it knows, inputs at 0 too.
                "messages_produced" if value > 0 => {
                    *counts.produced.entry(label(labels, "topic")).or_default() += value;
                }
                "messages_dropped" => counts.dropped += value,
                "nubium_transactions_committed_total" => counts.committed += value,
                "nubium_transactions_aborted_total" => counts.aborted += value,
                _ => {}
            }
        }
        counts
    }

    /// Gives how many records were produced in all.
    pub(crate) fn produced_in_all(&self) -> u64 {
        self.produced.values().sum()
    }
}

/// Splits `name{labels} value`.
fn sample(line: &str) -> Option<(&str, &str, u64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Some((name, labels.trim_end_matches('}'), value.parse().ok()?))
}

/// Finds a label. Topic names hold none of the characters that the format escapes.
fn label(labels: &str, name: &str) -> String {
    let start = format!("{name}=\"");
    let found = labels.split("\",").find_map(|pair| pair.strip_prefix(&start));
    found.unwrap_or_default().trim_end_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_by_name_and_topic() {
        let metrics = Metrics::new("app", "job-1");
        metrics.topic("in").consumed(5);
        metrics.topic("left").produced(2);
        metrics.topic("right").produced(1);
        metrics
            .counter("messages_dropped", "Dropped.", &["topic"])
            .expect("counter")
            .with(&["in"])
            .expect("series")
            .inc();
        let counts = Counts::of(&metrics);
        let produced = [("left".to_owned(), 2), ("right".to_owned(), 1)].into();
        assert_eq!(counts, Counts { consumed: 5, produced, dropped: 1, ..Counts::default() });
        assert_eq!(counts.produced_in_all(), 3);
    }
}
