//! Which names are taken, and how one is written for those who know the classic ones alone.
//!
//! Classic names are letters, digits and underscores; since 2024 Prometheus takes any UTF-8 text.
//! The ways to write such a name with classic letters are those of the proposal "UTF-8 support for
//! metric and label names".

use std::borrow::Cow;

use crate::labels::{is_metric_name, is_name};

/// What names a push may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Classic ones.
    Classic,
    /// Any text that is not empty.
    Utf8,
}

impl Names {
    pub(crate) fn is_metric(self, name: &str) -> bool {
        match self {
            Self::Classic => is_metric_name(name),
            Self::Utf8 => !name.is_empty(),
        }
    }

    pub(crate) fn is_label(self, name: &str) -> bool {
        match self {
            Self::Classic => is_name(name),
            Self::Utf8 => !name.is_empty(),
        }
    }
}

/// How names that are not classic are written in a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Escaping {
    /// As they are, in quotes.
    Utf8,
    /// With an underscore for every other letter.
    #[default]
    Underscores,
    /// With `_dot_` for a dot and two underscores for every other letter.
    Dots,
    /// With the number of every other letter, so that the name can be told again.
    Values,
}

impl Escaping {
    /// Reads the parameter `escaping` of a content type.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Some(match text {
            "allow-utf-8" => Self::Utf8,
            "underscores" => Self::Underscores,
            "dots" => Self::Dots,
            "values" => Self::Values,
            _ => return None,
        })
    }

    /// Returns the same text.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// Writes the name of a metric.
    pub(crate) fn metric(self, name: &str) -> Cow<'_, str> {
        match is_metric_name(name) {
            true => Cow::Borrowed(name),
            false => self.write(name, |letter| letter == ':'),
        }
    }

    /// Writes the name of a label.
    pub(crate) fn label(self, name: &str) -> Cow<'_, str> {
        match is_name(name) {
            true => Cow::Borrowed(name),
            false => self.write(name, |_| false),
        }
    }

    fn write(self, name: &str, more: impl Fn(char) -> bool) -> Cow<'_, str> {
        if self == Self::Utf8 {
            return Cow::Borrowed(name);
        }
        let mut out = String::with_capacity(name.len() + 8);
        if self == Self::Values {
            out.push_str("U__");
        }
        for (at, letter) in name.char_indices() {
            let first = at == 0 && letter.is_ascii_digit();
            let classic = letter.is_ascii_alphanumeric() && !first || more(letter);
            match (self, letter) {
                (Self::Underscores, '_') => out.push('_'),
                (Self::Dots | Self::Values, '_') => out.push_str("__"),
                _ if classic => out.push(letter),
                (Self::Underscores, _) => out.push('_'),
                (Self::Dots, '.') => out.push_str("_dot_"),
                (Self::Values, _) => out.push_str(&format!("_{:x}_", u32::from(letter))),
                _ => out.push_str("__"),
            }
        }
        Cow::Owned(out)
    }
}

/// Reads a name that was written by [`Escaping::Values`]; what is none stays as it is.
pub(crate) fn unescape(name: &str) -> Cow<'_, str> {
    name.strip_prefix("U__").and_then(values).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn values(mut rest: &str) -> Option<String> {
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (number, after) = rest.split_once('_')?;
        rest = after;
        if number.is_empty() {
            out.push('_');
            continue;
        }
        let is_number = number.len() <= 6 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
        let letter = u32::from_str_radix(number, 16).ok().filter(|_| is_number);
        out.push(char::from_u32(letter?)?);
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_written_as_the_reference_does() {
        let all = [Escaping::Underscores, Escaping::Dots, Escaping::Values];
        for (name, want) in [
            ("no_change", ["no_change"; 3]),
            ("a:b", ["a:b"; 3]),
            (
                "mysystem.prod.west",
                ["mysystem_prod_west", "mysystem_dot_prod_dot_west", {
                    "U__mysystem_2e_prod_2e_west"
                }],
            ),
            ("a.b_c", ["a_b_c", "a_dot_b__c", "U__a_2e_b__c"]),
            ("1a.b", ["_a_b", "__a_dot_b", "U___31_a_2e_b"]),
            ("花火", ["__", "____", "U___82b1__706b_"]),
            ("label with 😱", ["label_with__", "label__with____", "U__label_20_with_20__1f631_"]),
        ] {
            assert_eq!(all.map(|it| it.metric(name).into_owned()), want, "{name}");
            assert_eq!(Escaping::Utf8.metric(name), name);
        }
        assert_eq!(Escaping::Underscores.label("a:b"), "a_b");
    }

    #[test]
    fn what_is_no_written_name_stays() {
        for (name, want) in [
            ("U__foo_2e_bar", "foo.bar"),
            ("U__foo_2E_bar", "foo.bar"),
            ("U___55_____", "U__"),
            ("U__", ""),
            ("U__in_xxx_valid", "U__in_xxx_valid"),
            ("U__a_", "U__a_"),
            ("U__a_2e", "U__a_2e"),
            ("U__a_d900_", "U__a_d900_"),
            ("U__a_110000_", "U__a_110000_"),
            ("U__a_0000001_", "U__a_0000001_"),
            ("U_a_2e_b", "U_a_2e_b"),
            ("foo_2e_bar", "foo_2e_bar"),
        ] {
            assert_eq!(unescape(name), want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn values_come_back(name in "\\PC+") {
            prop_assume!(!is_metric_name(&name));
            let written = Escaping::Values.metric(&name);
            prop_assert!(is_metric_name(&written));
            prop_assert_eq!(unescape(&written), name.as_str());
        }
    }
}
