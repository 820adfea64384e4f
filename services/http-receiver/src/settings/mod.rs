//! The receiver's own settings: a YAML file that names routes, who may call them, and limits.
//!
//! Everything about Kafka and the registry is in the `NU_*` settings of the core. The files that
//! this one names lie beside it, unless their path is absolute. All problems are collected.

mod credential;
mod document;
mod limits;
mod route;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nubium_core::config::{Problem, Secret};
use nubium_mapping::mapping::{self, Mapping, Source};
pub use nubium_service::document::SchemaFile;
use nubium_service::document::{ReadFile, load};
pub use nubium_service::topics::Output;
use nubium_service::topics::mapping_outputs;

/// Holds what the file says, with the files that it names read and parsed.
#[derive(Debug)]
pub struct Settings {
    /// The file's name, for messages.
    pub name: String,
    /// Where the receiver listens.
    pub listen: SocketAddr,
    /// The header `last_updated_by` of every record; `None`: the app's name.
    pub last_updated_by: Option<String>,
    /// Whether the page to try it is served.
    pub page: bool,
    /// Bounds.
    pub limits: Limits,
    /// Who may call from a browser; `None`: nobody from elsewhere.
    pub cors: Option<Cors>,
    /// Who may call, by the order of the file.
    pub credentials: Vec<Credential>,
    /// What is taken.
    pub routes: Vec<Route>,
}

/// Bounds what clients may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of all bodies that are being handled.
    pub in_flight_bytes: usize,
    /// Items of one request.
    pub items: usize,
    /// Open connections.
    pub connections: usize,
    /// From the first byte of a request to the end of its headers; also how long an idle connection
    /// stays.
    pub header_read: Duration,
    /// From the end of the headers to that of the body.
    pub body_read: Duration,
    /// How long Kafka may take to acknowledge a record.
    pub delivery: Duration,
    /// How long requests are still taken after a stop was asked for, so that a load balancer sees
    /// that the instance is not ready.
    pub drain_delay: Duration,
}

/// Says who may call from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Origins; `*` is any.
    pub origins: Vec<String>,
    /// Request headers beside the usual ones.
    pub headers: Vec<String>,
    /// How long a browser keeps the answer.
    pub max_age: Duration,
}

/// Names a caller, how it is known, and how much it may ask for.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Name, for logs and settings.
    pub name: String,
    /// How it is known.
    pub kind: CredentialKind,
    /// Its own rate, over all routes.
    pub rate: Option<Rate>,
}

/// Says how a caller is known. Several keys are valid at once, so that they can be changed without
/// a gap.
#[derive(Debug, Clone)]
pub enum CredentialKind {
    /// A key in a header, or as bearer token.
    ApiKey {
        /// The header, in lower case.
        header: String,
        /// The keys.
        keys: Vec<Secret>,
    },
    /// An HMAC-SHA-256 of the body.
    Hmac(Hmac),
}

/// Says how a signature is made.
#[derive(Debug, Clone)]
pub struct Hmac {
    /// The header with the signature, in lower case.
    pub header: String,
    /// What stands before it, such as `sha256=`.
    pub prefix: String,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// The header with the time, in seconds since 1970; then `{time}.{body}` is signed.
    pub timestamp: Option<Timestamp>,
    /// The keys.
    pub keys: Vec<Secret>,
}

/// Says which time a signature carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// The header, in lower case.
    pub header: String,
    /// How far it may be off.
    pub tolerance: Duration,
}

/// Says how bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Two digits a byte.
    Hex,
    /// RFC 4648, section 4.
    Base64,
}

/// A rate with a burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests a second, on average.
    pub per_second: f64,
    /// Requests at once, after a pause.
    pub burst: u32,
}

/// Describes one path.
#[derive(Debug, Clone)]
pub struct Route {
    /// Path.
    pub path: String,
    /// Topics, the default first.
    pub outputs: Vec<Output>,
    /// Where the key lies in an item, as JSON pointer.
    pub key: Option<String>,
    /// What an item must look like: its own schema, or without a program that of the topic.
    pub body: Option<SchemaFile>,
    /// The mapping program.
    pub program: Option<Arc<Source>>,
    /// Headers of every record.
    pub headers: Vec<(String, String)>,
    /// Headers of the request that records take over, in lower case.
    pub copy_headers: Vec<String>,
    /// Whether fields that the schema does not have are left out instead of refused.
    pub ignore_unknown_fields: bool,
    /// Indices of the credentials that may call; none: anybody.
    pub auth: Vec<usize>,
    /// Its rate, over all callers.
    pub rate: Option<Rate>,
}

impl Settings {
    /// Reads the file at `path` and those that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        load("NU_HTTP_RECEIVER_CONFIG", path, Self::parse)
    }

    /// Reads the settings from text; `read` gives the text of a file that they name.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(name: &str, text: &str, read: ReadFile<'_>) -> Result<Self, Vec<Problem>> {
        document::parse(name, text, read)
    }

    /// Gives every topic with its schema, once, in the order of the file.
    pub fn outputs(&self) -> Vec<Output> {
        let mut seen = BTreeSet::new();
        let all = self.routes.iter().flat_map(|route| &route.outputs);
        all.filter(|output| seen.insert(output.topic.as_str())).cloned().collect()
    }

    /// Gives the topics of all routes.
    pub fn topics(&self) -> BTreeSet<&str> {
        let all = self.routes.iter().flat_map(|route| &route.outputs);
        all.map(|output| output.topic.as_str()).collect()
    }

    /// Compiles the program of every route; `None` where there is none.
    ///
    /// # Errors
    /// The problems of each, with its path.
    pub fn compile(&self) -> Result<Vec<Option<Mapping>>, Vec<String>> {
        let (mut mappings, mut problems) = (Vec::new(), Vec::new());
        for route in &self.routes {
            match route.compile() {
                Ok(mapping) => mappings.push(mapping),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(mappings) } else { Err(problems) }
    }
}

impl Route {
    fn compile(&self) -> Result<Option<Mapping>, String> {
        let Some(source) = &self.program else { return Ok(None) };
        let input = mapping::Input {
            topic: self.path.clone(),
            source: Arc::clone(source),
            schema: self.body.as_ref().map(|file| file.schema),
        };
        let mapping = Mapping::compile(vec![input], mapping_outputs(&self.outputs), Some(0));
        mapping.map(Some).map_err(|problems| {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            problems.join("\n\n")
        })
    }
}

#[cfg(test)]
mod tests;
