//! Reads Prometheus' text format 0.0.4 strictly, apart from the library that the product uses.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};

/// One line with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name, with a histogram's suffix.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// Reads an exposition.
///
/// # Errors
/// A line is no part of the format, a family is described twice or not before its samples, or a
/// series is there twice.
pub fn parse(text: &str) -> Result<Vec<Sample>> {
    ensure!(text.ends_with('\n'), "the last line is not ended");
    let (mut kinds, mut helps) = (BTreeMap::new(), BTreeSet::new());
    let (mut samples, mut series) = (Vec::new(), BTreeSet::new());
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), Some(_)) => {
                ensure!(helps.insert(name), "{name} has two helps");
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                ensure!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                ensure!(kinds.insert(name, kind).is_none(), "{name} has two types");
            }
            _ => {
                let sample = sample(line).with_context(|| line.to_owned())?;
                let family = |suffix: &str| {
                    let name = sample.name.strip_suffix(suffix)?;
                    kinds.get(name).filter(|kind| suffix.is_empty() || **kind == "histogram")
                };
                let described = ["", "_bucket", "_sum", "_count"]
                    .into_iter()
                    .any(|suffix| family(suffix).is_some());
                ensure!(described, "no type before: {line}");
                let labels: Vec<_> = sample.labels.clone().into_iter().collect();
                ensure!(series.insert((sample.name.clone(), labels)), "twice: {line}");
                samples.push(sample);
            }
        }
    }
    Ok(samples)
}

/// Adds up the samples of a name, by one of their labels.
pub fn sum_by(samples: &[Sample], name: &str, label: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.name == name) {
        let value = sample.labels.get(label).cloned().unwrap_or_default();
        *sums.entry(value).or_default() += sample.value;
    }
    sums
}

fn sample(line: &str) -> Result<Sample> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(end);
    ensure!(is_name(name), "{name:?} is no name");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, quoted) = rest.split_once("=\"").context("a label without a value")?;
            ensure!(is_name(label), "{label:?} is no label");
            let (value, after) = unquote(quoted)?;
            ensure!(labels.insert(label.to_owned(), value).is_none(), "label {label} is twice");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').context("no space before the value")?;
    let value = value.parse().with_context(|| format!("{value:?} is no number"))?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Reads up to the closing quote; returns the value and what follows.
fn unquote(text: &str) -> Result<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                other => bail!("an unknown escape: {other:?}"),
            },
            plain => value.push(plain),
        }
    }
    bail!("a label's value has no end")
}

fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !text.starts_with(|c: char| c.is_ascii_digit()) && !text.is_empty() && text.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a Some help.\n# TYPE a counter\na{x=\"1,}\",y=\"\\\"\"} 2\n\
                        a{x=\"2\",y=\"\"} 3\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\n\
                        h_sum 0.5\nh_count 1\n";

    #[test]
    fn reads_labels_values_and_histograms() {
        let samples = parse(GOOD).unwrap();
        assert_eq!(samples.len(), 5);
        assert_eq!(samples[0].labels["x"], "1,}");
        assert_eq!(samples[0].labels["y"], "\"");
        let sums = sum_by(&samples, "a", "x");
        assert_eq!(sums, BTreeMap::from([("1,}".to_owned(), 2.0), ("2".to_owned(), 3.0)]));
    }

    #[test]
    fn refuses_what_scrapers_refuse() {
        for bad in [
            "# TYPE a gauge\na 1",
            "a 1\n",
            "# TYPE a gauge\na\n",
            "# TYPE a gauge\na x\n",
            "# TYPE a gauge\na{b=\"1} 1\n",
            "# TYPE a gauge\na{b=1} 1\n",
            "# TYPE a gauge\na 1\na 2\n",
            "# TYPE a gauge\na_sum 1\n",
            "# TYPE a gauge\n# TYPE a gauge\n",
            "# TYPE 1a gauge\n1a 1\n",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
