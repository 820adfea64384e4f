//! Takes a request's body apart into items.

mod form;
mod json;

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value as Json;

/// Says how a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`: one item, or an array of items.
    Json,
    /// `application/x-ndjson`: an item a line.
    Lines,
    /// `application/x-www-form-urlencoded`: one item.
    Form,
}

/// Names the content types that are taken, for answers.
pub const ACCEPTED: &str =
    "application/json, application/x-ndjson or application/x-www-form-urlencoded";

/// Says why a body cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// It is not what its content type says; with the item's pointer.
    Syntax {
        /// Where.
        pointer: String,
        /// Why.
        reason: String,
    },
    /// It has more items than one request may have.
    TooMany,
}

impl BodyError {
    fn at(pointer: impl Into<String>, reason: impl ToString) -> Self {
        Self::Syntax { pointer: pointer.into(), reason: reason.to_string() }
    }
}

/// Reads the format from a request's headers.
///
/// # Errors
/// What is wrong with them, for the client.
pub fn format(headers: &HeaderMap) -> Result<Format, String> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(encoding) = text(CONTENT_ENCODING)
        && !encoding.eq_ignore_ascii_case("identity")
    {
        return Err(format!("the content encoding {encoding:?} is not taken; send it plain"));
    }
    let Some(given) = text(CONTENT_TYPE) else {
        return Err(format!("there is no Content-Type; send {ACCEPTED}"));
    };
    let mut parts = given.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    if let Some(charset) = charset
        && !charset.eq_ignore_ascii_case("utf-8")
    {
        return Err(format!("the charset {charset:?} is not taken; send UTF-8"));
    }
    match kind.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Format::Lines),
        "application/x-www-form-urlencoded" => Ok(Format::Form),
        "application/json" => Ok(Format::Json),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Format::Json),
        _ => Err(format!("the content type {kind:?} is not taken; send {ACCEPTED}")),
    }
}

/// Hands every item of a body to `each`, one at a time, so that a body of many items is never held
/// as values. Answers whether the body is a list; then an item's pointer begins with its index.
///
/// # Errors
/// When the body is not what its format says; items before that place were handed out.
pub fn each(
    format: Format,
    body: &[u8],
    most: usize,
    each: &mut dyn FnMut(usize, bool, Json),
) -> Result<bool, BodyError> {
    match format {
        Format::Json => json::document(body, most, each),
        Format::Lines => json::lines(body, most, each).map(|()| true),
        Format::Form => {
            each(0, false, form::read(body)?);
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests;
