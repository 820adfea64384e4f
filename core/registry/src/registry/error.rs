//! Names what can go wrong with the registry for good.

use std::time::Duration;

use nubium_host::errors::Code;

use super::super::SchemaError;
use super::super::wire::SchemaId;

/// Says why the registry could not be used. Never contains a login.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The settings cannot work.
    #[error("registry settings: {0}")]
    Settings(String),
    /// The registry gave no usable answer until the deadline.
    #[error(
        "{}: cannot {what}: no usable answer from the registry{}; last: {last}",
        Code::RegistryUnreachable,
        within(*waited)
    )]
    Unreachable {
        /// What was to be done.
        what: String,
        /// How long it was tried.
        waited: Duration,
        /// The last failure.
        last: String,
    },
    /// The registry refuses, and will refuse again.
    #[error(
        "{}: cannot {what}: the registry answers {status}: {message}{}",
        Code::RegistryRefused,
        advice(*status)
    )]
    Refused {
        /// What was to be done.
        what: String,
        /// HTTP status code.
        status: u16,
        /// The registry's own words.
        message: String,
    },
    /// The registry does not know the schema id, also not after a while.
    #[error(
        "{}: schema {id} is not in the registry (asked for {waited:?}): {message}",
        Code::UnknownSchema
    )]
    UnknownSchema {
        /// The schema id.
        id: SchemaId,
        /// How long it was asked for.
        waited: Duration,
        /// The registry's own words.
        message: String,
    },
    /// The registry has the schema, and nothing can be decoded with it.
    #[error("{}: schema {id}: {why}", Code::UnusableSchema)]
    Unusable {
        /// The schema id.
        id: SchemaId,
        /// What is wrong with it.
        why: String,
    },
    /// The schema is not registered, and this app shall not register schemas.
    #[error(
        "{}: the schema is not registered under subject `{subject}` ({message}); register it \
         first, or let the app register schemas at start-up",
        Code::NotRegistered
    )]
    NotRegistered {
        /// The subject.
        subject: String,
        /// The registry's own words.
        message: String,
    },
    /// The registry's schema, or the one to be registered, cannot be used.
    #[error("{}: {what}: {error}", Code::BadOutputSchema)]
    Schema {
        /// Which schema it is.
        what: String,
        /// Why it cannot be used.
        error: SchemaError,
    },
    /// The runtime that carries the requests has ended.
    #[error("the registry client has been shut down")]
    Stopped,
}

impl RegistryError {
    /// Tells what belongs to the schema that was asked for, and so to the messages that name it,
    /// from outages and refusals, which concern every message.
    #[must_use]
    pub fn is_of_schema(&self) -> bool {
        match self {
            Self::UnknownSchema { .. } | Self::Unusable { .. } => true,
            Self::Settings(_) | Self::Unreachable { .. } | Self::Refused { .. } => false,
            Self::NotRegistered { .. } | Self::Schema { .. } | Self::Stopped => false,
        }
    }
}

fn within(waited: Duration) -> String {
    if waited.is_zero() { String::new() } else { format!(" within {waited:?}") }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "; check the registry's user name and password",
        403 => "; the registry's user lacks the right to do this",
        409 => "; the new schema breaks the subject's compatibility rule",
        _ => "",
    }
}
