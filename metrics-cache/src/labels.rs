//! Label pairs as one string: `job="a",path="C:\\x"`, sorted by name, values escaped.
//!
//! That is what a scrape writes, so it is kept that way: one allocation for a family's labels,
//! comparable and hashable as it is. [`pairs`] takes it apart again.

use std::borrow::Cow;

/// Name of the label that every series has.
pub(crate) const INSTANCE: &str = "instance";

/// Tells whether this is a label name of the classic format, `[a-zA-Z_][a-zA-Z0-9_]*`.
pub(crate) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Tells whether this is a metric name of the classic format: a label name that may have colons.
pub(crate) fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    bytes.next().is_some_and(|first| word(first) && !first.is_ascii_digit()) && bytes.all(word)
}

/// Appends one pair, with a comma before it unless it is the first since `start`.
pub(crate) fn append(out: &mut String, start: usize, name: &str, value: &str) {
    if out.len() > start {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    if value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        for letter in value.chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
    } else {
        out.push_str(value);
    }
    out.push('"');
}

/// Returns all pairs as one string.
pub(crate) fn join<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        append(&mut out, 0, name, value);
    }
    out
}

/// Borrows owned pairs.
pub(crate) fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Takes apart what [`append`] made. Anything else ends the iteration early.
pub(crate) fn pairs(joined: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = joined;
    std::iter::from_fn(move || {
        let (name, after) = rest.trim_start_matches(',').split_once("=\"")?;
        let mut escaped = false;
        let end = after.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        rest = &after[end + 1..];
        Some((name, unescape(&after[..end])))
    })
}

fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pairs_come_back(values in prop::collection::vec(".*", 0..5)) {
            let names: Vec<String> = (0..values.len()).map(|n| format!("l{n}")).collect();
            let given = || names.iter().map(String::as_str).zip(values.iter().map(String::as_str));
            let joined = join(given());
            let owned = |(name, value): (&str, Cow<'_, str>)| (name.to_owned(), value.into_owned());
            let back: Vec<_> = pairs(&joined).map(owned).collect();
            let want: Vec<_> = given().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(back, want);
        }
    }

    #[test]
    fn knows_names() {
        assert!(
            is_name("a_1") && is_name("_") && !is_name("1a") && !is_name("") && !is_name("a:b")
        );
        assert!(is_metric_name(":a:b1") && !is_metric_name("1a") && !is_metric_name("a-b"));
    }
}
