//! How a table's rows lie in the store. Pure.
//!
//! A store key is one byte and the key's text, so that the empty key has a place and keys sort by
//! their text. LMDB takes at most 511 bytes; of a longer text come the first 400 bytes, a byte that
//! no text contains, and the text's SHA-256, and the row holds the whole text. A row is a tag, the
//! changelog record's timestamp and key schema id, and the JSON text.

use sha2::{Digest, Sha256};

/// First byte of every store key.
const KEY_TAG: u8 = 1;
/// The longest text that is a store key by itself.
const LONGEST: usize = 510;
/// How much of a longer text is in its store key.
const KEPT: usize = 400;
/// Stands in no UTF-8 text.
const LONG_MARK: u8 = 0xff;
/// First byte of a row.
const PLAIN: u8 = 1;
/// First byte of a row that holds its key.
const LONG: u8 = 2;
const HEAD: usize = 1 + 8 + 4;

/// One row as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The key's text where the store key does not hold it.
    pub long_key: Option<&'a str>,
    /// The JSON text.
    pub text: &'a str,
    /// Milliseconds since the epoch, of the changelog record.
    pub timestamp: i64,
    /// The schema id that the changelog record's key was framed with.
    pub key_id: u32,
}

/// Appends the store key of a text.
pub fn put_key(text: &str, out: &mut Vec<u8>) {
    out.push(KEY_TAG);
    if text.len() <= LONGEST {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.extend_from_slice(&text.as_bytes()[..KEPT]);
    out.push(LONG_MARK);
    out.extend_from_slice(&Sha256::digest(text.as_bytes()));
}

/// The store key of a text.
pub fn key(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + text.len().min(LONGEST));
    put_key(text, &mut out);
    out
}

/// The store key that all keys with this prefix begin with, as far as it reaches.
pub(crate) fn key_prefix(text: &str) -> Vec<u8> {
    let mut out = vec![KEY_TAG];
    out.extend_from_slice(&text.as_bytes()[..text.len().min(KEPT)]);
    out
}

/// Reads a key's text back; `row` is asked for long ones. `None`: the store is damaged.
pub(crate) fn key_text<'a>(store_key: &'a [u8], row: &Row<'a>) -> Option<&'a str> {
    match row.long_key {
        Some(text) => Some(text),
        None => std::str::from_utf8(store_key.strip_prefix(&[KEY_TAG])?).ok(),
    }
}

/// Appends a row.
pub(crate) fn put_row(key: &str, text: &str, timestamp: i64, key_id: u32, out: &mut Vec<u8>) {
    let long = key.len() > LONGEST;
    out.push(if long { LONG } else { PLAIN });
    out.extend_from_slice(&timestamp.to_le_bytes());
    out.extend_from_slice(&key_id.to_le_bytes());
    if long {
        out.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(key.as_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

/// Reads a row. `None`: the store is damaged.
pub(crate) fn read(bytes: &[u8]) -> Option<Row<'_>> {
    let (head, mut rest) = bytes.split_at_checked(HEAD)?;
    let timestamp = i64::from_le_bytes(head[1..9].try_into().ok()?);
    let key_id = u32::from_le_bytes(head[9..13].try_into().ok()?);
    let long_key = match head[0] {
        PLAIN => None,
        LONG => {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (key, after) = after.split_at_checked(length)?;
            rest = after;
            Some(std::str::from_utf8(key).ok()?)
        }
        _ => return None,
    };
    let text = std::str::from_utf8(rest).ok()?;
    Some(Row { long_key, text, timestamp, key_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(text: &str) -> String {
        let (mut row, store_key) = (Vec::new(), key(text));
        put_row(text, "{}", 7, 9, &mut row);
        assert!(store_key.len() <= 511 && !store_key.is_empty());
        let read = read(&row).unwrap();
        assert_eq!((read.text, read.timestamp, read.key_id), ("{}", 7, 9));
        key_text(&store_key, &read).unwrap().to_owned()
    }

    #[test]
    fn keys_of_any_length_come_back() {
        for length in [0, 1, 509, 510, 511, 512, 10_000] {
            let text = "k".repeat(length);
            assert_eq!(back(&text), text);
        }
    }

    #[test]
    fn long_keys_that_differ_late_are_different_keys() {
        let (a, b) = ("k".repeat(600) + "a", "k".repeat(600) + "b");
        assert_ne!(key(&a), key(&b));
    }

    #[test]
    fn damaged_rows_are_told() {
        let mut row = Vec::new();
        put_row(&"k".repeat(600), "text", 0, 0, &mut row);
        for cut in 0..600 {
            assert_eq!(read(&row[..cut]), None, "{cut}");
        }
        assert_eq!(read(&[0; 40]), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_short_ones_sort_as_they_do(a: String, b: String) {
            prop_assert_eq!(back(&a), a.as_str());
            if a.len() <= LONGEST && b.len() <= LONGEST {
                prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
            }
            prop_assert!(key(&a).starts_with(&key_prefix("")));
        }
    }
}
