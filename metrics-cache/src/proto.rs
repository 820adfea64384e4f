//! Prometheus' protobuf messages (`io.prometheus.client`), and bodies of them, each behind its
//! length.
//!
//! Written by hand instead of generated: these few messages have not changed but by addition, and
//! a build needs no `protoc`. Field numbers are those of `metrics.proto` of client_model.

use std::borrow::Cow;

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::family::{self, Body, Kind, PushedSeries, Value};
use crate::labels;
use crate::limits::{Bound, PushError, PushLimits, refused};
use crate::names::Names;

/// The content type of such a body.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.google.protobuf; \
     proto=io.prometheus.client.MetricFamily; encoding=delimited";

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelPair {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) value: Option<String>,
}

/// A gauge, a counter or an untyped metric: all have one value in field 1.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Single {
    #[prost(double, optional, tag = "1")]
    pub(crate) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Quantile {
    #[prost(double, optional, tag = "1")]
    pub(crate) quantile: Option<f64>,
    #[prost(double, optional, tag = "2")]
    pub(crate) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Summary {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(crate) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) quantile: Vec<Quantile>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(crate) upper_bound: Option<f64>,
    #[prost(double, optional, tag = "4")]
    pub(crate) cumulative_count_float: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    pub(crate) offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) length: Option<u32>,
}

/// A histogram; all from `schema` on belongs to native histograms.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(crate) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) bucket: Vec<Bucket>,
    #[prost(double, optional, tag = "4")]
    pub(crate) sample_count_float: Option<f64>,
    #[prost(sint32, optional, tag = "5")]
    pub(crate) schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    pub(crate) zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub(crate) zero_count: Option<u64>,
    #[prost(double, optional, tag = "8")]
    pub(crate) zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) negative_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    pub(crate) negative_delta: Vec<i64>,
    #[prost(double, repeated, packed = "false", tag = "11")]
    pub(crate) negative_count: Vec<f64>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub(crate) positive_delta: Vec<i64>,
    #[prost(double, repeated, packed = "false", tag = "14")]
    pub(crate) positive_count: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(crate) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(crate) gauge: Option<Single>,
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Single>,
    #[prost(message, optional, boxed, tag = "4")]
    pub(crate) summary: Option<Box<Summary>>,
    #[prost(message, optional, tag = "5")]
    pub(crate) untyped: Option<Single>,
    #[prost(int64, optional, tag = "6")]
    pub(crate) timestamp_ms: Option<i64>,
    #[prost(message, optional, boxed, tag = "7")]
    pub(crate) histogram: Option<Box<Histogram>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) help: Option<String>,
    /// 0 counter, 1 gauge, 2 summary, 3 untyped, 4 histogram, 5 gauge histogram.
    #[prost(int32, optional, tag = "3")]
    pub(crate) kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metric: Vec<Metric>,
}

/// Reads a body of families, each after its length as a varint.
///
/// # Errors
/// Malformed when it is no protobuf or a name is impossible; inconsistent when a metric lacks the
/// value its type wants; refused when it holds too many series.
pub(crate) fn parse(mut body: &[u8], limits: &PushLimits) -> Result<Body<'static>, PushError> {
    count(body, limits)?;
    let mut out = Body::default();
    while !body.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut body)
            .map_err(|error| PushError::Malformed(format!("protobuf parsing error: {error}")))?;
        add(&mut out, family, limits.names)?;
    }
    // Of two families with one name the last counts, as everywhere.
    let mut seen = std::collections::HashSet::new();
    out.families.reverse();
    out.families.retain(|family| seen.insert(family.name.clone()) && !family.series.is_empty());
    out.families.reverse();
    Ok(out)
}

/// Refuses a body that would take far more memory than its size: an empty message is two bytes, and
/// what it is decoded into a hundred. Looks at the wire format alone; what is broken is for the
/// decoder to say.
fn count(mut body: &[u8], limits: &PushLimits) -> Result<(), PushError> {
    let mut counts = Counts::default();
    let size = body.len();
    while let Some(family) = length_delimited(&mut body) {
        counts.walk(Level::Family, family);
    }
    if counts.series > limits.series {
        let what = "series of this push";
        return Err(refused(Bound::Series, what, counts.series, limits.series));
    }
    match counts.parts > 1000 + size / SMALLEST_PART {
        true => Err(PushError::Malformed("protobuf parsing error: too many empty parts".into())),
        false => Ok(()),
    }
}

/// Labels, quantiles and buckets that say something are longer on average.
const SMALLEST_PART: usize = 6;

#[derive(Clone, Copy)]
enum Level {
    Family,
    Metric,
    Summary,
    Histogram,
}

#[derive(Default)]
struct Counts {
    series: usize,
    parts: usize,
}

impl Counts {
    fn walk(&mut self, level: Level, mut message: &[u8]) {
        while let Ok((tag, wire)) = decode_key(&mut message) {
            if wire != WireType::LengthDelimited {
                if skip_field(wire, tag, &mut message, DecodeContext::default()).is_err() {
                    return;
                }
                continue;
            }
            let Some(inner) = length_delimited(&mut message) else { return };
            match (level, tag) {
                (Level::Family, 4) => {
                    self.series += 1;
                    self.walk(Level::Metric, inner);
                }
                (Level::Metric, 4) => self.walk(Level::Summary, inner),
                (Level::Metric, 7) => self.walk(Level::Histogram, inner),
                (Level::Metric, 1) | (Level::Summary, 3) | (Level::Histogram, 3 | 9 | 12) => {
                    self.parts += 1;
                }
                _ => {}
            }
        }
    }
}

/// Splits off what a length stands before.
fn length_delimited<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(decode_varint(bytes).ok()?).ok()?;
    let (inner, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(inner)
}

/// Adds a family to a body.
pub(crate) fn add(
    out: &mut Body<'static>,
    family: MetricFamily,
    names: Names,
) -> Result<(), PushError> {
    let name = family.name.unwrap_or_default();
    if !names.is_metric(&name) {
        return Err(PushError::Malformed(format!("invalid metric name {name:?}")));
    }
    let kind = kind(family.kind.unwrap_or_default())
        .ok_or_else(|| PushError::Malformed(format!("unknown type of metric {name:?}")))?;
    let mut series = Vec::with_capacity(family.metric.len());
    for mut metric in family.metric {
        out.timestamps |= metric.timestamp_ms.is_some();
        let first = out.labels.len();
        for LabelPair { name: label, value } in std::mem::take(&mut metric.label) {
            out.labels.push((
                Cow::Owned(label.unwrap_or_default()),
                Cow::Owned(value.unwrap_or_default()),
            ));
        }
        let value = value(kind, metric).ok_or_else(|| {
            let upper = kind.upper();
            PushError::Inconsistent(format!("collected metric {name:?} is not a {upper}"))
        })?;
        series.push(PushedSeries { labels: first..out.labels.len(), value });
    }
    let name = Cow::Owned(name);
    out.families.push(family::PushedFamily { name, help: family.help, kind, series });
    Ok(())
}

fn kind(number: i32) -> Option<Kind> {
    Some(match number {
        0 => Kind::Counter,
        1 => Kind::Gauge,
        2 => Kind::Summary,
        3 => Kind::Untyped,
        4 => Kind::Histogram,
        5 => Kind::GaugeHistogram,
        _ => return None,
    })
}

fn value(kind: Kind, metric: Metric) -> Option<Value> {
    let number = |single: Option<Single>| Some(Value::Number(single?.value.unwrap_or_default()));
    match kind {
        Kind::Counter => number(metric.counter),
        Kind::Gauge => number(metric.gauge),
        Kind::Untyped => number(metric.untyped),
        Kind::Summary => metric.summary.map(|summary| {
            let pair = |q: &Quantile| (q.quantile.unwrap_or_default(), q.value.unwrap_or_default());
            Value::Summary(Box::new(family::Summary {
                count: summary.sample_count.unwrap_or_default(),
                sum: summary.sample_sum.unwrap_or_default(),
                quantiles: summary.quantile.iter().map(pair).collect(),
            }))
        }),
        Kind::Histogram | Kind::GaugeHistogram => metric.histogram.map(|it| histogram(*it)),
    }
}

/// Returns the count that is given as a float if it is, else the one given as an integer.
fn either(float: Option<f64>, integer: Option<u64>) -> f64 {
    float.filter(|value| *value != 0.0).unwrap_or(integer.unwrap_or_default() as f64)
}

fn histogram(mut histogram: Histogram) -> Value {
    let bucket = |b: &Bucket| {
        let count = either(b.cumulative_count_float, b.cumulative_count);
        (b.upper_bound.unwrap_or_default(), count)
    };
    let buckets = std::mem::take(&mut histogram.bucket).iter().map(bucket).collect();
    let is_native = histogram.schema.is_some();
    Value::Histogram(Box::new(family::Histogram {
        count: either(histogram.sample_count_float, histogram.sample_count),
        sum: histogram.sample_sum.unwrap_or_default(),
        buckets,
        native: is_native.then(|| Box::new(histogram)),
    }))
}

/// Makes the message of one series.
pub(crate) fn metric(kind: Kind, joined: &str, value: &Value) -> Metric {
    let label = labels::pairs(joined).map(|(name, value)| LabelPair {
        name: Some(name.into_owned()),
        value: Some(value.into_owned()),
    });
    let mut metric = Metric { label: label.collect(), ..Metric::default() };
    match value {
        Value::Number(number) => {
            let single = Some(Single { value: Some(*number) });
            match kind {
                Kind::Counter => metric.counter = single,
                Kind::Gauge => metric.gauge = single,
                _ => metric.untyped = single,
            }
        }
        Value::Summary(summary) => metric.summary = Some(Box::new(summary_message(summary))),
        Value::Histogram(histogram) => {
            metric.histogram = Some(Box::new(histogram_message(histogram)))
        }
    }
    metric
}

fn summary_message(summary: &family::Summary) -> Summary {
    let quantile = |(q, v): &(f64, f64)| Quantile { quantile: Some(*q), value: Some(*v) };
    Summary {
        sample_count: Some(summary.count),
        sample_sum: Some(summary.sum),
        quantile: summary.quantiles.iter().map(quantile).collect(),
    }
}

fn histogram_message(histogram: &family::Histogram) -> Histogram {
    let whole = histogram.count.fract() == 0.0
        && histogram.buckets.iter().all(|(_, count)| count.fract() == 0.0);
    let bucket = |(bound, count): &(f64, f64)| Bucket {
        upper_bound: Some(*bound),
        cumulative_count: whole.then_some(*count as u64),
        cumulative_count_float: (!whole).then_some(*count),
    };
    let bucket = histogram.buckets.iter().map(bucket).collect();
    match &histogram.native {
        Some(native) => Histogram { bucket, ..native.as_ref().clone() },
        None => Histogram {
            sample_count: whole.then_some(histogram.count as u64),
            sample_count_float: (!whole).then_some(histogram.count),
            sample_sum: Some(histogram.sum),
            bucket,
            ..Histogram::default()
        },
    }
}

/// Returns the number of a type.
pub(crate) fn number(kind: Kind) -> i32 {
    match kind {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Summary => 2,
        Kind::Untyped => 3,
        Kind::Histogram => 4,
        Kind::GaugeHistogram => 5,
    }
}
