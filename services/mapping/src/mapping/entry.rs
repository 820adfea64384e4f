//! The table's entry of a message's key: what a program sees of it, and what it leaves.
//!
//! A table service's program has the previous entry at hand as `%previous`, null at first, and the
//! time of its last change as `%previous_timestamp`. What `.` is at the end becomes the entry,
//! unless the program assigns `%store`: another value, or null, which deletes the entry.
//! `%keep = true` leaves it as it is, and so does `abort`.

use chrono::DateTime;
use vrl::value::{Kind, ObjectMap, Value};

use super::MappingError;
use super::program::Program;
use crate::avro::{Schema, json, kind as avro_kind};

/// What programs read and assign beside the names that every message has, and whether they can
/// assign it.
pub(super) const NAMES: [(&str, bool); 4] =
    [("previous", false), ("previous_timestamp", false), ("store", true), ("keep", true)];

/// Describes a table's entries.
#[derive(Debug, Clone, Default)]
pub struct EntryType {
    /// Type of the entries; `None`: any JSON, in which times are text.
    pub schema: Option<&'static Schema>,
}

/// Holds the entry of a message's key as it is before the message.
#[derive(Debug, Clone)]
pub struct Previous {
    /// The entry, as JSON.
    pub value: serde_json::Value,
    /// When it was last changed, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
}

/// Says what becomes of the entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// It stays as it is.
    Keep,
    /// It is this from now on: JSON, in the form of its schema if it has one.
    Put(serde_json::Value),
    /// There is none any more.
    Delete,
}

impl EntryType {
    /// Adds the types of `%previous` and `%previous_timestamp` to those of `%`.
    pub(super) fn extend(&self, envelope: Kind) -> Kind {
        let previous = match &self.schema {
            Some(schema) => avro_kind::of(schema, schema.root()).or_null(),
            None => Kind::json(),
        };
        let Some(fields) = envelope.as_object() else { return envelope };
        let fields = fields.clone().with_known("previous", previous);
        Kind::object(fields.with_known("previous_timestamp", Kind::timestamp().or_null()))
    }

    /// Says why a program's entry never fits its type; `None` when it may.
    pub(super) fn conflict(
        &self,
        program: &Program,
        value: &Kind,
        envelope: &Kind,
    ) -> Option<String> {
        let schema = self.schema?;
        let path = vrl::path::OwnedValuePath::single_field("store");
        let given = match program.sets_store {
            true => envelope.at_path(&path),
            false => value.clone(),
        };
        // Null deletes, and what is assigned on one path only is not there on the others.
        if given.contains_null() || given.contains_undefined() {
            return None;
        }
        avro_kind::conflict(schema, schema.root(), &given)
    }

    /// Puts the previous entry into `%`, as far as the program reads it.
    pub(super) fn build(
        &self,
        program: &Program,
        previous: Option<Previous>,
        metadata: &mut ObjectMap,
    ) -> Result<(), MappingError> {
        if program.envelope.contain("previous_timestamp") {
            let time = previous.as_ref().and_then(|previous| previous.timestamp_ms);
            let instant = time.and_then(DateTime::from_timestamp_millis);
            let value = instant.map_or(Value::Null, Value::Timestamp);
            metadata.insert("previous_timestamp".into(), value);
        }
        if program.envelope.contain("previous") {
            let value = match (previous, self.schema) {
                (None, _) => Value::Null,
                (Some(previous), None) => Value::from(previous.value),
                (Some(previous), Some(schema)) => {
                    json::value(schema, schema.root(), &previous.value)
                        .map_err(MappingError::Previous)?
                }
            };
            metadata.insert("previous".into(), value);
        }
        Ok(())
    }

    /// Finds what the program left as the entry.
    pub(super) fn take(
        &self,
        metadata: &mut ObjectMap,
        value: Value,
    ) -> Result<Stored, MappingError> {
        match metadata.get("keep") {
            None | Some(Value::Null | Value::Boolean(false)) => {}
            Some(Value::Boolean(true)) => return Ok(Stored::Keep),
            Some(other) => {
                let what = format!("`%keep` is {}, not true or false", other.kind_str());
                return Err(MappingError::Envelope(what));
            }
        }
        let stored = match metadata.remove("store") {
            Some(Value::Null) => return Ok(Stored::Delete),
            Some(stored) => stored,
            None => value,
        };
        let stored = match self.schema {
            Some(schema) => {
                json::of(schema, schema.root(), &stored).map_err(MappingError::Stored)?
            }
            None => serde_json::to_value(stored)
                .map_err(|error| MappingError::Envelope(format!("`%store`: {error}")))?,
        };
        Ok(Stored::Put(stored))
    }
}
