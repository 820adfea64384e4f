//! What a changelog says the entries are, to hold a store against. Pure.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

/// Collects what a partition's records say, and compares a store with it.
///
/// A store has every record before its position, and may have later ones. Values are kept as
/// hashes: a table can be larger than the memory of who looks at it.
pub struct Latest {
    position: i64,
    hasher: RandomState,
    keys: HashMap<String, Said>,
}

/// What was said about one key.
#[derive(Debug, Default)]
struct Said {
    /// By the last record before the position.
    before: Option<Value>,
    /// By the records from there on.
    later: Vec<Value>,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    offset: i64,
    /// `None`: deleted.
    hash: Option<u64>,
}

/// Says how a store and its changelog differ about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The store has another value than the record at this offset.
    Value {
        /// Key.
        key: String,
        /// Offset of the record.
        offset: i64,
    },
    /// The store lacks the entry that the record at this offset wrote.
    Missing {
        /// Key.
        key: String,
        /// Offset of the record.
        offset: i64,
    },
    /// The store has an entry that was deleted at this offset, or of which there is no record.
    Extra {
        /// Key.
        key: String,
        /// Offset of the record that deleted it.
        offset: Option<i64>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { key, offset } => {
                write!(f, "{key:?}: the store has another value than offset {offset}")
            }
            Self::Missing { key, offset } => {
                write!(f, "{key:?}: the store lacks what offset {offset} wrote")
            }
            Self::Extra { key, offset: Some(offset) } => {
                write!(f, "{key:?}: the store has what offset {offset} deleted")
            }
            Self::Extra { key, offset: None } => {
                write!(f, "{key:?}: the store has it, the changelog has no record of it")
            }
        }
    }
}

impl Latest {
    /// Begins with no records; the store has everything before `position`.
    pub fn new(position: i64) -> Self {
        Self { position, hasher: RandomState::new(), keys: HashMap::new() }
    }

    /// Takes the next record, in the order of their offsets.
    pub fn take(&mut self, offset: i64, key: &str, text: Option<&str>) {
        let value = Value { offset, hash: text.map(|text| self.hasher.hash_one(text)) };
        if !self.keys.contains_key(key) {
            self.keys.insert(key.to_owned(), Said::default());
        }
        let Some(said) = self.keys.get_mut(key) else { return };
        match offset < self.position {
            true => said.before = Some(value),
            false => said.later.push(value),
        }
    }

    /// Compares a row of the store.
    pub fn compare(&mut self, key: &str, text: &str) -> Option<Difference> {
        let Some(said) = self.keys.remove(key) else {
            return Some(Difference::Extra { key: key.to_owned(), offset: None });
        };
        let hash = Some(self.hasher.hash_one(text));
        let mut possible = said.before.iter().chain(&said.later);
        if possible.any(|value| value.hash == hash) {
            return None;
        }
        let key = key.to_owned();
        // Something was said, else the key would not be there.
        let value = said.before.or(said.later.first().copied())?;
        Some(match value.hash {
            Some(_) => Difference::Value { key, offset: value.offset },
            None => Difference::Extra { key, offset: Some(value.offset) },
        })
    }

    /// Gives what the store lacks, once all of its rows were compared.
    pub fn missing(self) -> impl Iterator<Item = Difference> {
        self.keys.into_iter().filter_map(|(key, said)| {
            let Value { offset, hash } = said.before?;
            let deleted = hash.is_none() || said.later.iter().any(|value| value.hash.is_none());
            (!deleted).then_some(Difference::Missing { key, offset })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records at offsets 0, 1, …, of which the store has those before `position`; its rows; and
    /// what differs.
    fn differences(
        position: i64,
        records: &[(&str, Option<&str>)],
        rows: &[(&str, &str)],
    ) -> Vec<String> {
        let mut latest = Latest::new(position);
        for (offset, (key, text)) in (0..).zip(records) {
            latest.take(offset, key, *text);
        }
        let mut found: Vec<_> =
            rows.iter().filter_map(|(key, text)| latest.compare(key, text)).collect();
        found.extend(latest.missing());
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_store_that_has_the_latest_of_each_key_does_not_differ() {
        let records = [("a", Some("1")), ("b", Some("2")), ("a", Some("3")), ("b", None)];
        assert_eq!(differences(4, &records, &[("a", "3")]), [""; 0]);
        assert_eq!(differences(2, &records, &[("a", "1"), ("b", "2")]), [""; 0], "behind");
        assert_eq!(differences(2, &records, &[("a", "3")]), [""; 0], "with more than it says");
    }

    #[test]
    fn every_kind_of_difference_is_named_with_its_offset() {
        let records = [("a", Some("1")), ("b", Some("2")), ("c", Some("3")), ("c", None)];
        let rows = [("a", "other"), ("c", "3"), ("d", "4")];
        let wanted = [
            "\"a\": the store has another value than offset 0",
            "\"c\": the store has what offset 3 deleted",
            "\"d\": the store has it, the changelog has no record of it",
            "\"b\": the store lacks what offset 1 wrote",
        ];
        assert_eq!(differences(4, &records, &rows), wanted);
        let said = differences(3, &[("a", Some("1")), ("a", Some("2"))], &[("a", "1")]);
        assert_eq!(said, ["\"a\": the store has another value than offset 1"]);
    }
}
