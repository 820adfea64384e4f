//! What a message carries beside its value, as `%` of a program.

use chrono::DateTime;
use vrl::compiler::CompileConfig;
use vrl::path::{OwnedSegment, OwnedTargetPath, OwnedValuePath};
use vrl::value::kind::Collection;
use vrl::value::{KeyString, Kind, ObjectMap, Value};

use super::entry::{self, EntryType};
use super::fields::Fields;

/// Names what programs can read, and whether they can assign it.
pub(super) const NAMES: [(&str, bool); 6] = [
    ("key", true),
    ("topic", true),
    ("headers", true),
    ("partition", false),
    ("offset", false),
    ("timestamp", false),
];

/// Gives what a mapping reads of a consumed message; only what its program uses is asked for.
pub trait Envelope {
    /// Topic.
    fn topic(&self) -> &str;
    /// Partition.
    fn partition(&self) -> i32;
    /// Offset.
    fn offset(&self) -> i64;
    /// Milliseconds since 1970; `None` when the message has no time.
    fn timestamp_ms(&self) -> Option<i64>;
    /// Key as text; `None` when there is none.
    ///
    /// # Errors
    /// When the key is not an Avro string, in words.
    fn key(&self) -> Result<Option<&str>, String>;
    /// Calls `each` with every header, in order.
    fn headers(&self, each: &mut dyn FnMut(&str, Option<&[u8]>));
    /// The value's Avro datum, without the bytes that name its schema.
    fn datum(&self) -> &[u8];
}

/// Gives the names of a program: those of every message, and those of a table.
pub(super) fn names(table: bool) -> impl Iterator<Item = (&'static str, bool)> {
    NAMES.into_iter().chain(entry::NAMES.into_iter().filter(move |_| table))
}

/// Gives the type of `%`; with a table, the previous entry is among it.
pub(super) fn kind(entry: Option<&EntryType>) -> Kind {
    match entry {
        Some(entry) => entry.extend(of_message()),
        None => of_message(),
    }
}

fn of_message() -> Kind {
    let text_or_null = || Kind::bytes().or_null();
    let headers = Kind::object(Collection::from_unknown(text_or_null()));
    Kind::object(
        Collection::empty()
            .with_known("key", text_or_null())
            .with_known("topic", Kind::bytes())
            .with_known("headers", headers)
            .with_known("partition", Kind::integer())
            .with_known("offset", Kind::integer())
            .with_known("timestamp", Kind::timestamp().or_null()),
    )
}

/// Forbids to assign what a produced record cannot carry over.
pub(super) fn protect(config: &mut CompileConfig, table: bool) {
    for (name, assignable) in names(table) {
        if !assignable {
            config.set_read_only_path(path(name), true);
        }
    }
}

/// Gives the path of `%name`.
pub(super) fn path(name: &str) -> OwnedTargetPath {
    OwnedTargetPath::metadata(OwnedValuePath {
        segments: vec![OwnedSegment::Field(KeyString::from(name))],
    })
}

/// Builds `%` with what the program reads.
pub(super) fn build(message: &impl Envelope, read: &Fields) -> Result<ObjectMap, String> {
    let mut map = ObjectMap::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.into(), value));
    if read.contain("key") {
        put("key", message.key()?.map_or(Value::Null, Value::from));
    }
    if read.contain("topic") {
        put("topic", Value::from(message.topic()));
    }
    if read.contain("headers") {
        put("headers", Value::Object(headers(message)));
    }
    if read.contain("partition") {
        put("partition", Value::Integer(message.partition().into()));
    }
    if read.contain("offset") {
        put("offset", Value::Integer(message.offset()));
    }
    if read.contain("timestamp") {
        let instant = message.timestamp_ms().and_then(DateTime::from_timestamp_millis);
        put("timestamp", instant.map_or(Value::Null, Value::Timestamp));
    }
    Ok(map)
}

/// Gives the headers as an object; of a repeated name, the last.
pub(super) fn headers(message: &impl Envelope) -> ObjectMap {
    let mut map = ObjectMap::new();
    message.headers(&mut |name, value| {
        let value = match value {
            None => Value::Null,
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Value::from(text),
                Err(_) => Value::from(bytes),
            },
        };
        map.insert(name.into(), value);
    });
    map
}
