//! Sums over instances: the same metrics with some labels left out.
//!
//! Counters, histograms and summaries (their sums and counts; quantiles cannot be added) are
//! added up. Gauges and untyped metrics are left out: what their sum means only their author knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::family::{Family, Histogram, Kind, Summary, Value};
use crate::labels;
use crate::store::Snapshot;

/// Returns the sums over all series that differ in the labels `without` alone.
pub(crate) fn aggregate(snapshot: Snapshot, without: &[&str]) -> Snapshot {
    let summed = snapshot.names.into_iter().filter_map(|(name, kind, members)| {
        if matches!(kind, Kind::Gauge | Kind::Untyped | Kind::GaugeHistogram) {
            return None;
        }
        let mut sums: BTreeMap<String, Value> = BTreeMap::new();
        for (labels, value) in members.iter().flat_map(|family| family.series()) {
            let kept =
                labels::pairs(labels).filter(|(label, _)| !without.contains(&label.as_ref()));
            let kept: Vec<_> = kept.collect();
            let kept =
                labels::join(kept.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
            match sums.get_mut(&kept) {
                Some(sum) => add(sum, value),
                None => {
                    sums.insert(kept, first(value));
                }
            }
        }
        let help = members.iter().find_map(|family| family.help.clone());
        let (mut joined, mut series) = (String::new(), Vec::with_capacity(sums.len()));
        for (labels, value) in sums {
            let start = joined.len();
            joined.push_str(&labels);
            series.push((start..joined.len(), value));
        }
        let family = Family::new(kind, help, 0, &joined, series);
        Some((name, kind, vec![Arc::new(family)]))
    });
    Snapshot { names: summed.collect(), times: Vec::new() }
}

/// Returns what of a value can be added to.
fn first(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(*number),
        Value::Summary(summary) => {
            Value::Summary(Box::new(Summary { quantiles: Vec::new(), ..summary.as_ref().clone() }))
        }
        Value::Histogram(histogram) => {
            Value::Histogram(Box::new(Histogram { native: None, ..histogram.as_ref().clone() }))
        }
    }
}

fn add(sum: &mut Value, value: &Value) {
    match (sum, value) {
        (Value::Number(sum), Value::Number(value)) => *sum += value,
        (Value::Summary(sum), Value::Summary(value)) => {
            sum.count = sum.count.saturating_add(value.count);
            sum.sum += value.sum;
        }
        (Value::Histogram(sum), Value::Histogram(value)) => {
            sum.count += value.count;
            sum.sum += value.sum;
            // A cumulative count is known at the bounds that both have, and nowhere else.
            sum.buckets.retain_mut(|(bound, count)| {
                let same = value.buckets.iter().find(|(other, _)| other == bound);
                *count += same.map_or(0.0, |(_, more)| *more);
                same.is_some()
            });
        }
        // One name has one type, so this does not happen.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::{Format, Scrape};
    use crate::store::Mode;
    use crate::testing::{body, key, store};

    #[test]
    fn adds_up_over_instances() {
        let store = store();
        for (instance, n) in [("a", 1), ("b", 2)] {
            let text = format!(
                "# HELP c Help.\n# TYPE c counter\nc{{x=\"1\"}} {n}\nc{{x=\"2\"}} 10\n\
                 # TYPE g gauge\ng 1\n\
                 # TYPE s summary\ns{{quantile=\"0.5\"}} 9\ns_sum {n}\ns_count {n}\n\
                 # TYPE h histogram\nh_bucket{{le=\"1\"}} {n}\nh_bucket{{le=\"{n}.5\"}} 3\n\
                 h_sum 4\nh_count 5\n"
            );
            let group = key(&format!("job/j/instance/{instance}"));
            store.push(&group, body(&text), Mode::Replace, None).expect("pushed");
        }
        let sums = aggregate(store.snapshot(), &["instance"]);
        let text: Vec<u8> =
            Scrape::new((Format::Text, Default::default()), sums, Vec::new()).flatten().collect();
        assert_eq!(
            String::from_utf8_lossy(&text),
            "# HELP c Help.\n# TYPE c counter\nc{job=\"j\",x=\"1\"} 3\nc{job=\"j\",x=\"2\"} 20\n\
             # TYPE h histogram\n\
             h_bucket{job=\"j\",le=\"1\"} 3\nh_bucket{job=\"j\",le=\"+Inf\"} 10\n\
             h_sum{job=\"j\"} 8\nh_count{job=\"j\"} 10\n\
             # TYPE s summary\ns_sum{job=\"j\"} 3\ns_count{job=\"j\"} 3\n"
        );
    }
}
