//! From YAML to a request: where it goes, and what it carries.

use std::path::PathBuf;

use nubium_service::document::{Fields, Value as Yaml};
use reqwest::{Method, Url};
use serde_json::Value;

use super::document::{Directory, EXAMPLE, blank, unescape};
use super::{Body, Item, Methods, Request};
use crate::template::Text;

const METHODS: [(&str, Method); 5] = [
    ("POST", Method::POST),
    ("PUT", Method::PUT),
    ("PATCH", Method::PATCH),
    ("DELETE", Method::DELETE),
    ("GET", Method::GET),
];
/// Where the items lie in `around`.
const ITEMS: &str = "{{items}}";
/// Stands for the items while the body around them is written; no text of a person's has it.
const MARK: &str = "\u{1}items\u{1}";
/// What a text is if nothing says so.
const PLAIN: &str = "text/plain; charset=utf-8";

impl Directory<'_> {
    pub(super) fn request(&self, root: &Fields<'_>) -> Option<Request> {
        if !root.has("request") {
            root.problem("request", "nothing", "where messages are sent", EXAMPLE);
        }
        let part = root.section("request", EXAMPLE)?;
        let address = self.address(&part);
        let known = address.is_some();
        let (mut url, address) = address.unwrap_or_else(|| (blank().url, None));
        let host = url.host_str().unwrap_or_default().to_owned();
        let path = match &address {
            Some((_, text)) => path_of(text),
            None => url.path().to_owned(),
        };
        let query = self.query(&part, &mut url);
        let bodies = [
            ("json_array", Body::JsonArray),
            ("ndjson", Body::Ndjson),
            ("single", Body::Single),
            ("form", Body::Form),
            ("multipart", Body::Multipart),
            ("text", Body::Text),
        ];
        let items = [("value", Item::Value), ("envelope", Item::Envelope)];
        let body = part.choice("body", &bodies);
        let (method, methods) = self.methods(&part);
        let content_type = self.content_type(&part, body);
        let request = Request {
            method,
            methods,
            query,
            headers: self.headers(&part),
            name: part.text("name", "crm").unwrap_or(host),
            endpoint: part.text("endpoint", "/v1/orders").unwrap_or(path),
            template: self.template(&part, body, &content_type),
            around: self.around(&part, body),
            body,
            content_type,
            item: part.choice("item", &items),
            gzip: part.flag("gzip", false),
            timeout: part.seconds("timeout_seconds", 30.0, 0.01..=3_600.0),
            connect_timeout: part.seconds("connect_timeout_seconds", 5.0, 0.01..=300.0),
            ca_file: part.text("ca_file", "ca.pem").map(|f| self.directory.join(f)),
            client_certificate: self.client_certificate(&part),
            idempotency_header: self.header_name(&part, "idempotency_header"),
            address: address.map(|(address, _)| address),
            url,
        };
        if request.is_per_message() && body.is_bulk() {
            let expected = "one request a message, for its URL, query or method comes from the \
                message: single, form, multipart or text";
            part.problem("body", "many messages", expected, "body: single");
        }
        part.finish();
        known.then_some(request)
    }

    /// Reads the URL; where a message has a part in it, also as text with places.
    fn address(&self, part: &Fields<'_>) -> Option<(Url, Option<(Text, String)>)> {
        let example = "https://api.example.com/v1/orders/{{/id}}";
        let text = part.text("url", example).unwrap_or_default();
        if !text.contains("{{") {
            return Some((self.url(part, "url", "https://api.example.com/v1/orders")?, None));
        }
        let address = match Text::parse(&text) {
            Ok(address) => address,
            Err(why) => {
                part.problem("url", &text, &format!("places, but: {why}"), example);
                return None;
            }
        };
        let beginning = address.beginning();
        let host = beginning.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
        if !host {
            let expected = "places in the path and the query alone: the host is always the same";
            part.problem("url", &text, expected, example);
            return None;
        }
        let beginning = beginning.to_owned();
        let url = self.parse_url(part, "url", &beginning, example)?;
        Some((url, Some((address, text))))
    }

    /// Reads the query; what has no place becomes part of the URL.
    fn query(&self, part: &Fields<'_>, url: &mut Url) -> Vec<(String, Text)> {
        let example = "query: {customer: \"{{/customer}}\"}";
        let pairs = part.pairs("query", example);
        let mut texts = Vec::new();
        for (name, value) in pairs {
            let place = format!("query.{name}");
            if let Some(text) = self.with_places(part, &place, &value, example) {
                texts.push((name, text));
            }
        }
        if texts.iter().all(|(_, text)| text.is_fixed()) && !texts.is_empty() {
            for (name, text) in texts.drain(..) {
                url.query_pairs_mut().append_pair(&name, text.beginning());
            }
        }
        texts
    }

    pub(super) fn with_places(
        &self,
        part: &Fields<'_>,
        place: &str,
        text: &str,
        example: &str,
    ) -> Option<Text> {
        match Text::parse(text) {
            Ok(text) => Some(text),
            Err(why) => {
                part.problem(place, text, &format!("places, but: {why}"), example);
                None
            }
        }
    }

    /// Reads the files that say who asks by TLS.
    fn client_certificate(&self, part: &Fields<'_>) -> Option<(PathBuf, PathBuf)> {
        let names = ["client_certificate_file", "client_key_file"];
        match names.map(|name| part.has(name)) {
            [false, false] => None,
            [true, true] => {
                let certificate = self.secret(part, names[0]);
                Some((certificate, self.secret(part, names[1])))
            }
            [has_certificate, _] => {
                let missing = names[usize::from(has_certificate)];
                let example = format!("{missing}: /etc/secrets/client.pem");
                part.problem(missing, "nothing", "both files, or neither", &example);
                None
            }
        }
    }

    /// Reads the method, or how a message chooses one.
    fn methods(&self, part: &Fields<'_>) -> (Method, Option<Methods>) {
        let example = "method: {from: /op, values: {c: POST, d: DELETE}, otherwise: PUT}";
        if !matches!(part.value("method"), Some(Yaml::Mapping(_))) {
            let method = part.text("method", "POST").unwrap_or_else(|| "POST".into());
            return (self.method(part, "method", &method), None);
        }
        let Some(inner) = part.section("method", example) else {
            return (Method::POST, None);
        };
        let mut values = Vec::new();
        for (value, method) in inner.pairs("values", example) {
            let place = format!("values.{value}");
            values.push((value, self.method(&inner, &place, &method)));
        }
        let from = inner.text_or_empty("from", "/op");
        self.pointer(&inner, "from", from.as_deref().unwrap_or_default());
        if from.is_some() == values.is_empty() {
            let expected = "`from`, a pointer into the item, and `values` together, or neither";
            inner.problem("from", "one of them", expected, example);
        }
        let one = |name: &str| {
            let text = inner.text(name, "DELETE")?;
            Some(self.method(&inner, name, &text))
        };
        let (tombstone, otherwise) = (one("tombstone"), one("otherwise"));
        inner.finish();
        let usual = otherwise.clone().unwrap_or(Method::POST);
        let otherwise = otherwise.or_else(|| from.is_none().then_some(Method::POST));
        (usual, Some(Methods { from, values, tombstone, otherwise }))
    }

    fn method(&self, part: &Fields<'_>, place: &str, text: &str) -> Method {
        let found = METHODS.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<_> = METHODS.iter().map(|(name, _)| *name).collect();
            let expected = format!("one of {}", names.join(", "));
            part.problem(place, text, &expected, "method: POST");
        }
        found.map_or(Method::POST, |(_, method)| method.clone())
    }

    fn content_type(&self, part: &Fields<'_>, body: Body) -> String {
        let usual = match body {
            Body::JsonArray | Body::Single => "application/json",
            Body::Ndjson => "application/x-ndjson",
            Body::Form => "application/x-www-form-urlencoded",
            Body::Multipart => "multipart/form-data",
            Body::Text => PLAIN,
        };
        let example = "content_type: application/soap+xml";
        let Some(given) = part.text("content_type", example) else {
            return usual.into();
        };
        if reqwest::header::HeaderValue::try_from(given.as_str()).is_err() {
            part.problem("content_type", &given, "a media type", example);
        }
        if body == Body::Multipart {
            let expected = "nothing: the uploader says it, with the boundary";
            part.problem("content_type", &given, expected, "body: text");
        }
        given
    }

    /// Reads what stands before and after the items of a JSON array.
    fn around(&self, part: &Fields<'_>, body: Body) -> (String, String) {
        let example = "around: {rows: \"{{items}}\"}";
        let wrap = part.text_or_empty("wrap", "/records").unwrap_or_default();
        self.pointer(part, "wrap", &wrap);
        let given = part.has("around");
        if (given || !wrap.is_empty()) && body != Body::JsonArray {
            let name = if given { "around" } else { "wrap" };
            let expected = "nothing: only the array of `body: json_array` can lie inside an object";
            part.problem(name, "a place", expected, "body: json_array");
        }
        if given && !wrap.is_empty() {
            let expected = "`around` or `wrap`, not both";
            part.problem("around", "both", expected, example);
        }
        if !given {
            let names: Vec<String> = wrap.split('/').skip(1).map(unescape).collect();
            let before = names.iter().map(|name| format!("{{{}:", Value::from(name.as_str())));
            return (before.collect(), "}".repeat(names.len()));
        }
        let Some(value) = self.json(part, "around", example) else { return Default::default() };
        let text = marked(value).to_string();
        let mark = Value::from(MARK).to_string();
        match text.split(&mark).collect::<Vec<_>>()[..] {
            [before, after] => (before.to_owned(), after.to_owned()),
            _ => {
                let expected = format!("JSON with {ITEMS:?} once, where the array of items is");
                part.problem("around", "JSON", &expected, example);
                Default::default()
            }
        }
    }
}

/// Puts a mark where the items are.
fn marked(value: Value) -> Value {
    match value {
        Value::String(text) if text == ITEMS => MARK.into(),
        Value::Array(items) => items.into_iter().map(marked).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, marked(value))).collect()
        }
        other => other,
    }
}

/// The path of a URL with places, as it is shown: one name for all that it may become.
fn path_of(text: &str) -> String {
    let after = text.split_once("://").map_or(text, |(_, after)| after);
    let path = after.find('/').map_or("/", |at| &after[at..]);
    // A question mark between braces makes a place optional.
    let mut inside = false;
    let end = path.char_indices().find(|(at, letter)| {
        inside = match &path[*at..] {
            rest if rest.starts_with("{{") => true,
            rest if rest.starts_with("}}") => false,
            _ => inside,
        };
        *letter == '?' && !inside
    });
    end.map_or(path, |(at, _)| &path[..at]).to_owned()
}
