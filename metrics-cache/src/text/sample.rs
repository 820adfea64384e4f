//! Puts the lines of a summary or histogram together again.

use std::collections::HashMap;

use super::parse::Part;
use crate::family::{Body, Histogram, Kind, Label, PushedSeries, Summary, Value};
use crate::labels;

/// Knows the series of the families whose series have several lines.
#[derive(Default)]
pub(super) struct Collector {
    /// Whether the family's type is settled, by a TYPE line or by a sample. One per family.
    pub(super) typed: Vec<bool>,
    /// Family and joined labels to the series' place.
    known: HashMap<(usize, String), usize, ahash::RandomState>,
}

impl Collector {
    /// Takes one line: its labels are those from `first` on, without `quantile` or `le`, whose
    /// value is `bound`. Returns whether it began a series.
    pub(super) fn add(
        &mut self,
        body: &mut Body<'_>,
        family: usize,
        part: Part,
        first: usize,
        bound: f64,
        value: f64,
    ) -> Result<bool, String> {
        let kind = body.families[family].kind;
        if !kind.is_histogram() && kind != Kind::Summary {
            let labels = first..body.labels.len();
            let value = Value::Number(value);
            body.families[family].series.push(PushedSeries { labels, value });
            return Ok(true);
        }
        let before = body.families[family].series.len();
        let at = self.series(body, family, first);
        let family = &mut body.families[family];
        match &mut family.series[at].value {
            Value::Summary(summary) => add_to_summary(summary, part, bound, value)
                .map_err(|what| format!("{what} for summary {:?}", family.name)),
            Value::Histogram(histogram) => add_to_histogram(histogram, part, bound, value)
                .map_err(|what| format!("{what} for histogram {:?}", family.name)),
            Value::Number(_) => Ok(()),
        }?;
        Ok(at >= before)
    }

    /// Finds the series with these labels, or begins one.
    fn series(&mut self, body: &mut Body<'_>, family: usize, first: usize) -> usize {
        let labels = first..body.labels.len();
        let known = &body.families[family].series;
        // Lines of one series follow each other, as everybody writes them.
        if let Some(last) = known.last()
            && body.labels[last.labels.clone()] == body.labels[labels.clone()]
        {
            body.labels.truncate(first);
            return known.len() - 1;
        }
        let key = (family, joined(&body.labels[labels.clone()]));
        let next = known.len();
        let at = *self.known.entry(key).or_insert(next);
        if at < next {
            body.labels.truncate(first);
            return at;
        }
        let value = match body.families[family].kind {
            Kind::Summary => Value::Summary(Box::default()),
            _ => Value::Histogram(Box::default()),
        };
        body.families[family].series.push(PushedSeries { labels, value });
        at
    }
}

fn joined(given: &[Label<'_>]) -> String {
    let mut sorted: Vec<_> = given.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
    sorted.sort_unstable();
    labels::join(sorted)
}

fn add_to_summary(
    summary: &mut Summary,
    part: Part,
    quantile: f64,
    value: f64,
) -> Result<(), String> {
    match part {
        Part::Count => summary.count = count(value)? as u64,
        Part::Sum => summary.sum = value,
        Part::Whole if !quantile.is_nan() => summary.quantiles.push((quantile, value)),
        Part::Whole => {}
    }
    Ok(())
}

fn add_to_histogram(
    histogram: &mut Histogram,
    part: Part,
    bound: f64,
    value: f64,
) -> Result<(), String> {
    match part {
        Part::Count => histogram.count = count(value)?,
        Part::Sum => histogram.sum = value,
        Part::Whole if !bound.is_nan() => {
            let value = count(value).map_err(|_| "negative bucket population")?;
            histogram.buckets.push((bound, value));
        }
        Part::Whole => {}
    }
    Ok(())
}

fn count(value: f64) -> Result<f64, String> {
    match value >= 0.0 {
        true => Ok(value),
        false => Err("negative count".into()),
    }
}
