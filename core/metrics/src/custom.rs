//! Metrics that an app registers by name.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus::{Gauge, Histogram, IntCounter, Registry};

use super::family::{Child, Family};
use super::names::{self, SERIES_OF_USERS};
use super::{MetricError, MetricErrorKind};

/// Counters of one name. Resolve the series you need once and keep it.
#[derive(Clone)]
pub struct CounterFamily(pub(super) Family<IntCounter>);

/// Gauges of one name.
#[derive(Clone)]
pub struct GaugeFamily(pub(super) Family<Gauge>);

/// Histograms of one name.
#[derive(Clone)]
pub struct HistogramFamily(pub(super) Family<Histogram>);

macro_rules! with {
    ($family:ty, $series:ty) => {
        impl $family {
            /// Returns the series with these label values, in the order of the label names.
            ///
            /// Past a thousand series, new ones are counted together under `(other)`.
            ///
            /// # Errors
            /// Fails when there are more or fewer values than labels.
            pub fn with(&self, values: &[&str]) -> Result<$series, MetricError> {
                self.0.get(values)
            }
        }
    };
}

with!(CounterFamily, IntCounter);
with!(GaugeFamily, Gauge);
with!(HistogramFamily, Histogram);

/// The custom metrics so far, so that asking twice gives the same one.
#[derive(Default)]
pub(super) struct Custom(Mutex<HashMap<String, Known>>);

pub(super) enum Known {
    Counter(Family<IntCounter>),
    Gauge(Family<Gauge>),
    Histogram(Family<Histogram>),
}

/// A kind of series that can be asked for by name.
pub(super) trait Kind: Child {
    fn wrap(family: Family<Self>) -> Known;
    fn unwrap(known: &Known) -> Option<&Family<Self>>;
}

macro_rules! kind {
    ($series:ty, $variant:ident) => {
        impl Kind for $series {
            fn wrap(family: Family<Self>) -> Known {
                Known::$variant(family)
            }

            fn unwrap(known: &Known) -> Option<&Family<Self>> {
                match known {
                    Known::$variant(family) => Some(family),
                    _ => None,
                }
            }
        }
    };
}

kind!(IntCounter, Counter);
kind!(Gauge, Gauge);
kind!(Histogram, Histogram);

impl Custom {
    /// Returns the family of this name: the one made before if the definition is the same.
    pub(super) fn family<M: Kind>(
        &self,
        registry: &Registry,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<Family<M>, MetricError> {
        let wrong = |kind| Err(MetricError::new(name, kind));
        if let Some(label) = labels.iter().find(|label| names::COMMON.contains(label)) {
            return wrong(MetricErrorKind::CommonLabel((*label).into()));
        }
        if name.starts_with("nubium_") || name.starts_with("process_") {
            return wrong(MetricErrorKind::Reserved);
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(name) {
            return match M::unwrap(found) {
                Some(family)
                    if family.labels() == labels
                        && family.help() == help
                        && family.buckets() == buckets =>
                {
                    Ok(family.clone())
                }
                _ => wrong(MetricErrorKind::Clash),
            };
        }
        let family = Family::<M>::new(name, help, labels, buckets, SERIES_OF_USERS)?;
        if registry.register(Box::new(family.clone())).is_err() {
            // Only a metric of the core can be in the way: all others are known here.
            return wrong(MetricErrorKind::Reserved);
        }
        known.insert(name.into(), M::wrap(family.clone()));
        Ok(family)
    }
}
