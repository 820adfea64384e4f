//! Where one message's request goes, and by which method. Pure.

use nubium_core::Exception;
use reqwest::{Method, Url};
use serde_json::Value;

use crate::settings::{Methods, Request};
use crate::template::Escape;

/// A request of one message's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
}

impl Route {
    /// Whether its requests have a body.
    #[must_use]
    pub fn has_body(method: &Method) -> bool {
        !matches!(*method, Method::GET | Method::DELETE)
    }
}

impl Request {
    /// Gives the route of an item; `None` where all go the same way.
    ///
    /// # Errors
    /// The item has nothing for a place, or no method.
    pub fn route(&self, item: &Value, is_tombstone: bool) -> Result<Option<Route>, Exception> {
        if !self.is_per_message() {
            return Ok(None);
        }
        let method = match &self.methods {
            None => self.method.clone(),
            Some(methods) => methods.choose(item, is_tombstone)?,
        };
        let mut url = match &self.address {
            None => self.url.clone(),
            Some(address) => {
                let text = address.fill(item, Escape::Path)?;
                let wrong = |error| Exception::new("TemplateError", format!("{text}: {error}"));
                Url::parse(&text).map_err(wrong)?
            }
        };
        for (name, text) in &self.query {
            if let Some(value) = text.fill_or_leave_out(item)? {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        Ok(Some(Route { method, url }))
    }
}

impl Methods {
    fn choose(&self, item: &Value, is_tombstone: bool) -> Result<Method, Exception> {
        if let Some(method) = self.tombstone.as_ref().filter(|_| is_tombstone) {
            return Ok(method.clone());
        }
        let found = self.from.as_deref().and_then(|pointer| item.pointer(pointer));
        let text = found.map(crate::item::id_text).unwrap_or_default();
        let named = self.values.iter().find(|(value, _)| found.is_some() && *value == text);
        let method = named.map(|(_, method)| method).or(self.otherwise.as_ref());
        method.cloned().ok_or_else(|| {
            let from = self.from.as_deref().unwrap_or_default();
            let text = format!("no method for {text:?} at {from}; `otherwise` would be one");
            Exception::new("TemplateError", text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use serde_json::json;

    fn request(text: &str) -> Request {
        let text = format!("request: {{body: single, {text}}}");
        let settings = Settings::parse("u", &text, std::path::Path::new(""));
        settings.unwrap_or_else(|problems| panic!("{problems:?}")).request
    }

    fn shown(request: &Request, item: &Value, is_tombstone: bool) -> String {
        match request.route(item, is_tombstone) {
            Ok(route) => route.map_or("all".into(), |it| format!("{} {}", it.method, it.url)),
            Err(exception) => exception.to_string(),
        }
    }

    #[test]
    fn url_query_and_method_come_from_the_message() {
        let crm = request(
            "url: 'http://x/v1/{{/kind}}/{{/id}}?x=1', query: {dry: '1', by: '{{/by?}}'}, \
             method: {from: /op, values: {c: POST, u: PUT}, tombstone: DELETE}",
        );
        assert_eq!(
            (crm.url.as_str(), crm.endpoint.as_str()),
            ("http://x/v1/", "/v1/{{/kind}}/{{/id}}")
        );
        let item = json!({"kind": "orders", "id": "a/../b", "op": "u", "by": "é&"});
        let want = "PUT http://x/v1/orders/a%2F..%2Fb?x=1&dry=1&by=%C3%A9%26";
        assert_eq!(shown(&crm, &item, false), want);
        let item = json!({"kind": "o", "id": 7, "op": "c"});
        assert_eq!(shown(&crm, &item, false), "POST http://x/v1/o/7?x=1&dry=1");
        assert_eq!(shown(&crm, &item, true), "DELETE http://x/v1/o/7?x=1&dry=1");
        let item = json!({"kind": "o", "id": 7, "op": "z"});
        assert!(shown(&crm, &item, false).contains("no method for \"z\" at /op"));
        let item = json!({"kind": "..", "id": 7, "op": "c"});
        assert!(shown(&crm, &item, false).contains("no segment of a path"));
        let fixed = request("url: 'http://x/v1', query: {dry: '1'}");
        assert_eq!(shown(&fixed, &Value::Null, false), "all");
        assert_eq!(fixed.url.as_str(), "http://x/v1?dry=1");
        let by_tombstone = request("url: 'http://x/', method: {otherwise: PUT, tombstone: DELETE}");
        assert_eq!(shown(&by_tombstone, &Value::Null, true), "DELETE http://x/");
        assert_eq!(shown(&by_tombstone, &json!(1), false), "PUT http://x/");
    }
}
