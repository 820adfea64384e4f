//! Takes a request's body apart into items.

mod form;
mod json;
mod media;
mod multipart;

use bytes::Bytes;
use nubium_avro::json::Exact;
use nubium_host::text::bytes_without_mark;
use serde_json::Value as Json;

pub use media::{ACCEPTED, CODINGS, Coding, Format, coding, format};

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

/// Hands every item of a body to `each`, one at a time, so that a body of many items is never held
/// as values; `exact` keeps the digits of decimals. Answers whether the body is a list; then an
/// item's pointer begins with its index.
///
/// # Errors
/// When the body is not what its format says; items before that place were handed out.
pub fn each(
    format: &Format,
    body: &Bytes,
    most: usize,
    exact: Exact<'_>,
    each: &mut dyn FnMut(usize, bool, Json),
) -> Result<bool, BodyError> {
    let plain = bytes_without_mark(body);
    let form = match format {
        Format::Json => return json::document(plain, most, exact, each),
        Format::Lines => return json::lines(plain, most, exact, each).map(|()| true),
        Format::Form => form::read(plain)?,
        Format::Multipart(boundary) => multipart::read(body, boundary)?,
    };
    each(0, false, form);
    Ok(false)
}

#[cfg(test)]
mod tests;
