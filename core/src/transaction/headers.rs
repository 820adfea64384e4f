//! The headers of what is produced: what passes through, what is set, and what is made where it is
//! missing.

use super::{HeaderSource, Transaction};
use crate::error::{Exception, MessageError};
use nubium_kafka::headers::{GUID, Headers, REQUIRED, given};
use nubium_kafka::message::Message;
use nubium_topic::Topic;

impl Transaction<'_> {
    /// The headers of a record that belongs to the message at `index`, with its changes.
    pub(super) fn headers_of(
        &self,
        topic: Topic,
        index: usize,
        message: &Message,
        changes: &[(&str, Option<&[u8]>)],
    ) -> Result<HeaderSource, MessageError> {
        let mut required = REQUIRED.iter();
        if changes.is_empty() && required.all(|(name, _)| given(message.last_header(name))) {
            return Ok(HeaderSource::Message(index));
        }
        let mut merged = merge(message.copy_headers(), changes);
        self.complete(topic, message, &mut merged)?;
        Ok(HeaderSource::Ready(merged))
    }

    /// The headers of a message that is sent on as it is.
    pub(super) fn headers_forward(
        &self,
        topic: Topic,
        message: &Message,
        count: u32,
        exception: Option<&Exception>,
    ) -> Result<Headers, MessageError> {
        let mut headers = message.copy_headers();
        headers.set("kafka_retry_count", count.to_string().as_bytes());
        if let Some(exception) = exception {
            headers.set("exception", exception.to_json().as_bytes());
        }
        if self.bench.signature.is_some() {
            self.complete(topic, message, &mut headers)?;
        }
        Ok(headers)
    }

    /// Adds the headers that every record carries and this one lacks, or names the first.
    fn complete(
        &self,
        topic: Topic,
        message: &Message,
        headers: &mut Headers,
    ) -> Result<(), MessageError> {
        for (name, text) in REQUIRED {
            match &self.bench.signature {
                _ if headers.has(name) => {}
                Some(_) if name == GUID => headers.set(text, message.made_guid().as_bytes()),
                Some(app) => headers.set(text, app.as_bytes()),
                None => {
                    let topic = topic.name().to_owned();
                    return Err(MessageError::MissingProducedHeader { topic, name: text });
                }
            }
        }
        Ok(())
    }
}

fn merge(mut headers: Headers, changes: &[(&str, Option<&[u8]>)]) -> Headers {
    for (name, value) in changes {
        match value {
            Some(value) => headers.set(name, value),
            None => headers.remove(name),
        }
    }
    headers
}
