//! What clients are told: JSON on success, problem details (RFC 9457) on failure.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::fit::Problem;

/// The answer to a request whose records are all acknowledged.
#[derive(Debug, Serialize)]
pub struct Accepted {
    /// Always true; the original's word.
    pub success: bool,
    /// Records that were produced.
    pub records: usize,
    /// Items that the route's program dropped.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped: usize,
    /// The guid of the only item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// The guids of a list's items, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guids: Option<Vec<String>>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Says what became of one item of a request that failed on its way to Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemStatus {
    /// Its place in the body.
    pub index: usize,
    /// Its guid.
    pub guid: String,
    /// What became of it.
    pub status: Status,
    /// Kafka's words, if it was not acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Names what became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All its records are in their topics.
    Acknowledged,
    /// None of its records, or not all of them, are in their topics.
    NotWritten,
    /// Nobody knows.
    Unknown,
}

/// A request that is refused or failed. Boxed, as it is the rare side of a `Result`.
#[derive(Debug)]
pub struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    detail: String,
    problems: Vec<Problem>,
    items: Vec<ItemStatus>,
    retry_after: Option<Duration>,
    extra: Option<(header::HeaderName, HeaderValue)>,
    close: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    title: &'a str,
    status: u16,
    exception: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Problem],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    items: &'a [ItemStatus],
}

impl Refusal {
    /// Refuses with a status and a sentence for the client.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            detail: detail.into(),
            problems: Vec::new(),
            items: Vec::new(),
            retry_after: None,
            extra: None,
            close: false,
        }))
    }

    /// Lists what is wrong with the body.
    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.0.problems = problems;
        self
    }

    /// Lists what became of each item.
    pub fn with_items(mut self, items: Vec<ItemStatus>) -> Self {
        self.0.items = items;
        self
    }

    /// Says when to try again.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds a header.
    pub fn with_header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.0.extra = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// Closes the connection, so that the rest of a body is never read.
    pub fn closing(mut self) -> Self {
        self.0.close = true;
        self
    }

    /// Gives the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Gives the sentence for the client.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Names the failure for the `message_errors` metric, as the original's framework did.
    #[must_use]
    pub fn exception(&self) -> &'static str {
        match self.0.status {
            StatusCode::BAD_REQUEST => "BadRequest",
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::REQUEST_TIMEOUT => "RequestTimeout",
            StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
            StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "InternalServerError",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let exception = self.exception();
        let this = *self.0;
        let body = Body {
            title: this.status.canonical_reason().unwrap_or_default(),
            status: this.status.as_u16(),
            exception,
            detail: &this.detail,
            problems: &this.problems,
            items: &this.items,
        };
        let mut response = json(this.status, "application/problem+json", &body);
        let headers = response.headers_mut();
        if let Some(wait) = this.retry_after {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some((name, value)) = this.extra {
            headers.insert(name, value);
        }
        if this.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Answers with JSON that nobody keeps.
pub fn json(status: StatusCode, kind: &'static str, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
            (status, headers, bytes).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "An answer could not be written.");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
