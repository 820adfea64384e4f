//! Label pairs as one string: `job="a",path="C:\\x"`, sorted by name, values escaped.
//!
//! That is what a scrape writes, so it is kept that way: one allocation for a family's labels,
//! comparable and hashable as it is. [`pairs`] takes it apart again.

use std::borrow::Cow;

use crate::names::Escaping;

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
    match is_name(name) {
        true => out.push_str(name),
        false => quote(out, name),
    }
    out.push('=');
    quote(out, value);
}

/// Appends text in quotes.
pub(crate) fn quote(out: &mut String, value: &str) {
    out.push('"');
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
pub(crate) fn pairs(joined: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let mut rest = joined;
    std::iter::from_fn(move || {
        let start = rest.strip_prefix(',').unwrap_or(rest);
        let (name, after) = match start.strip_prefix('"') {
            Some(quoted) => {
                let (name, after) = quoted_text(quoted)?;
                (name, after.strip_prefix("=\"")?)
            }
            None => {
                let (name, after) = start.split_once("=\"")?;
                (Cow::Borrowed(name), after)
            }
        };
        let (value, after) = quoted_text(after)?;
        rest = after;
        Some((name, value))
    })
}

/// Takes text up to the quote that ends it, and what comes after.
fn quoted_text(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((unescape(&text[..end]), &text[end + 1..]))
}

/// Writes joined pairs with other names for those that are not classic.
pub(crate) fn escaped(joined: &str, escaping: Escaping) -> Cow<'_, str> {
    // Only a name in quotes stands after a comma or at the beginning, and few values look like it.
    let quoted = joined.starts_with('"') || joined.contains(",\"");
    if escaping == Escaping::Utf8 || !quoted {
        return Cow::Borrowed(joined);
    }
    let (mut out, mut seen) = (String::with_capacity(joined.len() + 16), Vec::new());
    let names: Vec<_> = pairs(joined).map(|(name, _)| name.into_owned()).collect();
    for (name, value) in pairs(joined) {
        let mut written = escaping.label(&name).into_owned();
        let taken = seen.contains(&written) || (written != name && names.contains(&written));
        if taken {
            // Two labels of one name would make the whole scrape invalid.
            written = Escaping::Values.label(&name).into_owned();
        }
        append(&mut out, 0, &written, &value);
        seen.push(written);
    }
    Cow::Owned(out)
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
            let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
                (name.into_owned(), value.into_owned())
            };
            let back: Vec<_> = pairs(&joined).map(owned).collect();
            let want: Vec<_> = given().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(back, want);
        }
    }

    proptest! {
        #[test]
        fn pairs_of_any_names_come_back(given in prop::collection::btree_map(".+", ".*", 0..5)) {
            let borrowed = || given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let joined = join(borrowed());
            let back: Vec<_> = pairs(&joined).collect();
            let back: Vec<_> = back.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
            prop_assert_eq!(back, borrowed().collect::<Vec<_>>());
        }
    }

    #[test]
    fn names_are_written_otherwise_and_never_twice() {
        let joined = join([("a.b", "1"), ("a_b", "2"), ("a-b", ",\""), ("é", "")]);
        assert_eq!(joined, "\"a.b\"=\"1\",a_b=\"2\",\"a-b\"=\",\\\"\",\"é\"=\"\"");
        let want = "U__a_2e_b=\"1\",a_b=\"2\",U__a_2d_b=\",\\\"\",_=\"\"";
        assert_eq!(escaped(&joined, Escaping::Underscores), want);
        assert_eq!(escaped(&joined, Escaping::Utf8), joined);
        let plain = "a=\",\",b=\"\"";
        assert_eq!(escaped(plain, Escaping::Values), plain);
    }

    #[test]
    fn knows_names() {
        assert!(
            is_name("a_1") && is_name("_") && !is_name("1a") && !is_name("") && !is_name("a:b")
        );
        assert!(is_metric_name(":a:b1") && !is_metric_name("1a") && !is_metric_name("a-b"));
    }
}
