//! A message as filters look at it.

use nubium_kafka::raw::NativeMessage;
use nubium_registry::Part;
use serde_json::Value;

use crate::data::decode::Decoder;
use crate::data::filter::{Filter, Subject};

/// A message with its value decoded once.
struct Looked<'m> {
    message: &'m NativeMessage,
    key: Value,
    value: Value,
}

impl Subject for Looked<'_> {
    fn key(&self) -> Value {
        self.key.clone()
    }

    fn value(&self) -> &Value {
        &self.value
    }

    fn header(&self, name: &str) -> Option<String> {
        let headers = (0..).map_while(|index| self.message.header(index));
        let found = headers.filter(|(found, _)| *found == name).last()?.1?;
        Some(String::from_utf8_lossy(found).into_owned())
    }

    fn partition(&self) -> i32 {
        self.message.partition()
    }

    fn offset(&self) -> i64 {
        self.message.offset()
    }

    fn timestamp(&self) -> Option<i64> {
        self.message.timestamp()
    }
}

/// Says whether a message meets all conditions.
///
/// # Errors
/// A condition looks into the value, which cannot be decoded.
pub fn wanted(
    filters: &[Filter],
    decoder: &mut Decoder,
    message: &NativeMessage,
) -> Result<bool, String> {
    if filters.is_empty() {
        return Ok(true);
    }
    let mut json = |part, bytes: Option<&[u8]>| -> Result<Value, String> {
        let mut text = Vec::new();
        decoder.put(part, bytes, &mut text)?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    };
    let key = json(Part::Key, message.key()).unwrap_or_default();
    let value = match filters.iter().any(Filter::needs_value) {
        true => json(Part::Value, message.value())?,
        false => Value::Null,
    };
    let looked = Looked { message, key, value };
    Ok(filters.iter().all(|filter| filter.accepts(&looked)))
}
