//! Compares a new schema with the earlier versions of its subject.

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde::{Deserialize, Serialize};

/// Names the compatibility levels of the Confluent registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Level {
    None,
    #[default]
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Level {
    /// Tells why `new` may not follow `earlier` (oldest first), or that it may.
    pub(super) fn check(self, new: &Schema, earlier: &[&Schema]) -> Result<(), String> {
        let (backward, forward, all) = match self {
            Self::None => return Ok(()),
            Self::Backward => (true, false, false),
            Self::BackwardTransitive => (true, false, true),
            Self::Forward => (false, true, false),
            Self::ForwardTransitive => (false, true, true),
            Self::Full => (true, true, false),
            Self::FullTransitive => (true, true, true),
        };
        let compared = if all { earlier } else { &earlier[earlier.len().saturating_sub(1)..] };
        for old in compared {
            if backward {
                SchemaCompatibility::can_read(old, new).map_err(|error| error.to_string())?;
            }
            if forward {
                SchemaCompatibility::can_read(new, old).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}
