//! What text a message's key is in the table. Pure.
//!
//! An entry's key is text, and an Avro string in the changelog. An Avro string stands for itself, so
//! does plain text, and any other bytes are written as `0x` and hexadecimal digits. Plain text that
//! looks like that is written so too, so that no two of them are one.

use nubium_registry::SchemaId;
use nubium_registry::wire;
use std::borrow::Cow;
use std::fmt::Write as _;

/// How the bytes of a key spell its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// An Avro string, framed with this schema id.
    Avro(u32),
    /// The bytes as they are.
    Plain,
}

/// Finds the text that a key's bytes stand for.
pub fn text_of(bytes: &[u8]) -> (Cow<'_, str>, Spelling) {
    if let Ok((id, body)) = wire::split(bytes)
        && let Ok(text) = wire::read_string(body)
    {
        return (text.into(), Spelling::Avro(id.0));
    }
    let plain = std::str::from_utf8(bytes).ok();
    let plain = plain.filter(|text| !text.contains(char::is_control) && bytes_of(text).is_none());
    (plain.map_or_else(|| hexadecimal(bytes).into(), Cow::Borrowed), Spelling::Plain)
}

/// Writes the key that has this text and spelling.
pub fn put(text: &str, spelling: Spelling, out: &mut Vec<u8>) {
    match spelling {
        Spelling::Avro(id) => {
            wire::put_header(SchemaId(id), out);
            wire::put_string(text, out);
        }
        Spelling::Plain => match bytes_of(text) {
            Some(bytes) => out.extend(bytes),
            None => out.extend_from_slice(text.as_bytes()),
        },
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Reads what [`hexadecimal`] writes, and nothing else.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn avro(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put(text, Spelling::Avro(7), &mut out);
        out
    }

    #[test]
    fn every_key_has_a_text() {
        for (bytes, text, spelling) in [
            (avro("ada"), "ada", Spelling::Avro(7)),
            (avro("0xff"), "0xff", Spelling::Avro(7)),
            (b"plain text".to_vec(), "plain text", Spelling::Plain),
            ("größer".into(), "größer", Spelling::Plain),
            (vec![], "", Spelling::Plain),
            (vec![0, 0, 0, 0, 0, 0, 0, 5], "0x0000000000000005", Spelling::Plain),
            (vec![0xff, 0x0a], "0xff0a", Spelling::Plain),
            (b"0xff".to_vec(), "0x30786666", Spelling::Plain),
            (b"0xFF".to_vec(), "0xFF", Spelling::Plain),
            (b"0xf".to_vec(), "0xf", Spelling::Plain),
            (b"0x".to_vec(), "0x3078", Spelling::Plain),
        ] {
            assert_eq!(text_of(&bytes), (text.into(), spelling), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back_from_their_text(bytes: Vec<u8>) {
            let (text, spelling) = text_of(&bytes);
            let mut out = Vec::new();
            put(&text, spelling, &mut out);
            prop_assert_eq!(out, bytes);
        }
    }
}
