//! Writes families in text format 0.0.4 and in OpenMetrics 1.0.

use crate::family::{Family, Histogram, Kind, Summary, Value};
use crate::labels::{self, is_metric_name};
use crate::names::Escaping;
use crate::number;

/// Which text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Text format 0.0.4.
    Classic,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// Writes the HELP and TYPE lines of a name in text format 0.0.4.
pub(crate) fn header(out: &mut Vec<u8>, name: &str, kind: Kind, help: Option<&str>) {
    write_header(out, Dialect::Classic, name, kind.text(), help);
}

/// Writes a name, with what comes after it, in quotes if it is not classic.
fn put_name(out: &mut Vec<u8>, name: &str, suffix: &str) {
    if is_metric_name(name) {
        return line(out, &[name, suffix]);
    }
    let mut quoted = String::with_capacity(name.len() + suffix.len() + 2);
    labels::quote(&mut quoted, &format!("{name}{suffix}"));
    out.extend_from_slice(quoted.as_bytes());
}

/// Writes a name and the beginning of its labels: a name that is not classic is one of them.
fn open_braces(out: &mut Vec<u8>, name: &str, suffix: &str, labels: &str) {
    match (is_metric_name(name), labels.is_empty()) {
        (true, _) => line(out, &[name, suffix, "{", labels]),
        (false, empty) => {
            out.push(b'{');
            put_name(out, name, suffix);
            line(out, &[if empty { "" } else { "," }, labels]);
        }
    }
}

/// Writes the HELP and TYPE lines of a name in OpenMetrics. `is_taken` tells whether there is a
/// family of that name.
pub(crate) fn open_header(
    out: &mut Vec<u8>,
    name: &str,
    kind: Kind,
    help: Option<&str>,
    is_taken: impl Fn(&str) -> bool,
) {
    let (name, kind) = open_metrics(name, kind, is_taken);
    write_header(out, Dialect::OpenMetrics, name, kind, help);
}

fn write_header(out: &mut Vec<u8>, dialect: Dialect, name: &str, kind: &str, help: Option<&str>) {
    if let Some(help) = help {
        line(out, &["# HELP "]);
        put_name(out, name, "");
        out.push(b' ');
        for byte in help.bytes() {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'"' if dialect == Dialect::OpenMetrics => out.extend_from_slice(b"\\\""),
                other => out.push(other),
            }
        }
        out.push(b'\n');
    }
    line(out, &["# TYPE "]);
    put_name(out, name, "");
    line(out, &[" ", kind, "\n"]);
}

/// In OpenMetrics a counter's samples end in `_total` and its name does not; one that does not fit
/// is of type `unknown` there.
fn open_metrics(name: &str, kind: Kind, is_taken: impl Fn(&str) -> bool) -> (&str, &'static str) {
    let fits = |base: &&str| !base.is_empty() && !is_taken(base);
    match kind {
        Kind::Counter => match name.strip_suffix("_total").filter(fits) {
            Some(base) => (base, "counter"),
            None => (name, "unknown"),
        },
        Kind::Untyped => (name, "unknown"),
        Kind::GaugeHistogram => (name, "gaugehistogram"),
        other => (name, other.text()),
    }
}

fn line(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Writes the samples of a family under a name that is written as it shall be.
pub(crate) fn samples(
    out: &mut Vec<u8>,
    dialect: Dialect,
    name: &str,
    family: &Family,
    escaping: Escaping,
) {
    for (labels, value) in family.series() {
        let labels = &*labels::escaped(labels, escaping);
        match value {
            Value::Number(number) => sample(out, name, "", labels, *number),
            Value::Summary(it) => summary(out, dialect, name, labels, it),
            Value::Histogram(it) => histogram(out, dialect, name, labels, it, family.kind),
        }
    }
}

fn summary(out: &mut Vec<u8>, dialect: Dialect, name: &str, labels: &str, summary: &Summary) {
    for (quantile, value) in &summary.quantiles {
        bounded(out, dialect, (name, ""), labels, ("quantile", *quantile), *value);
    }
    sample(out, name, "_sum", labels, summary.sum);
    sample(out, name, "_count", labels, summary.count as f64);
}

fn histogram(
    out: &mut Vec<u8>,
    dialect: Dialect,
    name: &str,
    labels: &str,
    histogram: &Histogram,
    kind: Kind,
) {
    let mut infinite = false;
    for (bound, count) in &histogram.buckets {
        bounded(out, dialect, (name, "_bucket"), labels, ("le", *bound), *count);
        infinite |= *bound == f64::INFINITY;
    }
    if !infinite {
        let bound = ("le", f64::INFINITY);
        bounded(out, dialect, (name, "_bucket"), labels, bound, histogram.count);
    }
    let gauge = dialect == Dialect::OpenMetrics && kind == Kind::GaugeHistogram;
    let (sum, count) = if gauge { ("_gsum", "_gcount") } else { ("_sum", "_count") };
    sample(out, name, sum, labels, histogram.sum);
    sample(out, name, count, labels, histogram.count);
}

fn sample(out: &mut Vec<u8>, name: &str, suffix: &str, labels: &str, value: f64) {
    match labels.is_empty() && is_metric_name(name) {
        true => line(out, &[name, suffix, " "]),
        false => {
            open_braces(out, name, suffix, labels);
            line(out, &["} "]);
        }
    }
    number::write(out, value);
    out.push(b'\n');
}

/// Writes a sample with one more label, whose value is a number.
fn bounded(
    out: &mut Vec<u8>,
    dialect: Dialect,
    (name, suffix): (&str, &str),
    labels: &str,
    (label, bound): (&str, f64),
    value: f64,
) {
    let comma = if labels.is_empty() && is_metric_name(name) { "" } else { "," };
    open_braces(out, name, suffix, labels);
    line(out, &[comma, label, "=\""]);
    match dialect {
        Dialect::Classic => number::write(out, bound),
        Dialect::OpenMetrics => number::write_canonical(out, bound),
    }
    out.extend_from_slice(b"\"} ");
    number::write(out, value);
    out.push(b'\n');
}
