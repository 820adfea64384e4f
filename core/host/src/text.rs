//! Reads text that others have written: a byte order mark at its beginning is no part of it.
//!
//! Editors and exports of Windows put one first. RFC 8259 lets readers of JSON pass over it, and in
//! the first name, the first key or a password it would be an invisible letter.

use std::io;
use std::path::Path;

const MARK: &str = "\u{feff}";

/// Reads a text file, without its byte order mark.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = std::fs::read_to_string(path)?;
    if text.starts_with(MARK) {
        text.drain(..MARK.len());
    }
    Ok(text)
}

/// Gives text without its byte order mark.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// Gives bytes without the byte order mark of UTF-8.
#[must_use]
pub fn bytes_without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK.as_bytes()).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_passed_over_once_and_at_the_beginning_alone() {
        for (given, expected) in [
            ("\u{feff}{}", "{}"),
            ("{}", "{}"),
            ("\u{feff}", ""),
            ("\u{feff}\u{feff}a", "\u{feff}a"),
            ("a\u{feff}", "a\u{feff}"),
        ] {
            assert_eq!(without_mark(given), expected);
            assert_eq!(bytes_without_mark(given.as_bytes()), expected.as_bytes());
            let file = std::env::temp_dir().join(format!("nubium-text-{}", std::process::id()));
            std::fs::write(&file, given).expect("written");
            assert_eq!(read(&file).expect("read"), expected);
            std::fs::remove_file(&file).expect("removed");
        }
    }
}
