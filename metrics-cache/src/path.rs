//! The grouping key: what a push's path says about the group it is for.
//!
//! `/metrics/job/<job>{/<label>/<value>}`; `@base64` after a name means that its value is base64 in
//! the URL alphabet, which is how a value with a slash, or an empty one, gets into a path. Where
//! UTF-8 names are taken, `U__` before a name means that its letters are written as numbers.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::labels;
use crate::names::{self, Names};

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
pub(crate) fn parse(path: &str, names: Names) -> Option<Result<GroupKey, String>> {
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
    (!job.is_empty()).then(|| key(job, encoded, more, names))
}

fn key(job: &str, encoded: bool, more: &str, names: Names) -> Result<GroupKey, String> {
    let job = match encoded {
        true => decode(job)
            .map_err(|why| format!("invalid base64 encoding in job name {job:?}: {why}"))?,
        false => job.to_owned(),
    };
    let mut found = split(more, names)?;
    if job.is_empty() {
        return Err("job name is required".into());
    }
    found.push(("job".into(), job));
    Ok(GroupKey::new(found))
}

fn split(path: &str, names: Names) -> Result<Vec<(String, String)>, String> {
    if path.len() <= 1 {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = path[1..].split('/').collect();
    if !parts.len().is_multiple_of(2) {
        return Err(format!("odd number of components in label string {path:?}"));
    }
    parts.chunks_exact(2).map(|pair| label(pair[0], pair[1], names)).collect()
}

fn label(name: &str, value: &str, names: Names) -> Result<(String, String), String> {
    let bare = name.strip_suffix(SUFFIX).unwrap_or(name);
    let read = match names {
        Names::Classic => Cow::Borrowed(bare),
        Names::Utf8 => names::unescape(bare),
    };
    if !names.is_label(&read) || bare.starts_with("__") || read.starts_with("__") {
        return Err(format!("improper label name {bare:?}"));
    }
    let value = match bare.len() == name.len() {
        true => value.to_owned(),
        false => decode(value)
            .map_err(|why| format!("invalid base64 encoding for label {bare}={value:?}: {why}"))?,
    };
    Ok((read.into_owned(), value))
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
        match parse(path, Names::Classic) {
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
            let problem = parse(path, Names::Classic).expect(path).expect_err(path);
            assert!(problem.contains(want), "{path}: {problem}");
        }
        assert!(
            ["job", "job/", "jobs/a", ""].iter().all(|path| parse(path, Names::Utf8).is_none())
        );
    }

    #[test]
    fn names_written_as_numbers_are_read_where_utf_8_is_taken() {
        let read = |path: &str, names| parse(path, names).expect(path).map(|key| key.series);
        for (path, classic, utf_8) in [
            ("U__foo_2e_bar/baz", Some(r#"U__foo_2e_bar="baz""#), Some(r#""foo.bar"="baz""#)),
            ("U__a_2f_b@base64/YS9i", Some(r#"U__a_2f_b="a/b""#), Some(r#""a/b"="a/b""#)),
            ("U__in_xxx_valid/1", Some(r#"U__in_xxx_valid="1""#), Some(r#"U__in_xxx_valid="1""#)),
            ("foo.bar/1", None, Some(r#""foo.bar"="1""#)),
            ("U__/1", Some(r#"U__="1""#), None),
            ("U______x/1", Some(r#"U______x="1""#), None),
            ("__x/1", None, None),
        ] {
            let path = format!("job/a/{path}");
            for (names, want) in [(Names::Classic, classic), (Names::Utf8, utf_8)] {
                let got = read(&path, names).ok();
                let has = |want: &str| got.as_deref().is_some_and(|got| got.contains(want));
                assert!(want.map_or(got.is_none(), has), "{path} {names:?}: {got:?}");
            }
        }
    }
}
