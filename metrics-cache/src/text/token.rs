//! Names and quoted texts of the text format.

use std::borrow::Cow;

use super::parse::{Parsed, Parser};
use crate::names::Names;

impl<'a> Parser<'a> {
    /// Takes a name; an empty one is none.
    pub(super) fn name(&mut self, colons: bool) -> Parsed<Cow<'a, str>> {
        match self.here()? {
            b'"' if self.names == Names::Utf8 => {
                self.at += 1;
                self.quoted("name")
            }
            byte if byte.is_ascii_digit() => Ok(Cow::Borrowed("")),
            _ => {
                let fits = |byte: u8| {
                    byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':')
                };
                self.take_while(fits).map(Cow::Borrowed)
            }
        }
    }

    /// Reads text, of what is named, and the quote that ends it.
    pub(super) fn quoted(&mut self, what: &str) -> Parsed<Cow<'a, str>> {
        let start = self.at;
        loop {
            self.take_while(|byte| !matches!(byte, b'"' | b'\\' | b'\n'))?;
            match self.here()? {
                b'"' => break,
                b'\n' => {
                    let value = &self.text[start..self.at];
                    let problem = format!("{what} {value:?} contains unescaped new-line");
                    return Err(self.error(problem));
                }
                _ => {
                    // Skip what is escaped, a quote perhaps. It may be the last byte.
                    self.at += 1;
                    self.here()?;
                    self.at += 1;
                }
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        self.unescape(raw)
    }

    pub(super) fn unescape(&self, raw: &'a str) -> Parsed<Cow<'a, str>> {
        if !raw.contains('\\') {
            return Ok(Cow::Borrowed(raw));
        }
        let mut out = String::with_capacity(raw.len());
        let mut letters = raw.chars();
        while let Some(letter) = letters.next() {
            if letter != '\\' {
                out.push(letter);
                continue;
            }
            match letters.next() {
                Some('n') => out.push('\n'),
                Some(same @ ('\\' | '"')) => out.push(same),
                Some(other) => {
                    return Err(self.error(format!("invalid escape sequence '\\{other}'")));
                }
                None => {}
            }
        }
        Ok(Cow::Owned(out))
    }
}
