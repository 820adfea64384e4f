//! What a line holds as the record to produce.

use nubium_registry::{Dynamic, TopicEncoder};
use rand::Rng as _;
use serde_json::Value;

use super::envelope;
use super::input::Item;

/// One record on its way out; its buffers are used again for the next.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The key's bytes, if it has one.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since the epoch; none is the moment of sending.
    pub timestamp: Option<i64>,
}

/// Where the key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFrom {
    /// There is none, unless the line is a whole message.
    Nothing,
    /// The same for every record.
    Text(String),
    /// A field of the value, by names from the outside in.
    Field(Vec<String>),
}

/// How lines become records.
#[derive(Debug)]
pub struct Encoder {
    /// Encodes values in the format of the topic; without it, values are text.
    pub avro: Option<TopicEncoder>,
    /// Whether keys are text, whatever the topic's keys are.
    pub text_keys: bool,
    /// Where keys come from.
    pub key: KeyFrom,
    /// Whether a line is a whole message, as `consume` prints it.
    pub whole: bool,
    /// Headers of every record.
    pub headers: Vec<(String, String)>,
    /// Whether records get the headers that every Nubium app asks for.
    pub stamp: bool,
}

impl Encoder {
    /// Fills `record` from one item of the input.
    ///
    /// # Errors
    /// The item is not what the schema or the options want; says why.
    pub fn encode(&mut self, item: &Item, record: &mut Outgoing) -> Result<(), String> {
        let mut value = record.value.take().unwrap_or_default();
        let mut key = record.key.take().unwrap_or_default();
        value.clear();
        key.clear();
        record.headers.clear();
        record.timestamp = None;
        let parsed = match item {
            Item::Text(_) if !self.needs_json() => None,
            Item::Text(bytes) => Some(self.parse(bytes)?),
            Item::Json(_) | Item::Avro(_) => None,
        };
        let json = match item {
            Item::Json(json) => Some(json),
            _ => parsed.as_ref(),
        };
        if self.whole {
            let line = json.ok_or("only lines of JSON can be whole messages")?;
            envelope::read_sides(line, record)?;
        }
        let body = json.map(|json| if self.whole { &json["value"] } else { json });
        let there = self.put_value(item, body, &mut value)?;
        record.value = there.then_some(value);
        record.key = self.put_key(item, json, body, &mut key)?.then_some(key);
        self.put_headers(record);
        Ok(())
    }

    fn needs_json(&self) -> bool {
        self.avro.is_some() || self.whole || matches!(self.key, KeyFrom::Field(_))
    }

    /// Reads a line of JSON; of decimals no digit is lost.
    fn parse(&self, line: &[u8]) -> Result<Value, String> {
        let line = nubium_host::text::bytes_without_mark(line);
        let Some(schema) = self.avro.as_ref().map(TopicEncoder::schema) else {
            return parse(serde_json::from_slice(line));
        };
        if !self.whole {
            return parse(nubium_avro::json::parse(schema, schema.root(), line));
        }
        let mut whole = parse(serde_json::from_slice::<Value>(line))?;
        if schema.has_decimal() {
            let raw: Line<'_> = parse(serde_json::from_slice(line))?;
            let value = raw.value.map(|raw| {
                parse(nubium_avro::json::parse(schema, schema.root(), raw.get().as_bytes()))
            });
            if let (Some(value), Some(place)) = (value, whole.get_mut("value")) {
                *place = value?;
            }
        }
        Ok(whole)
    }

    /// Writes the value; answers whether there is one.
    fn put_value(
        &mut self,
        item: &Item,
        body: Option<&Value>,
        out: &mut Vec<u8>,
    ) -> Result<bool, String> {
        let bytes = body.filter(|_| self.whole).and_then(envelope::raw_of);
        if let Some(bytes) = bytes {
            out.extend_from_slice(&bytes?);
            return Ok(true);
        }
        match (&mut self.avro, item, body) {
            (_, _, Some(Value::Null)) if self.whole => return Ok(false),
            (Some(avro), Item::Avro(value), _) => {
                avro.encode_value(value, out).map_err(|error| error.reason)?;
            }
            (Some(avro), _, Some(json)) => {
                avro.encode_value(&Dynamic(json), out).map_err(|error| error.reason)?;
            }
            (None, _, Some(Value::String(text))) if self.whole => {
                out.extend_from_slice(text.as_bytes());
            }
            (None, _, Some(json)) if self.whole => {
                serde_json::to_writer(out, json).map_err(|error| error.to_string())?;
            }
            (None, Item::Text(bytes), _) => out.extend_from_slice(bytes),
            (None, Item::Json(json), _) => {
                serde_json::to_writer(out, json).map_err(|error| error.to_string())?;
            }
            (None, Item::Avro(_), _) | (Some(_), _, None) => {
                return Err("Avro data needs a schema to be written with".into());
            }
        }
        Ok(true)
    }

    /// Writes the key; answers whether there is one.
    fn put_key(
        &self,
        item: &Item,
        line: Option<&Value>,
        body: Option<&Value>,
        out: &mut Vec<u8>,
    ) -> Result<bool, String> {
        let text = match (&self.key, item) {
            (KeyFrom::Text(text), _) => text.clone(),
            (KeyFrom::Field(names), Item::Avro(value)) => {
                let json = Value::from(value);
                key_text(field(&json, names)?, names)?
            }
            (KeyFrom::Field(names), _) => {
                key_text(field(body.ok_or("a key field needs JSON")?, names)?, names)?
            }
            (KeyFrom::Nothing, _) => match line.filter(|_| self.whole).map(|line| &line["key"]) {
                None | Some(Value::Null) => return Ok(false),
                Some(key) => match envelope::raw_of(key) {
                    Some(bytes) => {
                        out.extend_from_slice(&bytes?);
                        return Ok(true);
                    }
                    None => key_text(key, &["key".into()])?,
                },
            },
        };
        match self.avro.as_ref().filter(|_| !self.text_keys) {
            Some(encoder) => encoder.encode_key(&text, out),
            None => out.extend_from_slice(text.as_bytes()),
        }
        Ok(true)
    }

    fn put_headers(&self, record: &mut Outgoing) {
        for (name, value) in &self.headers {
            record.headers.retain(|(given, _)| given != name);
            record.headers.push((name.clone(), Some(value.clone().into_bytes())));
        }
        if !self.stamp {
            return;
        }
        let has = |record: &Outgoing, name: &str| record.headers.iter().any(|(n, _)| n == name);
        if !has(record, "guid") {
            let guid = uuid::Builder::from_random_bytes(rand::rng().random()).into_uuid();
            record.headers.push(("guid".into(), Some(guid.to_string().into_bytes())));
        }
        if !has(record, "last_updated_by") {
            record.headers.push(("last_updated_by".into(), Some(b"dude".to_vec())));
        }
    }
}

/// The value of a whole message as it was written.
#[derive(serde::Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    value: Option<&'l serde_json::value::RawValue>,
}

fn parse<T>(parsed: Result<T, serde_json::Error>) -> Result<T, String> {
    parsed.map_err(|error| {
        // The line within the line is always the first.
        let text = error.to_string();
        format!("not JSON: {}", text.replace(" at line 1 column", " at column"))
    })
}

fn field<'v>(value: &'v Value, names: &[String]) -> Result<&'v Value, String> {
    names.iter().try_fold(value, |value, name| {
        value
            .get(name)
            .ok_or_else(|| format!("no field {:?} to take the key from", names.join(".")))
    })
}

fn key_text(value: &Value, names: &[String]) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => {
            Err(format!("{:?} is neither text nor a number, so it can be no key", names.join(".")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Encoder {
        let (avro, text_keys, key) = (None, false, KeyFrom::Nothing);
        Encoder { avro, text_keys, key, whole: false, headers: Vec::new(), stamp: false }
    }

    fn encode(encoder: &mut Encoder, line: &str) -> Result<Outgoing, String> {
        let mut record = Outgoing::default();
        encoder.encode(&Item::Text(line.into()), &mut record).map(|()| record)
    }

    #[test]
    fn text_goes_out_as_it_is() {
        let record = encode(&mut plain(), "no json").unwrap();
        assert_eq!((record.key, record.value), (None, Some(b"no json".to_vec())));
    }

    #[test]
    fn the_key_is_a_field_or_the_same_for_all() {
        let mut encoder = plain();
        encoder.key = KeyFrom::Field(vec!["who".into(), "id".into()]);
        let record = encode(&mut encoder, r#"{"who": {"id": 7}}"#).unwrap();
        assert_eq!(record.key, Some(b"7".to_vec()));
        assert!(encode(&mut encoder, "{}").unwrap_err().contains("who.id"));
        assert!(encode(&mut encoder, "nope").unwrap_err().starts_with("not JSON: "));
        encoder.key = KeyFrom::Text("same".into());
        assert_eq!(encode(&mut encoder, "x").unwrap().key, Some(b"same".to_vec()));
    }

    #[test]
    fn a_whole_message_keeps_its_parts() {
        let mut encoder = plain();
        encoder.whole = true;
        let line = r#"{"key": "k", "value": "text", "headers": {"guid": "g"}, "timestamp": 9}"#;
        let record = encode(&mut encoder, line).unwrap();
        assert_eq!(record.key, Some(b"k".to_vec()));
        assert_eq!(record.value, Some(b"text".to_vec()));
        assert_eq!(record.timestamp, Some(9));
        let record = encode(&mut encoder, r#"{"key": null, "value": null}"#).unwrap();
        assert_eq!((record.key, record.value), (None, None));
        let record = encode(&mut encoder, r#"{"value": {"$base64": "AP8="}}"#).unwrap();
        assert_eq!(record.value, Some(vec![0, 255]));
    }

    #[test]
    fn the_headers_that_apps_ask_for_are_added_where_they_lack() {
        let mut encoder = plain();
        (encoder.stamp, encoder.whole) = (true, true);
        encoder.headers = vec![("source".into(), "file".into())];
        let line = r#"{"value": "x", "headers": {"guid": "mine", "source": "old"}}"#;
        let record = encode(&mut encoder, line).unwrap();
        let text = |name: &str| {
            let found = record.headers.iter().find(|(n, _)| n == name).unwrap();
            String::from_utf8(found.1.clone().unwrap()).unwrap()
        };
        assert_eq!((text("guid"), text("source")), ("mine".into(), "file".into()));
        assert_eq!(text("last_updated_by"), "dude");
        assert_eq!(record.headers.len(), 3);
    }
}
