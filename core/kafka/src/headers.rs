//! Header rules: what passes through, what overrides, what is required.

use crate::raw::NativeHeaders;
use sha1::{Digest as _, Sha1};
use std::ffi::{CStr, CString};
use uuid::Uuid;

/// Identifies a record across every app it passes; each consumed and each produced message carries
/// it.
pub const GUID: &CStr = c"guid";
/// Names the app that wrote a record last; each produced message carries it.
pub const LAST_UPDATED_BY: &CStr = c"last_updated_by";
/// Counts how often a message was retried on its present topic.
pub const RETRY_COUNT: &CStr = c"kafka_retry_count";
/// Says as JSON (`name`, `description`) why a message is on a retry or failure topic.
pub const EXCEPTION: &CStr = c"exception";

/// The headers that every produced record carries.
pub const REQUIRED: [(&CStr, &str); 2] = [(GUID, "guid"), (LAST_UPDATED_BY, "last_updated_by")];

/// Makes a `guid` of a place in the log: the UUID of version 5 (RFC 9562: SHA-1 of a name) that
/// `kafka:TOPIC/PARTITION/OFFSET` has in the name space of URLs.
#[must_use]
pub fn made_guid(topic: &str, partition: i32, offset: i64) -> String {
    made_guid_of(&format!("kafka:{topic}/{partition}/{offset}"))
}

/// Makes a `guid` of a name in the name space of URLs.
pub fn made_guid_of(name: &str) -> String {
    let hash = Sha1::new().chain_update(Uuid::NAMESPACE_URL).chain_update(name).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_sha1_bytes(bytes).into_uuid().to_string()
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
}

impl Header {
    /// Makes a header with a value.
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }
}

/// The headers of a record on its way out: librdkafka's own list where it came from a message, ours
/// otherwise.
#[derive(Debug)]
pub enum Headers {
    /// A list in librdkafka's memory.
    Native(NativeHeaders),
    /// A list in ours.
    List(Vec<Header>),
}

impl Default for Headers {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Headers {
    /// Copies the headers.
    #[must_use]
    pub fn copy(&self) -> Self {
        match self {
            Self::Native(list) => Self::Native(list.copy()),
            Self::List(list) => Self::List(list.clone()),
        }
    }

    /// Sets a header: every one of that name is replaced by this one.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        match self {
            Self::Native(list) => list.push(name, Some(value)),
            Self::List(list) => list.push(Header::new(name, value)),
        }
    }

    /// Drops every header of a name.
    pub fn remove(&mut self, name: &str) {
        match self {
            Self::Native(list) => {
                if let Ok(name) = CString::new(name) {
                    list.remove(&name);
                }
            }
            Self::List(list) => list.retain(|header| header.name != name),
        }
    }

    /// Reads the header at `index`.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        match self {
            Self::Native(list) => list.at(index),
            Self::List(list) => list.get(index).map(|h| (h.name.as_str(), h.value.as_deref())),
        }
    }

    /// Goes through the headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        (0..).map_while(|index| self.at(index))
    }

    /// Says whether a name is there with a value that is not empty.
    #[must_use]
    pub fn has(&self, name: &CStr) -> bool {
        match self {
            Self::Native(list) => given(list.last(name)),
            Self::List(list) => given(last(list, name)),
        }
    }

    /// Moves them into librdkafka's memory.
    #[must_use]
    pub fn into_native(self) -> Option<NativeHeaders> {
        match self {
            Self::Native(list) => Some(list),
            Self::List(list) if list.is_empty() => None,
            Self::List(list) => {
                let mut native = NativeHeaders::with_capacity(list.len());
                for header in &list {
                    native.push(&header.name, header.value.as_deref());
                }
                Some(native)
            }
        }
    }
}

/// Reads the last header of a name: Kafka allows a name twice, and the last one counts.
#[must_use]
pub fn last<'a>(list: &'a [Header], name: &CStr) -> Option<Option<&'a [u8]>> {
    let name = name.to_bytes();
    list.iter().rev().find(|h| h.name.as_bytes() == name).map(|h| h.value.as_deref())
}

/// Says whether a header was found with a value that is not empty.
#[must_use]
pub fn given(found: Option<Option<&[u8]>>) -> bool {
    matches!(found, Some(Some(value)) if !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> [Headers; 2] {
        let list = vec![Header::new("a", "1"), Header::new("b", "2"), Header::new("a", "3")];
        let native = Headers::List(list.clone()).into_native().unwrap();
        [Headers::List(list), Headers::Native(native)]
    }

    fn read(headers: &Headers) -> Vec<(String, Option<Vec<u8>>)> {
        headers.iter().map(|(n, v)| (n.into(), v.map(Vec::from))).collect()
    }

    #[test]
    fn both_kinds_behave_the_same() {
        for mut headers in both() {
            assert!(headers.has(c"a") && !headers.has(c"z"));
            headers.set("a", b"9");
            headers.remove("b");
            headers.remove("nothing");
            assert_eq!(read(&headers), [("a".into(), Some(b"9".to_vec()))]);
            assert_eq!(read(&headers.copy()), read(&headers));
        }
    }

    /// As Python says: `uuid.uuid5(uuid.NAMESPACE_URL, "kafka:orders/3/17")`.
    #[test]
    fn a_guid_is_made_of_the_place_alone() {
        assert_eq!(made_guid("orders", 3, 17), "be7d832e-82d8-568b-ac9a-dad8a0f17817");
        assert_eq!(made_guid("orders", 3, 18), "abc9f4b2-5c71-5a27-9327-40cb489ae28a");
    }

    #[test]
    fn an_empty_or_null_value_does_not_count_as_given() {
        let list =
            vec![Header { name: "guid".into(), value: None }, Header::new("last_updated_by", "")];
        for headers in [
            Headers::Native(Headers::List(list.clone()).into_native().unwrap()),
            Headers::List(list),
        ] {
            assert!(!headers.has(GUID) && !headers.has(LAST_UPDATED_BY));
            assert_eq!(headers.at(0), Some(("guid", None)));
        }
    }
}
