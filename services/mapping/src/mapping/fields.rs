//! Sets of top-level fields: what a program reads and what it changes.

use std::collections::BTreeSet;

use vrl::path::{OwnedSegment, OwnedValuePath};

/// Names top-level fields of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fields {
    /// Any of them.
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Fields {
    /// Collects the first segment of each path; the root, or an index, stands for all.
    pub(super) fn of<'a>(paths: impl Iterator<Item = &'a OwnedValuePath>) -> Self {
        let mut names = BTreeSet::new();
        for path in paths {
            match path.segments.first() {
                Some(OwnedSegment::Field(name)) => names.insert(name.to_string()),
                Some(OwnedSegment::Index(_)) | None => return Self::All,
            };
        }
        Self::Only(names)
    }

    /// Tells whether `name` is among them.
    pub(super) fn contain(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }

    /// Joins two sets.
    pub(super) fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(mut names), Self::Only(more)) => {
                names.extend(more.iter().cloned());
                Self::Only(names)
            }
            _ => Self::All,
        }
    }

    /// Gives the names, where they are known one by one.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::All => None,
            Self::Only(names) => Some(names),
        }
        .into_iter()
        .flatten()
        .map(String::as_str)
    }
}
