//! The parameters of a request: names that are known, each at most once.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

/// What needs no escape in a path or a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Holds the parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads what follows the question mark.
    ///
    /// # Errors
    /// What is wrong, for the client.
    pub(super) fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self::default()) };
        // Only for its reader of queries.
        let url =
            Url::parse(&format!("http://table/?{text}")).map_err(|error| error.to_string())?;
        let mut read = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            if !known.contains(&&*name) {
                return Err(format!("there is no `{name}`: use {}", known.join(", ")));
            }
            if read.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(format!("`{name}` is there twice"));
            }
        }
        Ok(Self(read))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Reads a yes or no; it is a no where it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(other) => Err(format!("`{name}` is {other:?}: use true or false")),
        }
    }

    /// Reads a whole number from 1 to `most`.
    pub(super) fn number(&self, name: &str, unset: usize, most: usize) -> Result<usize, String> {
        let Some(text) = self.text(name) else { return Ok(unset) };
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| format!("`{name}` is {text:?}: use a whole number from 1 to {most}"))
    }
}

/// Escapes a key or value for an address.
pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
