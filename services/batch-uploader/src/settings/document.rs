//! From YAML to settings.

use std::path::{Path, PathBuf};

use nubium_service::document::{Document, Fields};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::{
    Answer, Batch, Body, Breaker, Ids, Item, Limits, Problem, Quota, Request, Retry, Settings,
};

pub(super) const EXAMPLE: &str = "request: {url: \"https://api.example.com/v1/orders\"}";

pub(super) fn parse(name: &str, text: &str, directory: &Path) -> Result<Settings, Vec<Problem>> {
    let document = Document::new(name);
    let root = document.root(text, "a map of settings", EXAMPLE);
    let settings = root.map(|root| Directory { directory }.settings(name, &root));
    document.finish(settings)
}

impl Directory<'_> {
    fn settings(&self, name: &str, root: &Fields<'_>) -> Settings {
        let part = |section: &str| root.section_or_empty(section, &format!("{section}: {{…}}"));
        let (batch, limits, retry) = (part("batch"), part("limits"), part("retry"));
        let settings = Settings {
            name: name.to_owned(),
            topics: root.texts("topics", "topics: [orders]"),
            request: self.request(root).unwrap_or_else(blank),
            auth: self.auth(root),
            batch: self.batch(&batch),
            limits: self.limits(&limits),
            quota: self.quota(&limits),
            retry: self.retry(&retry),
            answer: self.answer(root),
            produce: self.produce(root),
        };
        if !settings.is_bulk() && settings.answer.is_some() {
            let expected = "nothing: with `body: single` every answer is about one message";
            root.problem("answer", "results of items", expected, "request: {body: ndjson}");
        }
        limits.finish();
        root.finish();
        settings
    }
}

/// Stands for a request that could not be read, so that the other sections are checked too.
pub(super) fn blank() -> Request {
    Request {
        url: Url::parse("http://localhost").expect("a URL"),
        address: None,
        query: Vec::new(),
        method: Method::POST,
        methods: None,
        headers: Vec::new(),
        name: String::new(),
        endpoint: String::new(),
        body: Body::JsonArray,
        item: Item::Value,
        template: None,
        around: Default::default(),
        content_type: String::new(),
        gzip: false,
        timeout: std::time::Duration::ZERO,
        connect_timeout: std::time::Duration::ZERO,
        ca_file: None,
        client_certificate: None,
        idempotency_header: None,
    }
}

/// Reads sections; the files that they name lie in a directory.
pub(super) struct Directory<'a> {
    pub(super) directory: &'a Path,
}

impl Directory<'_> {
    pub(super) fn headers(&self, part: &Fields<'_>) -> Vec<(String, String)> {
        let pairs = part.pairs("headers", "headers: {x-tenant: \"7\"}");
        for (name, value) in &pairs {
            let good = HeaderName::try_from(name.as_str()).is_ok()
                && HeaderValue::try_from(value.as_str()).is_ok();
            if !good {
                let place = format!("headers.{name}");
                let expected = "a header that HTTP allows";
                part.problem(&place, value, expected, "x-tenant: \"7\"");
            }
            if name.eq_ignore_ascii_case("authorization") {
                let expected = "credentials under `auth`, from a file, so that they never print";
                part.problem("headers", "authorization", expected, "auth: {bearer: …}");
            }
        }
        pairs
    }

    pub(super) fn header_name(&self, part: &Fields<'_>, name: &str) -> Option<String> {
        let example = "idempotency_header: Idempotency-Key";
        let header = part.text(name, example)?;
        if HeaderName::try_from(header.as_str()).is_err() {
            part.problem(name, &header, "a header's name", example);
        }
        Some(header)
    }

    pub(super) fn url(&self, part: &Fields<'_>, name: &str, example: &str) -> Option<Url> {
        let text = part.needed(name, "text", example).unwrap_or_default();
        if text.is_empty() {
            return None;
        }
        self.parse_url(part, name, &text, example)
    }

    pub(super) fn parse_url(
        &self,
        part: &Fields<'_>,
        name: &str,
        text: &str,
        example: &str,
    ) -> Option<Url> {
        let with_secret = |url: &Url| url.password().is_some() || !url.username().is_empty();
        match Url::parse(text) {
            Ok(url) if with_secret(&url) => {
                let expected = "a URL without credentials; they belong under `auth`";
                part.problem(name, "[redacted]", expected, example);
                None
            }
            Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => Some(url),
            _ => {
                part.problem(name, text, "a URL of http or https", example);
                None
            }
        }
    }

    /// Reads the path of a file with a secret, which must be there and not empty.
    pub(super) fn secret(&self, part: &Fields<'_>, name: &str) -> PathBuf {
        let example = "/etc/secrets/api";
        let file = part.needed(name, "text", example).unwrap_or_default();
        let path = self.directory.join(&file);
        if !file.is_empty()
            && let Err(error) = crate::secret_file::read(&path)
        {
            let expected = format!("a file with the secret, but: {error:#}");
            part.problem(name, &file, &expected, &format!("{name}: {example}"));
        }
        path
    }

    fn batch(&self, part: &Fields<'_>) -> Batch {
        let megabytes = part.number("megabytes", 5.0, 0.001..=1_000.0);
        let batch = Batch {
            count: part.whole("count", 100, 1..=100_000) as usize,
            bytes: (megabytes * 1e6) as usize,
            time: part.seconds("seconds", 1.0, 0.0..=3_600.0),
        };
        part.finish();
        batch
    }

    /// Reads the headers of the API's own limit.
    fn quota(&self, part: &Fields<'_>) -> Option<Quota> {
        let remaining = self.header_name(part, "remaining_header");
        let reset = self.header_name(part, "reset_header");
        if remaining.is_some() != reset.is_some() {
            let name = if remaining.is_some() { "reset_header" } else { "remaining_header" };
            let example = "limits: {remaining_header: X-RateLimit-Remaining, \
                reset_header: X-RateLimit-Reset}";
            part.problem(name, "nothing", "both headers, or neither", example);
        }
        Some(Quota { remaining: remaining?, reset: reset? })
    }

    fn breaker(&self, part: &Fields<'_>) -> Option<Breaker> {
        let part = part.section("breaker", "breaker: {failures: 5, seconds: 30}")?;
        let failures = part.whole("failures", 5, 1..=10_000);
        let pause = part.seconds("seconds", 30.0, 0.1..=3_600.0);
        part.finish();
        Some(Breaker { failures: u32::try_from(failures).unwrap_or(u32::MAX), pause })
    }

    fn limits(&self, part: &Fields<'_>) -> Limits {
        let bounded = part.has("requests_per_second");
        let rate = part.number("requests_per_second", 1.0, 0.001..=1e6);
        Limits {
            concurrency: part.whole("concurrency", 1, 1..=1_000) as usize,
            requests_per_second: bounded.then_some(rate),
            breaker: self.breaker(part),
        }
    }

    fn retry(&self, part: &Fields<'_>) -> Retry {
        let tries = part.whole("tries", 5, 0..=1_000_000);
        let backoff = part.seconds("backoff_seconds", 1.0, 0.001..=3_600.0);
        let longest = backoff.as_secs_f64().max(60.0);
        let bounds = backoff.as_secs_f64()..=86_400.0;
        let retry = Retry {
            tries: part.has("tries").then_some(match tries {
                0 => u32::MAX,
                tries => u32::try_from(tries).unwrap_or(u32::MAX),
            }),
            backoff,
            backoff_max: part.seconds("backoff_max_seconds", longest, bounds),
        };
        part.finish();
        retry
    }

    fn answer(&self, root: &Fields<'_>) -> Option<Answer> {
        let example = "answer: {items: /results, status: /status}";
        let part = root.section("answer", example)?;
        let items = part.text_or_empty("items", "/results").unwrap_or_default();
        let status = part.text_or_empty("status", "/status").unwrap_or("/status".into());
        for (name, pointer) in [("items", &items), ("status", &status)] {
            self.pointer(&part, name, pointer);
        }
        let id = part.text_or_empty("id", "/id");
        let item_id = part.text_or_empty("item_id", "/id");
        for (name, pointer) in [("id", &id), ("item_id", &item_id)] {
            self.pointer(&part, name, pointer.as_deref().unwrap_or_default());
        }
        if id.is_some() != item_id.is_some() {
            let name = if id.is_some() { "item_id" } else { "id" };
            let expected = "`id` in a result and `item_id` in a sent item together, or neither";
            part.problem(name, "nothing", expected, &format!("{name}: /id"));
        }
        let done = part.texts("done", "done: [ok, created]");
        part.finish();
        let ids = id.zip(item_id).map(|(result, item)| Ids { result, item });
        Some(Answer { items, status, done, ids })
    }

    pub(super) fn pointer(&self, part: &Fields<'_>, name: &str, pointer: &str) {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            let expected = "a JSON pointer: empty, or names each after a slash";
            part.problem(name, pointer, expected, &format!("{name}: /results"));
        }
    }
}

/// Undoes the escapes of a JSON pointer.
pub(super) fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}
