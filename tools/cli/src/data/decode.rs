//! Keys and values of messages as JSON.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nubium_avro::json;
use nubium_registry::{
    Codec, DecodeError, Format, Part, RegistryError, STRING_SCHEMA, SchemaId, wire,
};
use serde_json::Value;
use tokio::runtime::Handle;

/// What the bytes of a key or value are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Encoding {
    /// Avro where the bytes name a schema, else text, else base64.
    Auto,
    /// Avro in the registry's wire format; anything else is an error.
    Avro,
    /// Text in UTF-8; anything else is an error.
    Text,
    /// The bytes as they are, in base64.
    Base64,
}

/// Decodes keys and values.
#[derive(Debug)]
pub struct Decoder {
    codec: Option<Codec>,
    runtime: Handle,
    encoding: Encoding,
    /// The topic that messages come from: its settings may say what its keys and values are.
    topic: String,
    /// What was wrong with schemas that could not be had, so that each is asked for once.
    missing: HashMap<SchemaId, String>,
}

impl Decoder {
    /// Makes a decoder; without a codec nothing is decoded as Avro.
    #[must_use]
    pub fn new(codec: Option<Codec>, runtime: Handle, encoding: Encoding) -> Self {
        Self { codec, runtime, encoding, topic: String::new(), missing: HashMap::new() }
    }

    /// Takes messages for those of a topic.
    #[must_use]
    pub fn of_topic(mut self, topic: &str) -> Self {
        topic.clone_into(&mut self.topic);
        self
    }

    /// Appends a key or value as JSON; a null one is `null`.
    ///
    /// # Errors
    /// The bytes are not what they are to be taken for; `out` is then as it was.
    pub fn put(
        &mut self,
        part: Part,
        bytes: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let Some(bytes) = bytes else {
            out.extend_from_slice(b"null");
            return Ok(());
        };
        let start = out.len();
        let put = match self.encoding {
            Encoding::Avro => self.put_avro(bytes, out),
            Encoding::Text => put_text(bytes, out),
            Encoding::Base64 => {
                put_base64(bytes, out);
                Ok(())
            }
            Encoding::Auto if self.is_json(part) && is_json(bytes) => self.put_json(bytes, out),
            Encoding::Auto if self.is_framed(part, bytes) => self.put_avro(bytes, out),
            Encoding::Auto => {
                if put_text(bytes, out).is_err() {
                    put_base64(bytes, out);
                }
                Ok(())
            }
        };
        put.inspect_err(|_| out.truncate(start))
    }

    /// Appends a key or value so that [`super::envelope::raw_of`] and an encoder make the same bytes
    /// of it again: what is neither Avro nor null is there as `{"$text": …}` or `{"$base64": …}`.
    ///
    /// # Errors
    /// As [`Decoder::put`].
    pub fn put_exact(
        &mut self,
        bytes: Option<&[u8]>,
        is_key: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let part = if is_key { Part::Key } else { Part::Value };
        let Some(bytes) = bytes.filter(|_| self.codec.is_some() && self.encoding == Encoding::Auto)
        else {
            return self.put(part, bytes, out);
        };
        let start = out.len();
        if !is_key && self.is_json(part) && is_json(bytes) {
            self.put_json(bytes, out)?;
            // What is written again has no white space and its names in order.
            let same: Result<Value, _> = serde_json::from_slice(bytes);
            if same.is_ok_and(|json| json.to_string().as_bytes() == bytes) {
                return Ok(());
            }
            let shown = out.split_off(start);
            put_base64_and(bytes, &shown, out);
            return Ok(());
        }
        if let Ok((id, _)) = wire::split(bytes)
            && self.is_framed(part, bytes)
        {
            self.put(part, Some(bytes), out)?;
            // Keys are written with one schema; any other is kept as its bytes, and shown.
            let schema = self.codec.as_ref().and_then(|codec| codec.cached(id));
            if is_key && schema.is_none_or(|schema| schema.text() != STRING_SCHEMA) {
                let shown = out.split_off(start);
                put_base64_and(bytes, &shown, out);
            }
            return Ok(());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                out.extend_from_slice(b"{\"$text\":");
                json::put_text(text, out);
                out.push(b'}');
            }
            Err(_) => put_base64(bytes, out),
        }
        Ok(())
    }

    /// Tells whether the topic's settings say that these are JSON without framing.
    fn is_json(&self, part: Part) -> bool {
        let json = |codec: &Codec| codec.format(&self.topic, part) == Format::Json;
        self.codec.as_ref().is_some_and(json)
    }

    fn put_json(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let opened = self.codec.as_ref().map(|codec| codec.open(&self.topic, Part::Value, bytes));
        match opened {
            Some(Ok(opened)) => opened.put_json(out).map_err(|error| error.to_string()),
            // The key of a topic whose values are of another format.
            _ => {
                out.extend_from_slice(bytes.trim_ascii());
                Ok(())
            }
        }
    }

    /// Tells whether bytes name a schema of the registry.
    fn is_framed(&self, part: Part, bytes: &[u8]) -> bool {
        let named = |codec: &Codec| codec.named(&self.topic, part, bytes).is_some();
        self.codec.as_ref().is_some_and(named)
    }

    fn put_avro(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let Some(codec) = &self.codec else {
            return Err("no schema registry is given (NU_SCHEMA_REGISTRY_URL or --registry)".into());
        };
        let start = out.len();
        match codec.decode_json(bytes, out) {
            Err(DecodeError::NotFetched(id)) => {
                out.truncate(start);
                self.fetch(id)?;
                self.put_avro(bytes, out)
            }
            answer => answer.map_err(|error| error.to_string()),
        }
    }

    fn fetch(&mut self, id: SchemaId) -> Result<(), String> {
        if let Some(why) = self.missing.get(&id) {
            return Err(why.clone());
        }
        let Some(codec) = &self.codec else { return Err("no schema registry".into()) };
        let fetched: Result<_, RegistryError> = self.runtime.block_on(codec.ensure(id));
        fetched.map(drop).map_err(|error| {
            let why = error.to_string();
            self.missing.insert(id, why.clone());
            why
        })
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok()
}

fn put_text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    json::put_text(text, out);
    Ok(())
}

/// Appends `{"$base64": "…"}`, which [`super::envelope`] reads as the bytes again. No field of Avro
/// has a name that begins with `$`.
pub fn put_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"$base64\":");
    json::put_text(&STANDARD.encode(bytes), out);
    out.push(b'}');
}

/// Appends the bytes with what they mean beside them.
fn put_base64_and(bytes: &[u8], shown: &[u8], out: &mut Vec<u8>) {
    put_base64(bytes, out);
    out.pop();
    out.extend_from_slice(b",\"$shown\":");
    out.extend_from_slice(shown);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(encoding: Encoding) -> (Decoder, tokio::runtime::Runtime) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        (Decoder::new(Some(Codec::in_memory()), runtime.handle().clone(), encoding), runtime)
    }

    fn put(encoding: Encoding, bytes: Option<&[u8]>) -> Result<String, String> {
        let (mut decoder, _runtime) = decoder(encoding);
        let mut out = b"x".to_vec();
        let put = decoder.put(Part::Value, bytes, &mut out);
        if put.is_err() {
            assert_eq!(out, b"x", "an error leaves nothing behind");
        }
        put.map(|()| String::from_utf8(out).unwrap()[1..].to_owned())
    }

    #[test]
    fn bytes_are_taken_for_what_was_asked() {
        assert_eq!(put(Encoding::Auto, None).unwrap(), "null");
        assert_eq!(put(Encoding::Auto, Some(b"a\"b")).unwrap(), r#""a\"b""#);
        assert_eq!(put(Encoding::Auto, Some(b"\xff")).unwrap(), r#"{"$base64":"/w=="}"#);
        assert_eq!(put(Encoding::Base64, Some(b"a")).unwrap(), r#"{"$base64":"YQ=="}"#);
        assert!(put(Encoding::Text, Some(b"\xff")).unwrap_err().contains("UTF-8"));
        assert!(put(Encoding::Avro, Some(b"text")).unwrap_err().contains("magic byte"));
        assert!(put(Encoding::Avro, Some(&[0, 0, 0, 0, 9, 1])).unwrap_err().contains('9'));
    }
}
