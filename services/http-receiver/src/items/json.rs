//! JSON documents and lines of them.

use std::fmt;

use nubium_avro::json::Exact;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::BodyError;

type Each<'e> = &'e mut dyn FnMut(usize, bool, Json);

/// Reads one item, or an array of them.
pub(super) fn document(
    body: &[u8],
    most: usize,
    exact: Exact<'_>,
    each: Each<'_>,
) -> Result<bool, BodyError> {
    let begins_with = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match begins_with {
        Some(b'[') => array(body, most, exact, each).map(|()| true),
        Some(_) => {
            each(0, false, exact.parse(body).map_err(|e| BodyError::at("", e))?);
            Ok(false)
        }
        None => Err(BodyError::at("", "the body is empty")),
    }
}

fn array(body: &[u8], most: usize, exact: Exact<'_>, each: Each<'_>) -> Result<(), BodyError> {
    let mut read = 0;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let visitor = Items { each, most, exact, read: &mut read };
    let visited = deserializer.deserialize_seq(visitor).and_then(|()| deserializer.end());
    match visited {
        _ if read > most => Err(BodyError::TooMany),
        Err(error) => Err(BodyError::at(format!("/{read}"), error)),
        Ok(()) if read == 0 => Err(BodyError::at("", "the array is empty")),
        Ok(()) => Ok(()),
    }
}

struct Items<'e> {
    each: Each<'e>,
    most: usize,
    exact: Exact<'e>,
    read: &'e mut usize,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while *self.read < self.most {
            let Some(item) = items.next_element_seed(self.exact)? else { return Ok(()) };
            (self.each)(*self.read, true, item);
            *self.read += 1;
        }
        match items.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => {
                *self.read += 1;
                Err(A::Error::custom("too many items"))
            }
        }
    }
}

/// Reads an item a line; empty lines are passed over.
pub(super) fn lines(
    body: &[u8],
    most: usize,
    exact: Exact<'_>,
    each: Each<'_>,
) -> Result<(), BodyError> {
    let mut index = 0;
    for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if index == most {
            return Err(BodyError::TooMany);
        }
        let item = exact.parse(line).map_err(|error| {
            let at = format!("line {} of the body: {error}", number + 1);
            BodyError::at(format!("/{index}"), at)
        })?;
        each(index, true, item);
        index += 1;
    }
    match index {
        0 => Err(BodyError::at("", "the body has no line with an item")),
        _ => Ok(()),
    }
}
