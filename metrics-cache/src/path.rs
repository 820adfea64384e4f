//! The grouping key: what a push's path says about the group it is for.
//!
//! `/metrics/job/<job>{/<label>/<value>}`; `@base64` after a name means that its value is base64 in
//! the URL alphabet, which is how a value with a slash, or an empty one, gets into a path.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::labels;

const SUFFIX: &str = "@base64";

/// Go's decoder does not look at the bits that are left over, so this one does not either.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Names one group of metrics: all its labels, with `job` among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupKey {
    labels: Vec<(String, String)>,
    series: String,
}

impl GroupKey {
    /// Makes the key of these labels. Of two with the same name the last counts.
    pub(crate) fn new(given: impl IntoIterator<Item = (String, String)>) -> Self {
        let sorted: std::collections::BTreeMap<_, _> = given.into_iter().collect();
        let mut with_instance: std::collections::BTreeMap<&str, &str> =
            sorted.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        with_instance.entry(labels::INSTANCE).or_default();
        let series = labels::join(with_instance);
        Self { labels: sorted.into_iter().collect(), series }
    }

    /// Returns the labels, sorted by name.
    pub(crate) fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    /// Returns the labels of the group's own series (`push_time_seconds`), joined: the labels of
    /// the path and an `instance`, empty when the path has none.
    pub(crate) fn series(&self) -> &str {
        &self.series
    }
}

/// Reads the part of a decoded path after `/metrics/`, such as `job/a/zone/b`.
///
/// `None` when it is not the path of a group at all.
///
/// # Errors
/// What is wrong with it, as the body of a 400.
pub(crate) fn parse(path: &str) -> Option<Result<GroupKey, String>> {
    let (first, rest) = path.split_once('/')?;
    let encoded = match first {
        "job" => false,
        "job@base64" => true,
        _ => return None,
    };
    let (job, more) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    (!job.is_empty()).then(|| key(job, encoded, more))
}

fn key(job: &str, encoded: bool, more: &str) -> Result<GroupKey, String> {
    let job = match encoded {
        true => decode(job)
            .map_err(|why| format!("invalid base64 encoding in job name {job:?}: {why}"))?,
        false => job.to_owned(),
    };
    let mut found = split(more)?;
    if job.is_empty() {
        return Err("job name is required".into());
    }
    found.push(("job".into(), job));
    Ok(GroupKey::new(found))
}

fn split(path: &str) -> Result<Vec<(String, String)>, String> {
    if path.len() <= 1 {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = path[1..].split('/').collect();
    if !parts.len().is_multiple_of(2) {
        return Err(format!("odd number of components in label string {path:?}"));
    }
    parts.chunks_exact(2).map(|pair| label(pair[0], pair[1])).collect()
}

fn label(name: &str, value: &str) -> Result<(String, String), String> {
    let bare = name.strip_suffix(SUFFIX).unwrap_or(name);
    if !labels::is_name(bare) || bare.starts_with("__") {
        return Err(format!("improper label name {bare:?}"));
    }
    let value = match bare.len() == name.len() {
        true => value.to_owned(),
        false => decode(value)
            .map_err(|why| format!("invalid base64 encoding for label {bare}={value:?}: {why}"))?,
    };
    Ok((bare.to_owned(), value))
}

fn decode(value: &str) -> Result<String, String> {
    let bytes = BASE64.decode(value.trim_end_matches('=')).map_err(|error| match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            format!("illegal base64 data at input byte {at}")
        }
        other => other.to_string(),
    })?;
    String::from_utf8(bytes).map_err(|_| "the value is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(path: &str) -> String {
        match parse(path) {
            Some(Ok(key)) => key.series,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn reads_grouping_keys() {
        for (path, want) in [
            ("job/a", r#"instance="",job="a""#),
            ("job/a/", r#"instance="",job="a""#),
            ("job/a/b/", r#"b="",instance="",job="a""#),
            ("job/a/instance/i", r#"instance="i",job="a""#),
            ("job/a/job/z", r#"instance="",job="a""#),
            ("job@base64/YS9i", r#"instance="",job="a/b""#),
            ("job@base64/YQ==", r#"instance="",job="a""#),
            ("job/a/x@base64/=", r#"instance="",job="a",x="""#),
            ("job/a/x@base64/YQ/x/q", r#"instance="",job="a",x="q""#),
            ("job/\"\\\n", r#"instance="",job="\"\\\n""#),
        ] {
            assert_eq!(series(path), want, "{path}");
        }
    }

    #[test]
    fn refuses_what_is_no_grouping_key_and_says_why() {
        for (path, want) in [
            ("job/a/odd", r#"odd number of components in label string "/odd""#),
            ("job/a/__x/1", r#"improper label name "__x""#),
            ("job/a/1x/1", r#"improper label name "1x""#),
            ("job@base64/=", "job name is required"),
            ("job/a/x@base64/$$", "illegal base64 data at input byte 0"),
            ("job@base64/_w", "not UTF-8"),
        ] {
            let problem = parse(path).expect(path).expect_err(path);
            assert!(problem.contains(want), "{path}: {problem}");
        }
        assert!(["job", "job/", "jobs/a", ""].iter().all(|path| parse(path).is_none()));
    }
}
