//! All series of one name.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, Opts};

use super::names::OVERFLOW;
use super::{MetricError, MetricErrorKind};

/// Label values are cut here: an exception's text that got into a name must not fill memory.
const VALUE_CHARS: usize = 200;

/// A series that a family can make.
pub(super) trait Child: Collector + Clone + 'static {
    fn build(opts: Opts, buckets: &[f64]) -> prometheus::Result<Self>;
}

impl Child for IntCounter {
    fn build(opts: Opts, _: &[f64]) -> prometheus::Result<Self> {
        Self::with_opts(opts)
    }
}

impl Child for Gauge {
    fn build(opts: Opts, _: &[f64]) -> prometheus::Result<Self> {
        Self::with_opts(opts)
    }
}

impl Child for Histogram {
    fn build(opts: Opts, buckets: &[f64]) -> prometheus::Result<Self> {
        Self::with_opts(HistogramOpts { common_opts: opts, buckets: buckets.to_vec() })
    }
}

/// Holds the series of one name by their label values.
///
/// The vectors of the prometheus crate key their series by a hash of the joined values, so topic
/// `orders1`, partition 1 and topic `orders`, partition 11 would be one series. They also grow
/// without a bound.
#[derive(Clone)]
pub(super) struct Family<M>(Arc<Inner<M>>);

struct Inner<M> {
    desc: Desc,
    buckets: Vec<f64>,
    limit: usize,
    series: RwLock<BTreeMap<Vec<String>, M>>,
}

impl<M: Child> Family<M> {
    pub(super) fn new(
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
        limit: usize,
    ) -> Result<Self, MetricError> {
        let invalid = |error| MetricError::new(name, MetricErrorKind::Invalid(error));
        let label_names = labels.iter().map(ToString::to_string).collect();
        let desc = Desc::new(name.into(), help.into(), label_names, Default::default());
        let desc = desc.map_err(invalid)?;
        // Makes one on trial, so that a bad bucket or label is found now and not in the loop.
        let (buckets, series) = (buckets.to_vec(), RwLock::default());
        let family = Self(Arc::new(Inner { desc, buckets, limit, series }));
        family
            .build(&labels.iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(invalid)?;
        Ok(family)
    }

    pub(super) fn labels(&self) -> &[String] {
        &self.0.desc.variable_labels
    }

    pub(super) fn buckets(&self) -> &[f64] {
        &self.0.buckets
    }

    pub(super) fn help(&self) -> &str {
        &self.0.desc.help
    }

    /// Returns the series with these label values, made on first use.
    pub(super) fn get(&self, values: &[&str]) -> Result<M, MetricError> {
        let wrong = |kind| MetricError::new(&self.0.desc.fq_name, kind);
        if values.len() != self.labels().len() {
            let (expected, given) = (self.labels().join(", "), values.len());
            return Err(wrong(MetricErrorKind::LabelCount { expected, given }));
        }
        let mut key: Vec<String> = values.iter().map(|value| cut(value)).collect();
        let mut series = self.0.series.write().unwrap_or_else(PoisonError::into_inner);
        if !series.contains_key(&key) && series.len() >= self.0.limit {
            key.iter_mut().for_each(|value| *value = OVERFLOW.into());
        }
        if let Some(found) = series.get(&key) {
            return Ok(found.clone());
        }
        let made = self.build(&key).map_err(|error| wrong(MetricErrorKind::Invalid(error)))?;
        series.insert(key, made.clone());
        Ok(made)
    }

    /// Forgets a series, such as the lag of a partition that was given up.
    pub(super) fn remove(&self, values: &[&str]) {
        let key: Vec<String> = values.iter().map(|value| cut(value)).collect();
        self.0.series.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    fn build(&self, values: &[String]) -> prometheus::Result<M> {
        let labels = self.labels().iter().cloned().zip(values.iter().cloned()).collect();
        let opts = Opts::new(&self.0.desc.fq_name, &self.0.desc.help).const_labels(labels);
        M::build(opts, &self.0.buckets)
    }
}

impl<M: Child> Collector for Family<M> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let series = self.0.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut collected = series.values().flat_map(Collector::collect);
        let Some(mut family) = collected.next() else { return Vec::new() };
        for mut other in collected {
            family.mut_metric().append(&mut other.take_metric());
        }
        vec![family]
    }
}

fn cut(value: &str) -> String {
    value.chars().take(VALUE_CHARS).collect()
}
