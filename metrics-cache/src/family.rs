//! A metric family as it is pushed, and as it is kept.

use std::borrow::Cow;
use std::ops::Range;

use crate::proto;

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl Kind {
    /// Returns the name that error texts and the API use.
    pub(crate) fn upper(self) -> &'static str {
        match self {
            Self::Counter => "COUNTER",
            Self::Gauge => "GAUGE",
            Self::Summary => "SUMMARY",
            Self::Untyped => "UNTYPED",
            Self::Histogram => "HISTOGRAM",
            Self::GaugeHistogram => "GAUGE_HISTOGRAM",
        }
    }

    /// Returns the name in a TYPE line of text format 0.0.4, which has no gauge histograms.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
            Self::Histogram | Self::GaugeHistogram => "histogram",
        }
    }

    /// Tells whether one series has several lines: buckets, a sum and a count.
    pub(crate) fn is_histogram(self) -> bool {
        matches!(self, Self::Histogram | Self::GaugeHistogram)
    }
}

/// What one series says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Of a counter, gauge or untyped metric.
    Number(f64),
    Summary(Box<Summary>),
    Histogram(Box<Histogram>),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// Quantile and its value.
    pub(crate) quantiles: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    /// Upper bound and cumulative count.
    pub(crate) buckets: Vec<(f64, f64)>,
    /// A native histogram as it came; only protobuf can carry it.
    pub(crate) native: Option<Box<proto::Histogram>>,
}

/// One label of a pushed series.
pub(crate) type Label<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What the body of one push says, in whatever format it came.
#[derive(Debug, Default)]
pub(crate) struct Body<'a> {
    pub(crate) families: Vec<PushedFamily<'a>>,
    /// The labels of all series, one after the other.
    pub(crate) labels: Vec<Label<'a>>,
    /// Whether any sample has a timestamp, which is not allowed.
    pub(crate) timestamps: bool,
}

#[derive(Debug)]
pub(crate) struct PushedFamily<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) help: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) series: Vec<PushedSeries>,
}

#[derive(Debug)]
pub(crate) struct PushedSeries {
    /// Where in [`Body::labels`] its labels are.
    pub(crate) labels: Range<usize>,
    pub(crate) value: Value,
}

/// A family of one group as it is kept: compact, and never changed once made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Family {
    pub(crate) kind: Kind,
    pub(crate) help: Option<Box<str>>,
    /// When it was pushed, in nanoseconds since 1970.
    pub(crate) pushed: u64,
    /// The joined labels of all series, one after the other.
    labels: Box<str>,
    series: Box<[Series]>,
}

#[derive(Debug, Clone, PartialEq)]
struct Series {
    /// Where its labels end; they begin where those of the series before end.
    end: usize,
    value: Value,
}

impl Family {
    /// Makes a family of series, each with its joined labels, and sorts them.
    pub(crate) fn new(
        kind: Kind,
        help: Option<Box<str>>,
        pushed: u64,
        joined: &str,
        mut series: Vec<(Range<usize>, Value)>,
    ) -> Self {
        if !series.is_sorted_by(|a, b| joined[a.0.clone()] <= joined[b.0.clone()]) {
            series.sort_by(|a, b| joined[a.0.clone()].cmp(&joined[b.0.clone()]));
        }
        let mut labels = String::with_capacity(series.iter().map(|(range, _)| range.len()).sum());
        let mut kept = Vec::with_capacity(series.len());
        for (range, value) in series {
            labels.push_str(&joined[range]);
            kept.push(Series { end: labels.len(), value });
        }
        Self { kind, help, pushed, labels: labels.into(), series: kept.into() }
    }

    /// Lists the series: joined labels and value, sorted by labels.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&str, &Value)> {
        let mut start = 0;
        self.series.iter().map(move |series| {
            let labels = &self.labels[start..series.end];
            start = series.end;
            (labels, &series.value)
        })
    }

    /// Returns the number of series.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Tells whether both have the same series, whatever their values.
    pub(crate) fn has_series_of(&self, other: &Self) -> bool {
        self.labels == other.labels && self.series.len() == other.series.len()
    }

    /// Estimates the bytes it takes, without what the allocator adds.
    pub(crate) fn bytes(&self) -> usize {
        let values = self.series.iter().map(|series| match &series.value {
            Value::Number(_) => 0,
            Value::Summary(summary) => {
                size_of::<Summary>() + size_of_val(summary.quantiles.as_slice())
            }
            Value::Histogram(histogram) => {
                let native = histogram.native.as_deref().map_or(0, prost::Message::encoded_len);
                size_of::<Histogram>() + size_of_val(histogram.buckets.as_slice()) + 2 * native
            }
        });
        let help = self.help.as_deref().map_or(0, str::len);
        size_of::<Self>()
            + self.labels.len()
            + size_of_val(&*self.series)
            + help
            + values.sum::<usize>()
    }
}
