//! Messages as items of a request, and requests' bodies. Pure.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use nubium_core::Consumed;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::auth;
use crate::route::Route;
use crate::settings::{self, Body, Item as Kind, Part, Template};
use crate::template::Text;

/// One message as it is sent.
#[derive(Debug, Clone)]
pub struct Item {
    /// The message's place in its batch.
    pub index: usize,
    /// What names the message for ever.
    pub identity: Identity,
    /// The item as it is sent: JSON, or the whole body of its request.
    pub json: String,
    /// The item's id by which results find it, if they do.
    pub id: Option<String>,
    /// Where its request goes, if that is its own.
    pub route: Option<Box<Route>>,
}

impl Item {
    /// Whether both messages lie in one partition.
    pub fn same_partition(&self, other: &Self) -> bool {
        let (a, b) = (&self.identity, &other.identity);
        (a.topic, a.partition) == (b.topic, b.partition)
    }
}

/// What names a message for ever. The timestamp tells apart the messages of a topic that was
/// deleted and made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The topic.
    pub topic: &'static str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: i64,
}

impl Identity {
    /// Takes it from a message.
    pub fn of(message: Consumed<'_>) -> Self {
        let timestamp = message.timestamp().unwrap_or(-1);
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        Self { topic, partition, offset, timestamp }
    }

    /// What parts the body of its request, the same each time it is sent.
    pub fn boundary(&self) -> String {
        let text = format!("{} {}", self.text(), self.timestamp);
        let hash = Sha256::digest(text);
        let hex = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
        format!("nubium-{}", hex.collect::<String>())
    }

    /// The same as text, for the item's `id`.
    pub fn text(&self) -> String {
        format!("{}-{}-{}", self.topic, self.partition, self.offset)
    }
}

/// Makes the item of a message.
///
/// # Errors
/// Its value or key cannot be decoded, or it has nothing for a place of a template.
pub fn of(message: Consumed<'_>, request: &settings::Request, id: Option<&str>) -> Result<Item> {
    let value = match message.is_tombstone() {
        true => Value::Null,
        false => message.json()?,
    };
    let identity = Identity::of(message);
    let given = match request.item {
        Kind::Value => value,
        Kind::Envelope => envelope(message, &identity, value)?,
    };
    let route = request.route(&given, message.is_tombstone())?.map(Box::new);
    let by = |json: &Value| id.and_then(|pointer| json.pointer(pointer)).map(id_text);
    let (json, id) = match &request.template {
        None => (given.to_string(), by(&given)),
        Some(Template::Json(shape)) => {
            let shaped = shape.fill(&given)?.unwrap_or_default();
            (shaped.to_string(), by(&shaped))
        }
        Some(Template::Form(fields)) => (form(fields, &given)?, None),
        Some(Template::Multipart(parts)) => (multipart(parts, &given, &identity)?, None),
        Some(Template::Text(text, escape)) => (text.fill(&given, *escape)?, None),
    };
    Ok(Item { index: message.index(), identity, json, id, route })
}

fn form(fields: &[(String, Text)], item: &Value) -> Result<String> {
    let mut pairs = Vec::new();
    for (name, text) in fields {
        pairs.extend(text.fill_or_leave_out(item)?.map(|value| (name.as_str(), value)));
    }
    Ok(auth::encode(pairs.iter().map(|(name, value)| (*name, value.as_str()))))
}

/// Writes a form of several parts: RFC 7578, with names as browsers write them.
fn multipart(parts: &[Part], item: &Value, identity: &Identity) -> Result<String> {
    let boundary = identity.boundary();
    let quoted = |text: &str| text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut body = String::new();
    for part in parts {
        let Some(value) = part.value.fill_or_leave_out(item)? else { continue };
        body += &format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", {
            quoted(&part.name)
        });
        if let Some(file) = &part.file {
            body += &format!("; filename=\"{}\"", quoted(file));
        }
        if let Some(kind) = &part.kind {
            body += &format!("\r\nContent-Type: {kind}");
        }
        body += &format!("\r\n\r\n{value}\r\n");
    }
    Ok(body + &format!("--{boundary}--\r\n"))
}

/// Says what the body of a request is.
pub fn content_type(items: &[Item], request: &settings::Request) -> String {
    match (request.body, items.first()) {
        (Body::Multipart, Some(item)) => {
            format!("{}; boundary={}", request.content_type, item.identity.boundary())
        }
        _ => request.content_type.clone(),
    }
}

fn envelope(message: Consumed<'_>, identity: &Identity, value: Value) -> Result<Value> {
    let headers: Map<String, Value> = message
        .headers()
        .map(|(name, value)| {
            let text = value.map(|bytes| Value::from(String::from_utf8_lossy(bytes).into_owned()));
            (name.to_owned(), text.unwrap_or(Value::Null))
        })
        .collect();
    Ok(json!({
        "id": identity.text(),
        "topic": identity.topic,
        "partition": identity.partition,
        "offset": identity.offset,
        "timestamp": message.timestamp(),
        "key": message.key().context("the key of an envelope")?,
        "headers": headers,
        "value": value,
    }))
}

/// Writes an id as text, so that 7 and "7" are the same.
pub fn id_text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// Builds the body of a request.
///
/// # Errors
/// Compression fails, which needs memory only.
pub fn body(items: &[Item], request: &settings::Request) -> Result<Vec<u8>> {
    let size = items.iter().map(|item| item.json.len() + 1).sum::<usize>() + 64;
    let mut body = Vec::with_capacity(size);
    match request.body {
        Body::JsonArray => {
            body.extend_from_slice(request.around.0.as_bytes());
            body.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    body.push(b',');
                }
                body.extend_from_slice(item.json.as_bytes());
            }
            body.push(b']');
            body.extend_from_slice(request.around.1.as_bytes());
        }
        Body::Ndjson => {
            for item in items {
                body.extend_from_slice(item.json.as_bytes());
                body.push(b'\n');
            }
        }
        Body::Single | Body::Form | Body::Multipart | Body::Text => {
            items.iter().for_each(|item| body.extend_from_slice(item.json.as_bytes()));
        }
    }
    if !request.gzip {
        return Ok(body);
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(&body)?;
    Ok(encoder.finish()?)
}

/// Derives the idempotency key of a request: the same for the same messages in the same order, sent
/// by the same app, and for no others.
pub fn key(app: &str, items: &[Item]) -> String {
    let mut hash = Sha256::new();
    hash.update((app.len() as u64).to_be_bytes());
    hash.update(app);
    for Item { identity, .. } in items {
        hash.update((identity.topic.len() as u64).to_be_bytes());
        hash.update(identity.topic);
        hash.update(identity.partition.to_be_bytes());
        hash.update(identity.offset.to_be_bytes());
        hash.update(identity.timestamp.to_be_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn item(offset: i64, json: &str) -> Item {
        let identity = Identity { topic: "t", partition: 0, offset, timestamp: 5 };
        Item { index: 0, identity, json: json.into(), id: None, route: None }
    }

    fn request(more: &str) -> settings::Request {
        let text = format!("request: {{url: 'http://x/', {more}}}");
        Settings::parse("u", &text, std::path::Path::new("")).expect("settings").request
    }

    #[test]
    fn bodies_are_arrays_lines_or_one_item() {
        let items = [item(1, r#"{"a":1}"#), item(2, "2")];
        for (more, expected) in [
            ("body: json_array", r#"[{"a":1},2]"#),
            ("wrap: '/da\"ta/rows'", r#"{"da\"ta":{"rows":[{"a":1},2]}}"#),
            ("body: ndjson", "{\"a\":1}\n2\n"),
            (
                "around: {query: 'mutation', variables: {rows: '{{items}}', n: [1]}}",
                r#"{"query":"mutation","variables":{"n":[1],"rows":[{"a":1},2]}}"#,
            ),
        ] {
            let made = body(&items, &request(more)).expect("body");
            let made: Value = serde_json::from_slice(&made)
                .unwrap_or_else(|_| Value::from(String::from_utf8(made.clone()).expect("text")));
            let expected = serde_json::from_str(expected).unwrap_or(Value::from(expected));
            assert_eq!(made, expected);
        }
        let one = body(&items[..1], &request("body: single")).expect("body");
        assert_eq!(one, br#"{"a":1}"#);
        let packed = body(&items, &request("gzip: true")).expect("body");
        let mut text = String::new();
        let mut decoder = flate2::read::GzDecoder::new(&*packed);
        std::io::Read::read_to_string(&mut decoder, &mut text).expect("gzip");
        assert_eq!(text, r#"[{"a":1},2]"#);
    }

    #[test]
    fn keys_are_equal_for_equal_messages_alone() {
        let (a, b) = (item(1, "x"), item(2, "y"));
        let of = |items: &[Item]| key("app", items);
        let both = of(&[a.clone(), b.clone()]);
        assert_eq!(both.len(), 32);
        assert_eq!(both, of(&[item(1, "x"), item(2, "y")]));
        let mut later = a.clone();
        later.identity.timestamp = 6;
        let others = [
            of(&[b.clone(), a.clone()]),
            of(std::slice::from_ref(&a)),
            of(&[later, b.clone()]),
            key("other", &[a, b]),
        ];
        assert!(!others.contains(&both));
    }
}
