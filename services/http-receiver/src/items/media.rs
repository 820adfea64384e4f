//! What the headers say about a body: how it is written, and how it is packed.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// Says how a body is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// `application/json`: one item, or an array of items.
    Json,
    /// `application/x-ndjson`: an item a line.
    Lines,
    /// `application/x-www-form-urlencoded`: one item.
    Form,
    /// `multipart/form-data` with this boundary: one item.
    Multipart(String),
}

impl Format {
    /// Says whether all that it can carry is text, so that numbers are read from text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Form | Self::Multipart(_))
    }
}

/// Says how a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// As RFC 1952 says.
    Gzip,
    /// As RFC 1950 says, or without its frame, as some senders do.
    Deflate,
}

/// Names the content types that are taken, for answers.
pub const ACCEPTED: &str = "application/json, application/x-ndjson, \
    application/x-www-form-urlencoded or multipart/form-data";
/// Names the content codings that are taken, for the header `Accept-Encoding` of an answer.
pub const CODINGS: &str = "gzip, deflate, identity";

/// Labels of UTF-8 in the Encoding Standard of the WHATWG, and US-ASCII, which is a part of it.
const UTF_8: [&str; 8] = [
    "utf-8",
    "utf8",
    "unicode-1-1-utf-8",
    "unicode11utf8",
    "unicode20utf8",
    "x-unicode20utf8",
    "us-ascii",
    "ascii",
];

/// Reads the format from a request's headers.
///
/// # Errors
/// What is wrong with them, for the client.
pub fn format(headers: &HeaderMap) -> Result<Format, String> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Err(format!("there is no Content-Type; send {ACCEPTED}"));
    };
    let given = given.to_str().unwrap_or_default();
    let (kind, charset) = kind_and_charset(given);
    if let Some(charset) = charset.filter(|charset| !is_utf_8(charset)) {
        return Err(format!("the charset {charset:?} is not supported; send UTF-8"));
    }
    match kind.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Format::Lines),
        "application/x-www-form-urlencoded" => Ok(Format::Form),
        "multipart/form-data" => {
            multer::parse_boundary(given).map(Format::Multipart).map_err(|error| {
                format!("the content type {given:?} does not name its boundary: {error}")
            })
        }
        kind if is_json(kind) => Ok(Format::Json),
        _ => Err(format!("the content type {kind:?} is not supported; send {ACCEPTED}")),
    }
}

/// Reads the content coding from a request's headers.
///
/// # Errors
/// It is not supported; for the client.
pub fn coding(headers: &HeaderMap) -> Result<Coding, String> {
    let mut found = Coding::Identity;
    for given in headers.get_all(CONTENT_ENCODING) {
        for name in given.to_str().unwrap_or("?").split(',').map(str::trim) {
            let next = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                _ => {
                    return Err(format!(
                        "the content encoding {name:?} is not supported; {CODINGS} are"
                    ));
                }
            };
            if found != Coding::Identity {
                return Err("a body that is packed twice is not supported; pack it once".into());
            }
            found = next;
        }
    }
    Ok(found)
}

/// Takes the kind of content, in lower case, and its charset from a content type.
pub(super) fn kind_and_charset(text: &str) -> (String, Option<&str>) {
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    });
    (kind, charset)
}

/// Says whether a charset's label means UTF-8.
pub(super) fn is_utf_8(label: &str) -> bool {
    UTF_8.iter().any(|known| known.eq_ignore_ascii_case(label))
}

/// Says whether a kind of content, in lower case, is JSON.
pub(super) fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn the_format_is_read_from_the_headers() {
        for (given, expected) in [
            ("application/json", Format::Json),
            ("Application/JSON; charset=\"UTF-8\"", Format::Json),
            ("application/cloudevents+json", Format::Json),
            ("application/x-ndjson", Format::Lines),
            ("application/x-www-form-urlencoded", Format::Form),
            ("multipart/form-data; boundary=x-y", Format::Multipart("x-y".into())),
            ("Multipart/Form-Data; charset=utf-8; boundary=\"a b\"", {
                Format::Multipart("a b".into())
            }),
        ] {
            assert_eq!(format(&headers(&[("content-type", given)])), Ok(expected), "{given}");
        }
        for (bad, word) in [
            (vec![], "no Content-Type"),
            (vec![("content-type", "text/plain")], "text/plain"),
            (vec![("content-type", "application/json; charset=latin1")], "latin1"),
            (vec![("content-type", "application/json; charset=utf-16")], "utf-16"),
            (vec![("content-type", "application/json; charset=")], "\"\""),
            (vec![("content-type", "multipart/form-data")], "boundary"),
            (vec![("content-type", "multipart/mixed; boundary=x")], "multipart/mixed"),
        ] {
            let error = format(&headers(&bad)).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn every_label_of_utf_8_is_taken() {
        for label in ["utf8", "UTF8", "utf-8", "\"utf8\"", "'UTF-8'", "x-unicode20utf8", "US-ASCII"]
        {
            let given = format!("application/json; Charset={label}");
            assert_eq!(format(&headers(&[("content-type", &given)])), Ok(Format::Json), "{label}");
        }
    }

    #[test]
    fn the_coding_is_read_from_the_headers() {
        let coded = |text| coding(&headers(&[("content-encoding", text)]));
        assert_eq!(coding(&headers(&[])), Ok(Coding::Identity));
        for (given, expected) in [
            ("identity", Coding::Identity),
            ("", Coding::Identity),
            ("GZIP", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("deflate", Coding::Deflate),
            ("identity, gzip", Coding::Gzip),
        ] {
            assert_eq!(coded(given), Ok(expected), "{given}");
        }
        assert!(coded("br").unwrap_err().contains("\"br\""));
        assert!(coded("gzip, gzip").unwrap_err().contains("twice"));
    }
}
