//! What can go wrong with a cluster, said with the thing it happened to.

use std::fmt;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

/// Says what a broker answered instead of doing what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Kafka's error code.
    pub code: i16,
    /// The broker's own words, if it gave any.
    pub message: Option<String>,
}

/// What became of one of several things.
pub type Outcome = Result<(), Refusal>;

/// What became of each of several things, by name, in the order they were asked for.
pub type Outcomes = Vec<(String, Outcome)>;

/// Says why a cluster could not be administered. Never contains a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdminError {
    /// The settings of the cluster cannot work.
    #[error("cluster settings, {what}: {why}")]
    Settings {
        /// Which setting.
        what: String,
        /// Why it cannot work.
        why: String,
    },
    /// No broker could be reached.
    #[error("no broker answers: {}", tried.join("; "))]
    Unreachable {
        /// Each address with the reason.
        tried: Vec<String>,
    },
    /// A broker did not accept who we are.
    #[error(
        "broker {broker} does not let us in with {mechanism}: {why}; check the credentials \
         and sasl_mechanism of the cluster"
    )]
    NotLetIn {
        /// The broker's address.
        broker: String,
        /// How we proved who we are.
        mechanism: String,
        /// The broker's words.
        why: String,
    },
    /// There is no token to show to a broker.
    #[error("no token for broker {broker}: {why}")]
    NoToken {
        /// The broker's address.
        broker: String,
        /// Why there is none, and what to do.
        why: String,
    },
    /// The connection was lost, so that it is not known whether the broker did what was asked.
    #[error("cannot {what}: the connection to broker {broker} was lost: {why}")]
    Lost {
        /// What was asked.
        what: String,
        /// The broker's address.
        broker: String,
        /// What happened to it.
        why: String,
    },
    /// The broker did not answer in time.
    #[error("cannot {what}: broker {broker} did not answer within {limit:?}")]
    TimedOut {
        /// What was asked.
        what: String,
        /// The broker's address.
        broker: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The broker is of a version that cannot do it.
    #[error("cannot {what}: broker {broker} knows no {api} of a version that this tool speaks")]
    Unsupported {
        /// What was asked.
        what: String,
        /// The request's name in Kafka's protocol.
        api: String,
        /// The broker's address.
        broker: String,
    },
    /// The broker refused.
    #[error("cannot {what}: {refusal}")]
    Refused {
        /// What was asked, with the topic, group or transaction.
        what: String,
        /// The broker's answer.
        refusal: Refusal,
    },
    /// The answer is none of Kafka's protocol.
    #[error("cannot {what}: broker {broker} sent what is no answer to it: {why}")]
    Malformed {
        /// What was asked.
        what: String,
        /// The broker's address.
        broker: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Refusal {
    /// Reads a broker's error code; none when there is no error.
    pub(crate) fn of(code: i16, message: Option<StrBytes>) -> Option<Self> {
        let message = message.map(|text| text.to_string()).filter(|text| !text.is_empty());
        (code != 0).then_some(Self { code, message })
    }

    /// Turns a broker's error code into an outcome.
    pub(crate) fn outcome(code: i16, message: Option<StrBytes>) -> Outcome {
        Self::of(code, message).map_or(Ok(()), Err)
    }

    /// Gives the name that Kafka's documentation has for the code.
    #[must_use]
    pub fn name(&self) -> String {
        match self.kind() {
            ResponseError::Unknown(code) => format!("ERROR_{code}"),
            kind => upper_snake(&format!("{kind:?}")),
        }
    }

    /// Tells whether it is this one.
    #[must_use]
    pub fn is(&self, kind: ResponseError) -> bool {
        self.code == kind.code()
    }

    /// Tells whether the thing is missing: the topic, group or transactional id.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        use ResponseError::{GroupIdNotFound, TransactionalIdNotFound, UnknownTopicOrPartition};
        [UnknownTopicOrPartition, GroupIdNotFound, TransactionalIdNotFound]
            .into_iter()
            .any(|kind| self.is(kind))
    }

    /// Tells whether the user lacks a right.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        use ResponseError::{
            ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed,
            TransactionalIdAuthorizationFailed,
        };
        let all = [
            ClusterAuthorizationFailed,
            GroupAuthorizationFailed,
            TopicAuthorizationFailed,
            TransactionalIdAuthorizationFailed,
        ];
        all.into_iter().any(|kind| self.is(kind))
    }

    fn kind(&self) -> ResponseError {
        ResponseError::try_from_code(self.code).unwrap_or(ResponseError::Unknown(0))
    }

    fn advice(&self) -> &'static str {
        match self.kind() {
            _ if self.is_unauthorized() => "; the user lacks the right to do this",
            ResponseError::InvalidReplicationFactor => {
                "; a topic cannot have more copies than the cluster has brokers"
            }
            ResponseError::NonEmptyGroup => "; stop the group's consumers first",
            ResponseError::SecurityDisabled => "; the cluster has no authorizer, so no ACLs",
            _ => "",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(message) = &self.message {
            write!(f, ": {}", message.trim_end_matches('.'))?;
        }
        f.write_str(self.advice())
    }
}

impl std::error::Error for Refusal {}

impl AdminError {
    /// Says that a broker refused to do `what`.
    pub(crate) fn refused(what: impl Into<String>, refusal: Refusal) -> Self {
        Self::Refused { what: what.into(), refusal }
    }

    /// Gives the broker's answer, if it is that it refuses.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

/// Turns a broker's error code into an error of ours.
pub(crate) fn check(
    what: impl Into<String>,
    code: i16,
    message: Option<StrBytes>,
) -> Result<(), AdminError> {
    Refusal::outcome(code, message).map_err(|refusal| AdminError::refused(what, refusal))
}

/// `TopicAlreadyExists` to `TOPIC_ALREADY_EXISTS`.
fn upper_snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_kafkas_name_the_brokers_words_and_advice() {
        let exists = Refusal::of(36, Some("Topic 'a' already exists.".to_owned().into())).unwrap();
        assert_eq!(exists.to_string(), "TOPIC_ALREADY_EXISTS: Topic 'a' already exists");
        let denied = Refusal::of(29, None).unwrap().to_string();
        assert_eq!(denied, "TOPIC_AUTHORIZATION_FAILED; the user lacks the right to do this");
        assert_eq!(Refusal::of(1000, None).unwrap().to_string(), "ERROR_1000");
        assert_eq!(Refusal::of(0, None), None);
    }
}
