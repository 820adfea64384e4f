//! A consumed message.

use crate::headers::{self, Header, Headers};
use crate::raw::NativeMessage;
use nubium_topic::{Topic, TopicPartition};
use std::cell::OnceCell;
use std::ffi::CStr;

/// A message in our own memory, as tests and the in-memory broker make it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageBody {
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers in order.
    pub headers: Vec<Header>,
    /// Milliseconds since the epoch.
    pub timestamp: Option<i64>,
}

#[derive(Debug)]
enum Body {
    Native(NativeMessage),
    Owned(Box<MessageBody>),
}

/// One consumed message: where it came from, and its bytes.
#[derive(Debug)]
pub struct Message {
    at: TopicPartition,
    offset: i64,
    body: Body,
    opened: OnceCell<Box<Opened>>,
}

/// What was read out of the bytes of a message whose format is not its own to be borrowed from.
#[derive(Debug, Default)]
struct Opened {
    key: OnceCell<Box<str>>,
    value: OnceCell<Box<[u8]>>,
}

impl Message {
    /// Takes a message as librdkafka gave it.
    pub fn native(topic: Topic, message: NativeMessage) -> Self {
        let at = TopicPartition { topic, partition: message.partition() };
        Self { at, offset: message.offset(), body: Body::Native(message), opened: OnceCell::new() }
    }

    /// Makes a message of our own.
    #[must_use]
    pub fn owned(at: TopicPartition, offset: i64, body: MessageBody) -> Self {
        Self { at, offset, body: Body::Owned(Box::new(body)), opened: OnceCell::new() }
    }

    /// The topic it was consumed from.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        self.at.topic.name()
    }

    /// The partition it was consumed from.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.at.partition
    }

    /// Topic and partition in one.
    #[must_use]
    pub fn topic_partition(&self) -> TopicPartition {
        self.at
    }

    /// Partition and offset in one.
    pub fn place(&self) -> (TopicPartition, i64) {
        (self.at, self.offset)
    }

    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Milliseconds since the epoch; `None` where the broker gave no timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Option<i64> {
        match &self.body {
            Body::Native(message) => message.timestamp(),
            Body::Owned(body) => body.timestamp,
        }
    }

    /// The key's bytes as they are on the wire.
    #[must_use]
    pub fn key_bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Native(message) => message.key(),
            Body::Owned(body) => body.key.as_deref(),
        }
    }

    /// The value's bytes as they are on the wire; `None` is a tombstone.
    #[must_use]
    pub fn value_bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Native(message) => message.value(),
            Body::Owned(body) => body.value.as_deref(),
        }
    }

    /// Gives the value as `open` reads it, which is asked once in the message's life.
    ///
    /// # Errors
    /// What `open` answers, each time.
    pub fn opened_value<E>(&self, open: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<&[u8], E> {
        let opened = self.opened.get_or_init(Box::default);
        if let Some(known) = opened.value.get() {
            return Ok(known);
        }
        let read = open()?.into_boxed_slice();
        Ok(opened.value.get_or_init(|| read))
    }

    /// Gives the key as `open` reads it, which is asked once in the message's life.
    ///
    /// # Errors
    /// What `open` answers, each time.
    pub fn opened_key<E>(&self, open: impl FnOnce() -> Result<String, E>) -> Result<&str, E> {
        let opened = self.opened.get_or_init(Box::default);
        if let Some(known) = opened.key.get() {
            return Ok(known);
        }
        let read = open()?.into_boxed_str();
        Ok(opened.key.get_or_init(|| read))
    }

    /// The bytes of key and value.
    pub fn size(&self) -> usize {
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        len(self.key_bytes()) + len(self.value_bytes())
    }

    /// Goes through the headers in order; a name may come more than once.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        (0..).map_while(|index| match &self.body {
            Body::Native(message) => message.header(index),
            Body::Owned(body) => {
                body.headers.get(index).map(|h| (h.name.as_str(), h.value.as_deref()))
            }
        })
    }

    /// Reads the last header of a name. The outer `None`: there is none; the inner one: its value
    /// is null.
    #[must_use]
    pub fn last_header(&self, name: &CStr) -> Option<Option<&[u8]>> {
        match &self.body {
            Body::Native(message) => message.last_header(name),
            Body::Owned(body) => headers::last(&body.headers, name),
        }
    }

    /// Copies the headers.
    pub fn copy_headers(&self) -> Headers {
        match &self.body {
            Body::Native(message) => {
                message.copy_headers().map_or_else(Headers::default, Headers::Native)
            }
            Body::Owned(body) => Headers::List(body.headers.clone()),
        }
    }

    /// Sets a header: every one of that name is replaced by this one.
    pub fn set_header(&mut self, name: &str, value: &[u8]) {
        let mut headers = self.take_headers();
        headers.set(name, value);
        match &mut self.body {
            Body::Native(message) => {
                if let Some(list) = headers.into_native() {
                    message.set_headers(list);
                }
            }
            Body::Owned(body) => {
                if let Headers::List(list) = headers {
                    body.headers = list;
                }
            }
        }
    }

    /// Makes the `guid` of a message that was written without one: the same whenever it is read.
    pub fn made_guid(&self) -> String {
        headers::made_guid(self.topic(), self.partition(), self.offset())
    }

    /// Moves the headers out; the message has none afterwards.
    pub fn take_headers(&mut self) -> Headers {
        match &mut self.body {
            Body::Native(message) => {
                message.take_headers().map_or_else(Headers::default, Headers::Native)
            }
            Body::Owned(body) => Headers::List(std::mem::take(&mut body.headers)),
        }
    }
}
