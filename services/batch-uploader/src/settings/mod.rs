//! The uploader's own settings: a YAML file that says what is sent where, and how answers are read.
//!
//! Everything about Kafka and the registry is in the `NU_*` settings of the core. Secrets are in
//! files of their own that this one names. All problems are collected, as everywhere.

mod credential;
mod document;
mod request;
mod shape;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use nubium_service::document::Problem;
use reqwest::{Method, Url};

use crate::template::{Escape, Shape, Text};

/// Holds what the file says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file's name, for messages.
    pub name: String,
    /// Topics to consume; empty: those of `NU_CONSUME_TOPICS`.
    pub topics: Vec<String>,
    /// What a request looks like.
    pub request: Request,
    /// How it says who asks.
    pub auth: Auth,
    /// What one request holds.
    pub batch: Batch,
    /// What bounds the load on the API.
    pub limits: Limits,
    /// The headers by which the API says what it still takes.
    pub quota: Option<Quota>,
    /// What follows when the API cannot take a request.
    pub retry: Retry,
    /// What becomes of answers; none: nothing.
    pub produce: Option<Produce>,
    /// Where results of single items are in an answer; none: an answer is about all of them.
    pub answer: Option<Answer>,
}

/// Describes a request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it goes; where a message has a part in that, what comes before it.
    pub url: Url,
    /// The URL with places, where a message has a part in it.
    pub address: Option<Text>,
    /// What a message adds to the query.
    pub query: Vec<(String, Text)>,
    /// Its method.
    pub method: Method,
    /// How a message chooses another.
    pub methods: Option<Methods>,
    /// Its headers beside those that the uploader sets.
    pub headers: Vec<(String, String)>,
    /// The API's name in metrics, logs and exceptions.
    pub name: String,
    /// The operation's name in metrics; by default the path.
    pub endpoint: String,
    /// How its body is built.
    pub body: Body,
    /// What an item is.
    pub item: Item,
    /// What an item is made into; none: it is sent as it is.
    pub template: Option<Template>,
    /// What stands before and after a JSON array in the body.
    pub around: (String, String),
    /// What the body is; of a multipart form without the boundary.
    pub content_type: String,
    /// Whether the body is compressed.
    pub gzip: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Certificates of authorities to trust beside the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The files of a certificate and its private key that say who asks, in PEM.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The header that carries the idempotency key, if one does.
    pub idempotency_header: Option<String>,
}

/// How a body is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// A JSON array of the items.
    JsonArray,
    /// One line of JSON an item.
    Ndjson,
    /// One request an item.
    Single,
    /// One request an item, as a form.
    Form,
    /// One request an item, as a form of several parts.
    Multipart,
    /// One request an item, as text.
    Text,
}

impl Body {
    /// Whether one body carries many messages.
    #[must_use]
    pub fn is_bulk(self) -> bool {
        matches!(self, Self::JsonArray | Self::Ndjson)
    }
}

/// What an item is made into.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// JSON of another shape.
    Json(Shape),
    /// The fields of a form.
    Form(Vec<(String, Text)>),
    /// The parts of a form.
    Multipart(Vec<Part>),
    /// Text, in which values are written so.
    Text(Text, Escape),
}

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub value: Text,
    /// The name of the file that it is, if it is one.
    pub file: Option<String>,
    /// Its content type.
    pub kind: Option<String>,
}

/// How a message chooses the method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Methods {
    /// A pointer into the item.
    pub from: Option<String>,
    /// What is found there, and the method for it.
    pub values: Vec<(String, Method)>,
    /// The method of a message without value.
    pub tombstone: Option<Method>,
    /// The method of all others; none: they are refused.
    pub otherwise: Option<Method>,
}

impl Request {
    /// Whether a message has a part in where its request goes.
    #[must_use]
    pub fn is_per_message(&self) -> bool {
        self.address.is_some() || !self.query.is_empty() || self.methods.is_some()
    }
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// The message's value.
    Value,
    /// An object of id, topic, partition, offset, timestamp, key, headers and value.
    Envelope,
}

/// How a request says who asks. Secrets stay in their files until they are used, so that a rotated
/// one needs no restart.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// HTTP basic.
    Basic {
        /// The username.
        username: String,
        /// The file of the password.
        password_file: PathBuf,
    },
    /// A token of one's own.
    Bearer {
        /// The file of the token.
        token_file: PathBuf,
    },
    /// OAuth2: client credentials (RFC 6749, section 4.4), or a signed assertion (RFC 7523).
    OAuth2(Box<OAuth2>),
}

/// Says where access tokens come from.
#[derive(Debug, Clone)]
pub struct OAuth2 {
    /// The token endpoint.
    pub token_url: Url,
    /// The client's id.
    pub client_id: String,
    /// How it proves who it is.
    pub proof: Proof,
    /// What the token is asked for by.
    pub grant: Grant,
    /// What is asked for, if that must be said.
    pub scope: Option<String>,
    /// For whom the token is, where the server wants to know.
    pub audience: Option<String>,
}

/// Says how a client proves who it is.
#[derive(Debug, Clone)]
pub enum Proof {
    /// By a secret.
    Secret {
        /// Its file.
        file: PathBuf,
        /// Whether id and secret go into the body instead of HTTP basic.
        in_body: bool,
    },
    /// By a token that it signs.
    Key {
        /// The file of its private key, in PEM.
        file: PathBuf,
        /// The key's name at the server.
        id: Option<String>,
        /// For whom the token is; none: the token endpoint.
        audience: Option<String>,
    },
}

/// Says what an access token is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// By the client's own credentials.
    ClientCredentials,
    /// By a signed token, for this user; none: for the client itself.
    JwtBearer(Option<String>),
}

/// Says what one request holds at most.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Messages.
    pub count: usize,
    /// Bytes of the body before compression.
    pub bytes: usize,
    /// How long its first message waits for others.
    pub time: Duration,
}

/// Says what bounds the load on the API.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests at the same time.
    pub concurrency: usize,
    /// Requests a second, if they are bounded.
    pub requests_per_second: Option<f64>,
    /// When an API that fails is left alone, if it is.
    pub breaker: Option<Breaker>,
}

/// Says when an API that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// After so many failures in a row.
    pub failures: u32,
    /// For so long.
    pub pause: Duration,
}

/// Names the headers of an API's rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// How many requests are left.
    pub remaining: String,
    /// When there are more: seconds, a time, or a date.
    pub reset: String,
}

/// Says what follows when the API cannot take a request.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries before the messages are routed to be retried, `u32::MAX` for ever; none: 5 where a
    /// place for retries is set, else for ever.
    pub tries: Option<u32>,
    /// The wait after the first try; doubles each time.
    pub backoff: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
}

/// Says where results of single items are. All are JSON pointers (RFC 6901).
#[derive(Debug, Clone)]
pub struct Answer {
    /// The array of results in the answer.
    pub items: String,
    /// A result's status in it.
    pub status: String,
    /// Texts that count as done, where the status is no number.
    pub done: Vec<String>,
    /// How a result is told which item it is about; none: by its place.
    pub ids: Option<Ids>,
}

/// Says how results and items are brought together.
#[derive(Debug, Clone)]
pub struct Ids {
    /// The id in a result.
    pub result: String,
    /// The same id in the item that was sent.
    pub item: String,
}

/// Says what becomes of the answers of messages that are done.
#[derive(Debug, Clone, PartialEq)]
pub struct Produce {
    /// The topic that they are produced to.
    pub topic: String,
    /// The schema of its values.
    pub schema: String,
    /// What a value is made of: the item, and the answer.
    pub value: Shape,
}

impl Settings {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let directory = path.parent().unwrap_or(Path::new(""));
        nubium_service::document::load("NU_BATCH_UPLOADER_CONFIG", path, |name, text, _| {
            Self::parse(name, text, directory)
        })
    }

    /// Reads the settings from text; files that they name lie in `directory`.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(name: &str, text: &str, directory: &Path) -> Result<Self, Vec<Problem>> {
        document::parse(name, text, directory)
    }

    /// Whether one request carries many messages.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        self.request.body.is_bulk()
    }
}

#[cfg(test)]
mod tests;
