//! Forms as browsers send them with files: RFC 7578.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{FutureExt as _, stream};
use multer::{Error, Field, Multipart};
use nubium_host::text::bytes_without_mark;
use serde_json::{Map, Value as Json};

use super::BodyError;
use super::form::{MOST_FIELDS, put};
use super::media::{is_json, is_utf_8, kind_and_charset};

/// Reads a form as one object: of a part its text, of one of JSON its value; a name that comes
/// several times is a list.
pub(super) fn read(body: &Bytes, boundary: &str) -> Result<Json, BodyError> {
    // Everything is there, so nothing is waited for.
    let read = fields(body.clone(), boundary).now_or_never();
    read.unwrap_or_else(|| Err(BodyError::at("", "the form is cut off")))
}

async fn fields(body: Bytes, boundary: &str) -> Result<Json, BodyError> {
    let mut form = Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut fields = Map::new();
    let mut count = 0;
    while let Some(field) = form.next_field().await.map_err(wrong)? {
        count += 1;
        if count > MOST_FIELDS {
            let reason = format!("the form has more than {MOST_FIELDS} fields");
            return Err(BodyError::at("", reason));
        }
        let (name, value) = part(field, count).await?;
        put(&mut fields, name, value);
    }
    match fields.is_empty() {
        true => Err(BodyError::at("", "the form is empty")),
        false => Ok(Json::Object(fields)),
    }
}

async fn part(field: Field<'_>, number: usize) -> Result<(String, Json), BodyError> {
    let Some(name) = field.name().map(str::to_owned) else {
        return Err(BodyError::at("", format!("part {number} of the form has no name")));
    };
    let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let kind = field.headers().get("content-type").and_then(|value| value.to_str().ok());
    let (kind, charset) = kind_and_charset(kind.unwrap_or("text/plain"));
    if let Some(charset) = charset.filter(|charset| !is_utf_8(charset)) {
        return Err(BodyError::at(pointer, format!("the charset {charset:?} is not supported")));
    }
    let is_file = field.file_name().is_some();
    let bytes = field.bytes().await.map_err(wrong)?;
    if is_json(&kind) {
        let value = serde_json::from_slice(bytes_without_mark(&bytes));
        return value.map(|value| (name, value)).map_err(|error| BodyError::at(pointer, error));
    }
    let bytes = if is_file { bytes_without_mark(&bytes) } else { &bytes };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok((name, Json::from(text))),
        Err(_) => {
            let reason = "the part is not UTF-8 text; other files are not supported";
            Err(BodyError::at(pointer, reason))
        }
    }
}

fn wrong(error: Error) -> BodyError {
    BodyError::at("", format!("the body is no multipart form: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As Chromium and Firefox write it.
    const BROWSER: &str = "------WebKitFormBoundaryA1\r\n\
        Content-Disposition: form-data; name=\"email\"\r\n\r\nada@example.org\r\n\
        ------WebKitFormBoundaryA1\r\n\
        Content-Disposition: form-data; name=\"tag\"\r\n\r\nx\r\n\
        ------WebKitFormBoundaryA1\r\n\
        Content-Disposition: form-data; name=\"tag\"\r\n\r\n\u{e9}\r\ny\r\n\
        ------WebKitFormBoundaryA1\r\n\
        Content-Disposition: form-data; name=\"list\"; filename=\"list.csv\"\r\n\
        Content-Type: text/csv\r\n\r\n\u{feff}a,b\n\r\n\
        ------WebKitFormBoundaryA1\r\n\
        Content-Disposition: form-data; name=\"none\"; filename=\"\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n\r\n\
        ------WebKitFormBoundaryA1\r\n\
        Content-Disposition: form-data; name=\"more\"; filename=\"blob\"\r\n\
        Content-Type: application/json\r\n\r\n{\"n\": [1]}\r\n\
        ------WebKitFormBoundaryA1--\r\n";

    fn form(body: &[u8], boundary: &str) -> Result<Json, BodyError> {
        read(&Bytes::copy_from_slice(body), boundary)
    }

    #[test]
    fn a_form_with_files_is_an_object_of_texts_and_of_the_values_of_json() {
        let expected = json!({"email": "ada@example.org", "tag": ["x", "\u{e9}\r\ny"],
            "list": "a,b\n", "none": "", "more": {"n": [1]}});
        assert_eq!(form(BROWSER.as_bytes(), "----WebKitFormBoundaryA1"), Ok(expected));
    }

    #[test]
    fn bad_forms_are_refused_with_the_place() {
        let part = |head: &str, body: &[u8]| {
            let head = format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n");
            [head.as_bytes(), body, b"\r\n--b--\r\n"].concat()
        };
        for (body, pointer, word) in [
            (b"".to_vec(), "", "no multipart form"),
            (b"--b--\r\n".to_vec(), "", "empty"),
            (
                b"--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1".to_vec(),
                "",
                "no multi",
            ),
            (part("filename=\"x\"", b"1"), "", "part 1 of the form has no name"),
            (part("name=\"a/b\"; filename=\"x.png\"", &[0x89, 0xff]), "/a~1b", "not UTF-8"),
            (part("name=a\r\ncontent-type: text/plain; charset=utf-16", b"1"), "/a", "utf-16"),
            (part("name=a\r\ncontent-type: application/json", b"{"), "/a", "EOF"),
            (part("name=a", b"1").repeat(1), "", ""),
        ] {
            let read = form(&body, "b");
            let Err(BodyError::Syntax { pointer: at, reason }) = read else {
                assert!(word.is_empty(), "{read:?}");
                continue;
            };
            assert!(at == pointer && reason.contains(word), "{at:?} {reason}");
        }
        let many = b"--b\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n".repeat(1_001);
        let Err(BodyError::Syntax { reason, .. }) = form(&[&many, &b"--b--"[..]].concat(), "b")
        else {
            panic!("taken")
        };
        assert!(reason.contains("more than 1000"), "{reason}");
    }
}
