//! Sends one request and reads its answer.

use std::time::Duration;

use nubium_host::text;
use reqwest::{Client, Method, Response, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::config::Server;
use super::policy::{Failure, Verdict, retriable};
use super::{RegistryConfig, RegistryError, SchemaBody};

/// The API's media type.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Longest part of an answer's text that goes into an error.
const MESSAGE_MAX: usize = 500;

/// Answers above this are not read: no schema is that large.
const BODY_MAX: usize = 16 << 20;

/// One request, in words and in terms of the API.
pub(super) struct Call<'c> {
    pub(super) what: String,
    pub(super) endpoint: &'static str,
    pub(super) segments: &'c [&'c str],
    pub(super) query: Option<&'c str>,
    pub(super) body: Option<Body<'c>>,
}

/// What a request brings.
#[derive(Clone, Copy)]
pub(super) enum Body<'c> {
    /// A schema.
    Schema(SchemaBody<'c>),
    /// The compatibility level that a subject shall have.
    Level(&'c str),
}

/// Says why one attempt failed.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) verdict: Verdict,
    status: u16,
    pub(super) message: String,
}

/// Sends one request to one server; returns the HTTP status (0: no answer) beside the outcome.
pub(super) async fn ask<T: DeserializeOwned>(
    client: &Client,
    server: &Server,
    call: &Call<'_>,
) -> (u16, Result<T, Attempt>) {
    let method = match call.body {
        None => Method::GET,
        Some(Body::Schema(_)) => Method::POST,
        Some(Body::Level(_)) => Method::PUT,
    };
    let mut request = client.request(method, server.route(call.segments, call.query));
    request = request.header(header::ACCEPT, MEDIA_TYPE);
    if let Some((username, password)) = &server.login {
        request = request.basic_auth(username, Some(password));
    }
    if let Some(body) = call.body {
        request = request.header(header::CONTENT_TYPE, MEDIA_TYPE);
        request = match body {
            Body::Schema(schema) => request.json(&schema),
            Body::Level(level) => request.json(&serde_json::json!({ "compatibility": level })),
        };
    }
    match request.send().await {
        Ok(answer) => (answer.status().as_u16(), read(&server.base, answer).await),
        Err(error) => (0, Err(Attempt::from_error(&server.base, error))),
    }
}

impl Call<'_> {
    pub(super) fn subjects() -> Self {
        Self {
            what: "list the registry's subjects".into(),
            endpoint: "/subjects",
            segments: &["subjects"],
            query: None,
            body: None,
        }
    }

    pub(super) fn method(&self) -> &'static str {
        match self.body {
            None => "GET",
            Some(Body::Schema(_)) => "POST",
            Some(Body::Level(_)) => "PUT",
        }
    }

    pub(super) fn error(&self, attempt: Attempt, waited: Duration) -> RegistryError {
        let (what, message) = (self.what.clone(), attempt.message);
        match attempt.verdict {
            Verdict::Retry { .. } => RegistryError::Unreachable { what, waited, last: message },
            _ => RegistryError::Refused { what, status: attempt.status, message },
        }
    }
}

impl Attempt {
    pub(super) fn new(failure: Failure, message: impl Into<String>) -> Self {
        let status = if let Failure::Status { code, .. } = failure { code } else { 0 };
        Self { verdict: retriable(failure), status, message: message.into() }
    }

    /// Describes a failure with the base URL, which has no login, instead of reqwest's full one.
    fn from_error(base: &reqwest::Url, error: reqwest::Error) -> Self {
        let failure = if error.is_timeout() { Failure::Timeout } else { Failure::Transport };
        let error = error.without_url();
        let mut message = format!("{base} {error}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(failure, message)
    }
}

pub(super) fn client(config: &RegistryConfig, servers: &[Server]) -> Result<Client, RegistryError> {
    let settings = |error: reqwest::Error| RegistryError::Settings(error.to_string());
    let mut client = Client::builder()
        .user_agent(concat!("nubium/", env!("CARGO_PKG_VERSION")))
        .timeout(config.timeout)
        .connect_timeout(config.timeout);
    if let Some(pem) = &config.ca_pem {
        let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(settings)?;
        if certificates.is_empty() {
            let nothing = "the CA file holds no PEM certificate".into();
            return Err(RegistryError::Settings(nothing));
        }
        client = client.tls_certs_merge(certificates);
    } else if servers.iter().all(|server| server.base.scheme() == "http") {
        // Images without CA certificates can still use a plain registry.
        client = client.tls_certs_only([]);
    }
    client.build().map_err(settings)
}

/// Reads an answer: JSON of the wanted form, or the registry's error.
async fn read<T: DeserializeOwned>(base: &reqwest::Url, answer: Response) -> Result<T, Attempt> {
    let status = answer.status();
    let retry_after = retry_after(&answer);
    let body = match body(answer).await {
        Ok(body) => body,
        Err(error) => return Err(Attempt::from_error(base, error)),
    };
    if !status.is_success() {
        let failure = Failure::Status { code: status.as_u16(), retry_after };
        return Err(Attempt::new(failure, message(base, status, &body)));
    }
    serde_json::from_slice(text::bytes_without_mark(&body)).map_err(|error| {
        let text = shortened(&String::from_utf8_lossy(&body));
        Attempt::new(Failure::Body, format!("{base} sent no valid answer ({error}): {text}"))
    })
}

async fn body(mut answer: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_MAX {
            body.truncate(MESSAGE_MAX);
            break;
        }
    }
    Ok(body)
}

/// Reads `Retry-After` in seconds; a date is left to the back-off.
fn retry_after(answer: &Response) -> Option<Duration> {
    let value = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Takes the registry's words from its error format, or else the body as it is.
fn message(base: &reqwest::Url, status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error_code: u32,
        message: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(no) => format!("{base} {status}: {} ({})", shortened(&no.message), no.error_code),
        Err(_) => format!("{base} {status}: {}", shortened(&String::from_utf8_lossy(body))),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.trim().into(),
    }
}
