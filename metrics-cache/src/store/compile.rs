//! Makes families to keep out of a pushed body. Needs no state, so no lock.

use std::ops::Range;
use std::sync::Arc;

use super::{FAILURE_TIME, PUSH_TIME};
use crate::family::{Body, Family, Kind, PushedFamily, Value};
use crate::labels;
use crate::limits::{Bound, PushError, PushLimits, refused};
use crate::path::GroupKey;

/// Families of one group, by name.
pub(crate) type Compiled = Vec<(Arc<str>, Arc<Family>)>;

/// Gives every series the labels of the group and an `instance`, sorts and joins its labels, and
/// checks them.
///
/// # Errors
/// Inconsistent for a label that may not be, or a sample with a timestamp; refused when a series
/// passes a bound.
pub(crate) fn compile(
    key: &GroupKey,
    body: Body<'_>,
    now: u64,
    limits: &PushLimits,
) -> Result<Compiled, PushError> {
    if body.timestamps {
        return Err(PushError::Inconsistent("pushed metrics must not have timestamps".into()));
    }
    let group: Vec<(&str, &str)> = labels::borrowed(key.labels());
    for (name, value) in &group {
        check_length("label", name, value, limits)?;
    }
    let Body { families, labels, .. } = body;
    let mut out = Vec::with_capacity(families.len());
    let (mut joined, mut pairs) = (String::new(), Vec::new());
    for family in families {
        // The cache's own; what a client says under these names is dropped.
        if matches!(family.name.as_ref(), PUSH_TIME | FAILURE_TIME) {
            continue;
        }
        joined.clear();
        let PushedFamily { name, help, kind, series } = family;
        let mut kept: Vec<(Range<usize>, Value)> = Vec::with_capacity(series.len());
        for one in series {
            pairs.clear();
            let own = labels[one.labels.clone()].iter().map(|(n, v)| (n.as_ref(), v.as_ref()));
            merge(own, &group, &mut pairs);
            check(&name, kind, &pairs, limits)?;
            let start = joined.len();
            for (label, value) in &pairs {
                labels::append(&mut joined, start, label, value);
            }
            kept.push((start..joined.len(), one.value));
        }
        let family = Family::new(kind, help.map(Into::into), now, &joined, kept);
        out.push((Arc::from(name.as_ref()), Arc::new(family)));
    }
    Ok(out)
}

/// Puts the group's labels over those of the series and adds `instance` where it is missing.
fn merge<'a>(
    own: impl Iterator<Item = (&'a str, &'a str)>,
    group: &[(&'a str, &'a str)],
    out: &mut Vec<(&'a str, &'a str)>,
) {
    out.extend(own.filter(|(name, _)| !group.iter().any(|(grouping, _)| grouping == name)));
    out.extend_from_slice(group);
    if !out.iter().any(|(name, _)| *name == labels::INSTANCE) {
        out.push((labels::INSTANCE, ""));
    }
    out.sort_unstable();
}

fn check(
    metric: &str,
    kind: Kind,
    pairs: &[(&str, &str)],
    limits: &PushLimits,
) -> Result<(), PushError> {
    let wrong = |what: String| {
        let labels = labels::join(pairs.iter().copied());
        Err(PushError::Inconsistent(format!("collected metric {metric:?} {{ {labels} }} {what}")))
    };
    for (at, (name, value)) in pairs.iter().enumerate() {
        if at > 0 && pairs[at - 1].0 == *name {
            return wrong(format!("has two or more labels with the same name: {name}"));
        }
        if !limits.names.is_label(name) || name.starts_with("__") {
            return wrong(format!("has a label with an invalid name: {name}"));
        }
        let reserved = (kind == Kind::Summary && *name == "quantile")
            || (kind.is_histogram() && *name == "le");
        if reserved {
            return wrong(format!("must not have an explicit {name:?} label"));
        }
        check_length(metric, name, value, limits)?;
    }
    if pairs.len() > limits.labels {
        let what = format!("labels of metric {metric:?}");
        return Err(refused(Bound::Labels, &what, pairs.len(), limits.labels));
    }
    Ok(())
}

fn check_length(
    metric: &str,
    name: &str,
    value: &str,
    limits: &PushLimits,
) -> Result<(), PushError> {
    if name.len() > limits.label_name {
        let start: String = name.chars().take(20).collect();
        let what = format!("bytes of the label name \"{start}…\" of {metric:?}");
        return Err(refused(Bound::LabelName, &what, name.len(), limits.label_name));
    }
    if value.len() > limits.label_value {
        let what = format!("bytes of the value of label {name:?} of {metric:?}");
        return Err(refused(Bound::LabelValue, &what, value.len(), limits.label_value));
    }
    Ok(())
}
