//! A record to produce, as the app function describes it.

use nubium_registry::Encode;

/// Where a record's key comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'a> {
    /// The consumed message's key, byte for byte, so that it stays on its partition.
    PassThrough,
    /// Text, encoded as Avro `"string"`.
    Text(&'a str),
    /// Bytes as they are.
    Bytes(&'a [u8]),
    /// No key.
    Null,
}

/// Where a record's value comes from.
#[derive(Debug)]
pub(crate) enum Value<'a, V: ?Sized> {
    /// The consumed message's value, byte for byte.
    PassThrough,
    /// A value to encode by the topic's schema.
    Encode(&'a V),
    /// An Avro datum already encoded by the topic's schema; it gets the wire format's header.
    Datum(&'a [u8]),
    /// Bytes as they are.
    Bytes(&'a [u8]),
    /// A tombstone.
    Null,
}

/// Describes one record to produce. Made by [`Record::to`]; unless told otherwise it takes key,
/// value and headers of the consumed message along, and leaves the partition to the key.
#[derive(Debug)]
#[must_use]
pub struct Record<'a, V: ?Sized = ()> {
    pub(crate) topic: &'a str,
    pub(crate) key: Key<'a>,
    pub(crate) value: Value<'a, V>,
    pub(crate) headers: Vec<(&'a str, Option<&'a [u8]>)>,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<i64>,
}

impl<'a> Record<'a> {
    /// Starts a record to a topic.
    pub fn to(topic: &'a str) -> Self {
        Self {
            topic,
            key: Key::PassThrough,
            value: Value::PassThrough,
            headers: Vec::new(),
            partition: None,
            timestamp: None,
        }
    }

    /// Sets the value, encoded by the schema the topic was declared with.
    pub fn value<V: Encode + ?Sized>(self, value: &'a V) -> Record<'a, V> {
        let Self { topic, key, headers, partition, timestamp, .. } = self;
        Record { topic, key, value: Value::Encode(value), headers, partition, timestamp }
    }

    /// Sets the value to an Avro datum that is already encoded by the topic's schema.
    pub fn datum(mut self, datum: &'a [u8]) -> Self {
        self.value = Value::Datum(datum);
        self
    }

    /// Sets the value to bytes that are sent as they are.
    pub fn value_bytes(mut self, bytes: &'a [u8]) -> Self {
        self.value = Value::Bytes(bytes);
        self
    }

    /// Makes it a tombstone: a null value.
    pub fn tombstone(mut self) -> Self {
        self.value = Value::Null;
        self
    }
}

impl<'a, V: ?Sized> Record<'a, V> {
    /// Sets the key, encoded as Avro `"string"`.
    pub fn key(mut self, key: &'a str) -> Self {
        self.key = Key::Text(key);
        self
    }

    /// Sets the key to bytes that are sent as they are.
    pub fn key_bytes(mut self, key: &'a [u8]) -> Self {
        self.key = Key::Bytes(key);
        self
    }

    /// Sends it without a key.
    pub fn no_key(mut self) -> Self {
        self.key = Key::Null;
        self
    }

    /// Sets a header; one of the same name from the consumed message is overridden.
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.headers.push((name, Some(value.as_ref())));
        self
    }

    /// Drops a header that would pass through from the consumed message.
    pub fn drop_header(mut self, name: &'a str) -> Self {
        self.headers.push((name, None));
        self
    }

    /// Names the partition instead of leaving it to the key.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the timestamp in milliseconds since the epoch; otherwise it is the moment of sending.
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = Some(millis);
        self
    }
}
