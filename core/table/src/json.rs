//! Values to JSON text and back. Pure.
//!
//! nubium-utils to 2.5 writes objects and arrays as JSON and a string bare; from 3.0 on (fluvii) a
//! string has its quotes. Both read the quotes, and the later one reads nothing else.

use super::TableError;
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value};

/// What the original writes for a deleted entry: bare to 2.5, and as JSON from 3.0 on.
const DELETED: [&str; 2] = ["-DELETED-", DELETED_JSON];
/// The one that all of them understand.
pub(crate) const DELETED_JSON: &str = "\"-DELETED-\"";

/// Says whether a text is the original's mark of a deleted entry.
#[must_use]
pub fn is_deleted(text: &str) -> bool {
    DELETED.contains(&text)
}

/// Writes a value's text. A string that would read as a delete is spelled otherwise.
pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<String, TableError> {
    let text =
        serde_json::to_string(value).map_err(|error| TableError::Encode(error.to_string()))?;
    Ok(if is_deleted(&text) { text.replacen('-', "\\u002d", 1) } else { text })
}

/// Reads a text as `T`. A text that is no JSON is a bare string.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let bare: value::StrDeserializer<'_, value::Error> = text.into_deserializer();
    T::deserialize(bare).map_err(|_| error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn strings_have_quotes_and_none_reads_as_a_delete() {
        for (value, text) in [
            (json!({"count": 3}), r#"{"count":3}"#),
            (json!([1, "a"]), r#"[1,"a"]"#),
            (json!("done"), r#""done""#),
            (json!(""), r#""""#),
            (json!("5"), r#""5""#),
            (json!("null"), r#""null""#),
            (json!("-DELETED-"), r#""\u002dDELETED-""#),
            (json!(5), "5"),
            (json!(null), "null"),
        ] {
            let written = write(&value).unwrap();
            assert_eq!(written, text);
            assert_eq!(read::<Value>(text).unwrap(), value);
        }
    }

    #[test]
    fn what_python_dumps_is_read() {
        assert_eq!(read::<Value>(r#"{"a": 1, "b": "\u00e9"}"#).unwrap(), json!({"a": 1, "b": "é"}));
        assert_eq!(read::<String>("2024-01-01").unwrap(), "2024-01-01");
        assert_eq!(read::<String>("").unwrap(), "");
        assert_eq!(read::<String>("17").unwrap(), "17", "asked for a string, it is one");
        let error = read::<std::collections::BTreeMap<String, i64>>(r#"{"a": "x"}"#).unwrap_err();
        assert!(error.to_string().contains("column"), "{error}");
    }

    proptest! {
        #[test]
        fn every_string_comes_back(text: String) {
            let written = write(&text).unwrap();
            prop_assert!(!is_deleted(&written));
            prop_assert_eq!(read::<String>(&written).unwrap(), text);
        }
    }
}
