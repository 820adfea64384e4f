//! Whether a push agrees with itself and with what is held. Looks at the push and the indexes
//! alone, never at all that is held.

use std::collections::HashMap;

use super::compile::Compiled;
use super::state::{Mode, State};
use super::{FAILURE_TIME, PUSH_TIME};
use crate::family::Kind;
use crate::limits::PushError;
use crate::path::GroupKey;

const SUFFIXES: [&str; 3] = ["_count", "_sum", "_bucket"];

impl State {
    /// Checks types, names that collide, and series that are there already.
    pub(super) fn check(
        &self,
        key: &GroupKey,
        families: &Compiled,
        mode: Mode,
    ) -> Result<(), PushError> {
        if self.is_of_another_key(key) {
            return Err(PushError::Inconsistent(format!(
                "collected metric {PUSH_TIME:?} {{ {} }} was collected before with the same name \
                 and label values: a group without the label \"instance\" and one with an empty \
                 one cannot both exist",
                key.series()
            )));
        }
        let after = After { state: self, key, mode, new: families.iter().map(kind_of).collect() };
        for (name, family) in families {
            after.check_type(name, family.kind)?;
            after.check_suffixes(name, family.kind)?;
        }
        self.check_series(key, families)
    }

    /// Tells whether another group has the same series: its key differs by an empty `instance`.
    pub(super) fn is_of_another_key(&self, key: &GroupKey) -> bool {
        self.groups.get(key.series()).is_some_and(|group| *group.key != *key)
    }

    fn check_series(&self, key: &GroupKey, families: &Compiled) -> Result<(), PushError> {
        let group = self.groups.get(key.series());
        let id = group.map(|group| group.id);
        for (name, family) in families {
            let held = group.and_then(|group| group.families.get(name));
            let mut before = None;
            // Sorted, so a series that comes twice comes in a row.
            for (labels, _) in family.series() {
                if before.replace(labels) == Some(labels) {
                    return Err(twice(name, labels));
                }
            }
            if held.is_some_and(|held| held.has_series_of(family)) {
                continue;
            }
            for (labels, _) in family.series() {
                let holder = self.series.get(&self.hashes.hash_one((&**name, labels)));
                // One of the same group is of the family that is replaced.
                if holder.is_some_and(|holder| Some(*holder) != id) {
                    return Err(twice(name, labels));
                }
            }
        }
        Ok(())
    }
}

fn kind_of(entry: &(std::sync::Arc<str>, std::sync::Arc<crate::family::Family>)) -> (&str, Kind) {
    (&entry.0, entry.1.kind)
}

fn twice(name: &str, labels: &str) -> PushError {
    PushError::Inconsistent(format!(
        "collected metric {name:?} {{ {labels} }} was collected before with the same name and \
         label values"
    ))
}

/// The names and types as they will be once the push is applied.
struct After<'a> {
    state: &'a State,
    key: &'a GroupKey,
    mode: Mode,
    new: HashMap<&'a str, Kind>,
}

impl After<'_> {
    /// Returns the type that a name has apart from the push.
    fn held(&self, name: &str) -> Option<Kind> {
        if let Some(kind) = self.state.own.get(name) {
            return Some(*kind);
        }
        if matches!(name, PUSH_TIME | FAILURE_TIME) {
            return Some(Kind::Gauge);
        }
        let named = self.state.names.get(name)?;
        let goes = self.mode == Mode::Replace || self.new.contains_key(name);
        let only_here = named.members.len() == 1 && named.members.contains_key(self.key.series());
        (!(goes && only_here)).then_some(named.kind)
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        self.held(name).or_else(|| self.new.get(name).copied())
    }

    fn check_type(&self, name: &str, kind: Kind) -> Result<(), PushError> {
        let Some(held) = self.held(name).filter(|held| *held != kind) else { return Ok(()) };
        let (has, should) = (kind.upper(), held.upper());
        Err(PushError::Inconsistent(match self.state.own.contains_key(name) {
            true => {
                format!("gathered metric family {name} has type {has} but should have {should}")
            }
            false => format!(
                "collected metric {name:?} {{ {} }} is not a {should}: it is pushed as {has} and \
                 held as {should} for another group",
                self.key.series()
            ),
        }))
    }

    /// Checks that no series of one family has the name of another's.
    fn check_suffixes(&self, name: &str, kind: Kind) -> Result<(), PushError> {
        for suffix in SUFFIXES {
            let Some(base) = name.strip_suffix(suffix) else { continue };
            let what = match self.kind(base) {
                Some(Kind::Summary) if suffix != "_bucket" => "summary",
                Some(kind) if kind.is_histogram() => "histogram",
                _ => continue,
            };
            return Err(PushError::Inconsistent(format!(
                "collected metric named {name:?} collides with previously collected {what} named \
                 {base:?}"
            )));
        }
        let taken = match kind {
            Kind::Summary => &SUFFIXES[..2],
            kind if kind.is_histogram() => &SUFFIXES[..],
            _ => &[],
        };
        for suffix in taken {
            let other = format!("{name}{suffix}");
            if self.kind(&other).is_some() {
                return Err(PushError::Inconsistent(format!(
                    "collected histogram or summary named {name:?} collides with previously \
                     collected metric named {other:?}"
                )));
            }
        }
        Ok(())
    }
}
