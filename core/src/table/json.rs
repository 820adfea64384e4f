//! Values to JSON text and back, as the original writes them: objects and arrays dumped, a bare
//! string as it is. Pure.

use super::TableError;
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value};

/// What the original writes for a deleted entry.
pub(crate) const DELETED: &str = "-DELETED-";

/// Writes a value's text.
///
/// A string is written as it is, unless it would be read as something else: `"5"` keeps its quotes.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Result<String, TableError> {
    let text =
        serde_json::to_string(value).map_err(|error| TableError::Encode(error.to_string()))?;
    if text.starts_with('"')
        && let Ok(bare) = serde_json::from_str::<String>(&text)
        && bare != DELETED
        && serde_json::from_str::<serde::de::IgnoredAny>(&bare).is_err()
    {
        return Ok(bare);
    }
    Ok(text)
}

/// Reads a text as `T`. A text that is no JSON is a bare string.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
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
    fn strings_are_bare_unless_they_would_read_as_something_else() {
        for (value, text) in [
            (json!({"count": 3}), r#"{"count":3}"#),
            (json!([1, "a"]), r#"[1,"a"]"#),
            (json!("done"), "done"),
            (json!(""), ""),
            (json!("5"), r#""5""#),
            (json!("null"), r#""null""#),
            (json!(DELETED), r#""-DELETED-""#),
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
        assert_eq!(read::<String>("17").unwrap(), "17", "asked for a string, it is one");
        let error = read::<std::collections::BTreeMap<String, i64>>(r#"{"a": "x"}"#).unwrap_err();
        assert!(error.to_string().contains("column"), "{error}");
    }

    proptest! {
        #[test]
        fn every_string_comes_back(text: String) {
            let written = write(&text).unwrap();
            prop_assert_ne!(&written, DELETED);
            prop_assert_eq!(read::<String>(&written).unwrap(), text);
        }
    }
}
