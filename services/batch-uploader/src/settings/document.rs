//! From YAML to settings.

use std::path::{Path, PathBuf};

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::reader::{Part, Reader};
use super::{
    Answer, Batch, Body, Breaker, Ids, Item, Limits, Problem, Quota, Request, Retry, Settings,
};

pub(super) const EXAMPLE: &str = "request: {url: \"https://api.example.com/v1/orders\"}";
const SECTIONS: [&str; 8] =
    ["topics", "request", "auth", "batch", "limits", "retry", "answer", "produce"];

pub(super) fn parse(name: &str, text: &str, directory: &Path) -> Result<Settings, Vec<Problem>> {
    let mut document = Document { reader: Reader::new(name), directory };
    let root = document.reader.root(text, EXAMPLE);
    document.reader.names(&root, &SECTIONS);
    let topics = document.reader.texts(&root, "topics", "topics: [orders]");
    let mut part = |section: &str| {
        document.reader.part(&root, section, &format!("{section}: {{…}}")).unwrap_or_default()
    };
    let (batch, limits, retry) = (part("batch"), part("limits"), part("retry"));
    let request = document.request(&root);
    let settings = Settings {
        name: name.to_owned(),
        topics,
        auth: document.auth(&root),
        batch: document.batch(&batch),
        limits: document.limits(&limits),
        quota: document.quota(&limits),
        retry: document.retry(&retry),
        answer: document.answer(&root),
        produce: document.produce(&root),
        request: request.unwrap_or_else(blank),
    };
    document.rules(&root, &settings);
    match document.reader.problems.is_empty() {
        true => Ok(settings),
        false => Err(document.reader.problems),
    }
}

/// Stands for a request that could not be read, so that the other sections are checked too.
fn blank() -> Request {
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

pub(super) struct Document<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) directory: &'a Path,
}

impl Document<'_> {
    pub(super) fn headers(&mut self, part: &Part) -> Vec<(String, String)> {
        let pairs = self.reader.pairs(part, "headers", "headers: {x-tenant: \"7\"}");
        for (name, value) in &pairs {
            let good = HeaderName::try_from(name.as_str()).is_ok()
                && HeaderValue::try_from(value.as_str()).is_ok();
            if !good {
                let place = format!("headers.{name}");
                let expected = "a header that HTTP allows";
                self.reader.refuse(part, &place, value, expected, "x-tenant: \"7\"");
            }
            if name.eq_ignore_ascii_case("authorization") {
                let expected = "credentials under `auth`, from a file, so that they never print";
                self.reader.refuse(part, "headers", "authorization", expected, "auth: {bearer: …}");
            }
        }
        pairs
    }

    pub(super) fn header_name(&mut self, part: &Part, name: &str) -> Option<String> {
        let example = "idempotency_header: Idempotency-Key";
        let header = self.reader.text(part, name, example)?;
        if HeaderName::try_from(header.as_str()).is_err() {
            self.reader.refuse(part, name, &header, "a header's name", example);
        }
        Some(header)
    }

    pub(super) fn url(&mut self, part: &Part, name: &str, example: &str) -> Option<Url> {
        let text = self.reader.required(part, name, example);
        if text.is_empty() {
            return None;
        }
        self.parse_url(part, name, &text, example)
    }

    pub(super) fn parse_url(
        &mut self,
        part: &Part,
        name: &str,
        text: &str,
        example: &str,
    ) -> Option<Url> {
        let with_secret = |url: &Url| url.password().is_some() || !url.username().is_empty();
        match Url::parse(text) {
            Ok(url) if with_secret(&url) => {
                let expected = "a URL without credentials; they belong under `auth`";
                self.reader.refuse(part, name, "[redacted]", expected, example);
                None
            }
            Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => Some(url),
            _ => {
                self.reader.refuse(part, name, text, "a URL of http or https", example);
                None
            }
        }
    }

    /// Reads the path of a file with a secret, which must be there and not empty.
    pub(super) fn secret(&mut self, part: &Part, name: &str) -> PathBuf {
        let example = "/etc/secrets/api";
        let file = self.reader.required(part, name, example);
        let path = self.directory.join(&file);
        if !file.is_empty()
            && let Err(error) = crate::secret_file::read(&path)
        {
            let expected = format!("a file with the secret, but: {error:#}");
            self.reader.refuse(part, name, &file, &expected, &format!("{name}: {example}"));
        }
        path
    }

    fn batch(&mut self, part: &Part) -> Batch {
        self.reader.names(part, &["count", "megabytes", "seconds"]);
        let megabytes = self.reader.number(part, "megabytes", 5.0, (0.001, 1_000.0));
        Batch {
            count: self.reader.whole(part, "count", 100, (1, 100_000)) as usize,
            bytes: (megabytes * 1e6) as usize,
            time: self.reader.seconds(part, "seconds", 1.0, (0.0, 3_600.0)),
        }
    }

    /// Reads the headers of the API's own limit.
    fn quota(&mut self, part: &Part) -> Option<Quota> {
        let remaining = self.header_name(part, "remaining_header");
        let reset = self.header_name(part, "reset_header");
        if remaining.is_some() != reset.is_some() {
            let name = if remaining.is_some() { "reset_header" } else { "remaining_header" };
            let example = "limits: {remaining_header: X-RateLimit-Remaining, \
                reset_header: X-RateLimit-Reset}";
            self.reader.refuse(part, name, "nothing", "both headers, or neither", example);
        }
        Some(Quota { remaining: remaining?, reset: reset? })
    }

    fn breaker(&mut self, part: &Part) -> Option<Breaker> {
        let part = self.reader.part(part, "breaker", "breaker: {failures: 5, seconds: 30}")?;
        self.reader.names(&part, &["failures", "seconds"]);
        let failures = self.reader.whole(&part, "failures", 5, (1, 10_000));
        let pause = self.reader.seconds(&part, "seconds", 30.0, (0.1, 3_600.0));
        Some(Breaker { failures: u32::try_from(failures).unwrap_or(u32::MAX), pause })
    }

    fn limits(&mut self, part: &Part) -> Limits {
        let known =
            ["concurrency", "requests_per_second", "remaining_header", "reset_header", "breaker"];
        self.reader.names(part, &known);
        let bounded = part.has("requests_per_second");
        let rate = self.reader.number(part, "requests_per_second", 1.0, (0.001, 1e6));
        Limits {
            concurrency: self.reader.whole(part, "concurrency", 1, (1, 1_000)) as usize,
            requests_per_second: bounded.then_some(rate),
            breaker: self.breaker(part),
        }
    }

    fn retry(&mut self, part: &Part) -> Retry {
        self.reader.names(part, &["tries", "backoff_seconds", "backoff_max_seconds"]);
        let tries = self.reader.whole(part, "tries", 5, (0, 1_000_000));
        let backoff = self.reader.seconds(part, "backoff_seconds", 1.0, (0.001, 3_600.0));
        let longest = backoff.as_secs_f64().max(60.0);
        let bounds = (backoff.as_secs_f64(), 86_400.0);
        Retry {
            tries: part.has("tries").then_some(match tries {
                0 => u32::MAX,
                tries => u32::try_from(tries).unwrap_or(u32::MAX),
            }),
            backoff,
            backoff_max: self.reader.seconds(part, "backoff_max_seconds", longest, bounds),
        }
    }

    fn answer(&mut self, root: &Part) -> Option<Answer> {
        let example = "answer: {items: /results, status: /status}";
        let part = self.reader.part(root, "answer", example)?;
        self.reader.names(&part, &["items", "status", "done", "id", "item_id"]);
        let items = self.reader.text(&part, "items", "/results").unwrap_or_default();
        let status = self.reader.text(&part, "status", "/status").unwrap_or("/status".into());
        for (name, pointer) in [("items", &items), ("status", &status)] {
            self.pointer(&part, name, pointer);
        }
        let id = self.reader.text(&part, "id", "/id");
        let item_id = self.reader.text(&part, "item_id", "/id");
        for (name, pointer) in [("id", &id), ("item_id", &item_id)] {
            self.pointer(&part, name, pointer.as_deref().unwrap_or_default());
        }
        if id.is_some() != item_id.is_some() {
            let name = if id.is_some() { "item_id" } else { "id" };
            let expected = "`id` in a result and `item_id` in a sent item together, or neither";
            self.reader.refuse(&part, name, "nothing", expected, &format!("{name}: /id"));
        }
        let done = self.reader.texts(&part, "done", "done: [ok, created]");
        let ids = id.zip(item_id).map(|(result, item)| Ids { result, item });
        Some(Answer { items, status, done, ids })
    }

    pub(super) fn pointer(&mut self, part: &Part, name: &str, pointer: &str) {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            let expected = "a JSON pointer: empty, or names each after a slash";
            self.reader.refuse(part, name, pointer, expected, &format!("{name}: /results"));
        }
    }

    /// The rules between settings.
    fn rules(&mut self, root: &Part, settings: &Settings) {
        if !settings.is_bulk() && settings.answer.is_some() {
            let expected = "nothing: with `body: single` every answer is about one message";
            self.reader.refuse(
                root,
                "answer",
                "results of items",
                expected,
                "request: {body: ndjson}",
            );
        }
    }
}

/// Undoes the escapes of a JSON pointer.
pub(super) fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}
