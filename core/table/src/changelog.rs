//! The changelog's records: what they mean, and how they are written. Pure.
//!
//! The format is nubium-utils': key and value are Avro `"string"` in the registry's wire format,
//! the value being JSON text. A key is always framed with the schema id that is registered for the
//! changelog, whatever id the message's key had: compaction goes by the key's bytes, so one text
//! must have one spelling.

use super::json::{DELETED_JSON, is_deleted};
use nubium_config::DeleteMarker;
use nubium_registry::wire::{self, SchemaId};

/// What a changelog record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The key's text.
    pub key: &'a str,
    /// The schema id its bytes are framed with.
    pub key_id: u32,
    /// The JSON text; `None` deletes the entry.
    pub text: Option<&'a str>,
}

/// Says why a record was not written by a table app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoChange {
    /// It has no key.
    #[error("it has no key")]
    Keyless,
    /// Its key is no Avro string in the registry's framing.
    #[error("its key: {0}")]
    Key(wire::WireError),
    /// Its value is no Avro string in the registry's framing.
    #[error("its value: {0}")]
    Value(wire::WireError),
}

/// Reads a record.
///
/// # Errors
/// What is wrong with it: something else than a table app wrote it.
pub fn read_change<'a>(
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
) -> Result<Change<'a>, NoChange> {
    let (id, body) = wire::split(key.ok_or(NoChange::Keyless)?).map_err(NoChange::Key)?;
    let key = wire::read_string(body).map_err(NoChange::Key)?;
    let text = match value {
        None => None,
        Some(bytes) => {
            let (_, body) = wire::split(bytes).map_err(NoChange::Value)?;
            let text = wire::read_string(body).map_err(NoChange::Value)?;
            (!is_deleted(text)).then_some(text)
        }
    };
    Ok(Change { key, key_id: id.0, text })
}

/// The schema ids that a changelog's records are framed with, and how deletes are written.
#[derive(Debug, Clone, Copy)]
pub struct Framing {
    /// Of keys: Avro strings.
    pub key: SchemaId,
    /// Of values: Avro strings that hold JSON.
    pub value: SchemaId,
    /// What stands for a deleted entry.
    pub marker: DeleteMarker,
}

impl Framing {
    /// Appends a record's key.
    pub fn put_key(&self, key: &str, out: &mut Vec<u8>) {
        wire::put_header(self.key, out);
        wire::put_string(key, out);
    }

    /// Appends a key as it was framed with another id.
    pub fn put_key_as(&self, id: u32, key: &str, out: &mut Vec<u8>) {
        wire::put_header(SchemaId(id), out);
        wire::put_string(key, out);
    }

    /// Appends a record's value; `false`: it has none, it is a tombstone.
    pub fn put_value(&self, text: Option<&str>, out: &mut Vec<u8>) -> bool {
        let text = match (text, self.marker) {
            (Some(text), _) => text,
            (None, DeleteMarker::Original) => DELETED_JSON,
            (None, DeleteMarker::Tombstone) => return false,
        };
        wire::put_header(self.value, out);
        wire::put_string(text, out);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMING: Framing =
        Framing { key: SchemaId(1), value: SchemaId(2), marker: DeleteMarker::Tombstone };

    fn framed(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        FRAMING.put_value(Some(text), &mut out);
        out
    }

    #[test]
    fn a_record_says_what_to_keep_or_delete() {
        let key = framed("ada");
        for (value, text) in [
            (Some(framed("{}")), Some("{}")),
            (Some(framed("-DELETED-")), None),
            (Some(framed("\"-DELETED-\"")), None),
            (None, None),
        ] {
            let change = read_change(Some(&key), value.as_deref()).unwrap();
            assert_eq!(change, Change { key: "ada", key_id: 2, text });
        }
    }

    #[test]
    fn what_is_no_table_record_is_named() {
        let said = |key: Option<&[u8]>, value: Option<&[u8]>| {
            read_change(key, value).unwrap_err().to_string()
        };
        let key = framed("ada");
        assert!(said(None, None).contains("no key"));
        assert!(said(Some(b"ada"), None).contains("its key"));
        assert!(said(Some(&key), Some(b"{}")).contains("its value"));
    }

    #[test]
    fn deletes_are_written_as_the_setting_says() {
        let original = Framing { marker: DeleteMarker::Original, ..FRAMING };
        let mut out = Vec::new();
        assert!(!FRAMING.put_value(None, &mut out));
        assert!(out.is_empty());
        assert!(original.put_value(None, &mut out));
        // nubium-utils to 2.5 looks at what the JSON says, and from 3.0 on reads JSON alone.
        assert_eq!(out, framed("\"-DELETED-\""));
    }
}
