//! What the API answered, as a record of an output topic. Pure.

use nubium_core::Exception;
use nubium_host::text::bytes_without_mark;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use crate::item::Item;
use crate::settings::Produce;

/// What came back for one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    status: u16,
    headers: Value,
    body: Value,
}

impl Told {
    /// Keeps an answer; a body that is no JSON is text, and none is null.
    #[must_use]
    pub fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let plain = bytes_without_mark(body);
        let body = match serde_json::from_slice(plain) {
            Ok(body) => body,
            Err(_) if plain.is_empty() => Value::Null,
            Err(_) => String::from_utf8_lossy(plain).into(),
        };
        let headers: Map<String, Value> = headers
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())
            })
            .collect();
        Self { status: status.as_u16(), headers: headers.into(), body }
    }

    /// Makes the record of one item, `result` being what the answer says of it alone.
    ///
    /// # Errors
    /// The answer has nothing for a place of the template.
    pub fn record(
        &self,
        produce: &Produce,
        item: &Item,
        result: Option<&Value>,
    ) -> Result<Value, Exception> {
        let sent: Value =
            serde_json::from_str(&item.json).unwrap_or_else(|_| item.json.as_str().into());
        let all = json!({
            "item": sent,
            "status": self.status,
            "headers": self.headers,
            "body": self.body,
            "result": result,
        });
        produce.value.fill(&all).map(Option::unwrap_or_default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Identity;
    use crate::template::Shape;

    #[test]
    fn a_record_is_made_of_item_and_answer() {
        let headers = [("location", "/o/7")].map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
        let headers: HeaderMap = headers.into_iter().collect();
        let identity = Identity { topic: "t", partition: 0, offset: 1, timestamp: 5 };
        let item = Item { index: 0, identity, json: r#"{"id": 3}"#.into(), id: None, route: None };
        let value = Shape::parse(&json!({"id": "{{/item/id}}", "status": "{{/status}}",
            "at": "{{/headers/location?}}", "body": "{{/body?}}", "result": "{{/result/x?}}"}));
        let produce =
            Produce { topic: "answers".into(), schema: "{}".into(), value: value.unwrap() };
        for (body, result, want) in [
            ("\u{feff}[1]", None, json!({"id": 3, "status": 201, "at": "/o/7", "body": [1]})),
            ("", None, json!({"id": 3, "status": 201, "at": "/o/7"})),
            ("no JSON", Some(json!({"x": 1})), {
                json!({"id": 3, "status": 201, "at": "/o/7", "body": "no JSON", "result": 1})
            }),
        ] {
            let told = Told::new(StatusCode::CREATED, &headers, body.as_bytes());
            assert_eq!(told.record(&produce, &item, result.as_ref()), Ok(want), "{body}");
        }
    }
}
