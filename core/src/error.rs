//! Errors by what the caller must do, and the names they get in the `message_errors` metric.

use nubium_host::errors::Code;
use nubium_table_store::TableError;
use nubium_topic::TopicPartition;
use std::fmt;

/// A name and a description for a failed message: the value of the `exception` header and the
/// `exception` label.
///
/// Return one from the app function to choose the name yourself:
/// `Err(Exception::new("NoSuchPerson", "…").into())`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// A short name without spaces, one of few: it becomes a metric label.
    pub name: String,
    /// What happened, in a sentence.
    pub description: String,
}

impl Exception {
    /// Names an exception.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self { name: name.into(), description: description.into() }
    }

    /// Finds the name and description of an error: an [`Exception`] in its chain speaks for itself,
    /// otherwise the type name that most errors' `Debug` begins with is taken, and `Error` where
    /// there is none.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        let description = format!("{error:#}");
        if let Some(named) = error.chain().find_map(|cause| cause.downcast_ref::<Self>()) {
            return Self { name: named.name.clone(), description };
        }
        let name = error.chain().find_map(named_by_library).map(str::to_owned);
        let name = name.or_else(|| type_name(&format!("{:?}", error.root_cause())));
        Self { name: name.unwrap_or_else(|| "Error".to_owned()), description }
    }

    /// Writes the value of the `exception` header.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!({ "name": self.name, "description": self.description }).to_string()
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.description)
    }
}

impl std::error::Error for Exception {}

fn named_by_library(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    if let Some(error) = cause.downcast_ref::<MessageError>() {
        return Some(error.name());
    }
    if cause.is::<TableError>() {
        return Some("TableError");
    }
    let decode = cause.downcast_ref::<nubium_registry::DecodeError>().map(|_| "DecodeError");
    decode.or_else(|| cause.downcast_ref::<nubium_registry::EncodeError>().map(|_| "EncodeError"))
}

/// Reads the type name at the start of a `Debug` text: `ParseIntError { … }`. A name is short,
/// begins with a capital and ends where a type's fields begin, so that no free text becomes a
/// metric label.
fn type_name(debug: &str) -> Option<String> {
    let end = debug.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(debug.len());
    let (name, rest) = debug.split_at(end);
    let shaped = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.len() <= 60;
    let closed = rest.is_empty() || rest.starts_with(" {") || rest.starts_with('(');
    (shaped && closed && name != "Error").then(|| name.to_owned())
}

/// What can be wrong with a message or a record, apart from its Avro.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A consumed message lacks a required header.
    #[error(
        "{code}: the consumed message has no header {0:?}; whoever produced it must set one",
        code = Code::MissingHeader
    )]
    MissingHeader(&'static str),
    /// A record to produce lacks a required header.
    #[error(
        "{}: a record to {topic} has no header {name:?}; set it with .header({name:?}, …)",
        Code::MissingProducedHeader
    )]
    MissingProducedHeader {
        /// The record's topic.
        topic: String,
        /// The header.
        name: &'static str,
    },
    /// A record goes to a topic that was not declared.
    #[error(
        "{}: {topic} is not among the app's output topics ({declared}); declare it with \
         .produce(…)",
        Code::UndeclaredTopic
    )]
    UndeclaredTopic {
        /// The record's topic.
        topic: String,
        /// Those that are declared.
        declared: String,
    },
    /// A record is larger than the producer may send.
    #[error(
        "{}: a record to {topic} has {size} bytes, over the limit of {limit} (message.max.bytes)",
        Code::RecordTooLarge
    )]
    RecordTooLarge {
        /// The record's topic.
        topic: String,
        /// Its size with key and headers, estimated, in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A record was refused by the broker for what it is.
    #[error(
        "{}: the broker refuses a record to {topic} that the message became: {why}",
        Code::RecordRefused
    )]
    RecordRefused {
        /// The record's topic.
        topic: String,
        /// The broker's words.
        why: String,
    },
    /// A value was asked of a tombstone.
    #[error(
        "{}: the message has no value (a tombstone); check is_tombstone() first",
        Code::NullValue
    )]
    NullValue,
    /// Something was produced after `commit()`.
    #[error("produced after commit(): this message is committed already; produce before it")]
    AlreadyCommitted,
    /// Something is asked that is about all before the message, while earlier ones may still run.
    #[error(
        "{0}() commits all before the message at hand, and with NU_APP_CONCURRENCY above 1 earlier \
         messages may still be in the function. Leave it out: what is finished is committed within \
         NU_OUTBOX_MAX_AGE_MILLISECONDS anyway. Or set NU_APP_CONCURRENCY=1"
    )]
    NotAlone(&'static str),
    /// A message is named that the unit does not have.
    #[error("there is no message {index} in this batch of {count}; they count from 0")]
    NoSuchMessage {
        /// The index that was asked for.
        index: usize,
        /// How many messages the unit has.
        count: usize,
    },
    /// `produce_failure` has nowhere to go.
    #[error("there is no failure topic: set NU_PRODUCE_FAILURE_TOPICS")]
    NoFailureTopic,
    /// The app function panicked.
    #[error("{code}: the app function panicked: {0}", code = Code::Panicked)]
    Panic(String),
}

impl MessageError {
    fn name(&self) -> &'static str {
        match self {
            Self::MissingHeader(_) | Self::MissingProducedHeader { .. } => "MissingHeader",
            Self::UndeclaredTopic { .. } => "UndeclaredTopic",
            Self::RecordTooLarge { .. } => "RecordTooLarge",
            Self::RecordRefused { .. } => "RecordRefused",
            Self::NullValue => "NullValue",
            Self::AlreadyCommitted => "AlreadyCommitted",
            Self::NotAlone(_) => "NotAlone",
            Self::NoSuchMessage { .. } => "NoSuchMessage",
            Self::NoFailureTopic => "NoFailureTopic",
            Self::Panic(_) => "Panic",
        }
    }
}

/// Why a loop ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// The app function failed on a message or batch and the policy is to stop.
    #[error(
        "{}: the {} at {at}, offset {offset} could not be handled: {error:#}",
        Code::AppFailed,
        unit(*count)
    )]
    App {
        /// Where the message lies; of a batch, the first one.
        at: TopicPartition,
        /// Its offset.
        offset: i64,
        /// How many messages the unit has.
        count: usize,
        /// What the function answered.
        error: anyhow::Error,
    },
    /// Another producer with the same `transactional.id` took over.
    #[error(
        "{}: fenced: another instance uses transactional.id {id}. Each instance needs a \
         NU_HOSTNAME of its own; stop the other one, or let this one stay down. ({error})",
        Code::Fenced
    )]
    Fenced {
        /// The id in question.
        id: String,
        /// Kafka's words.
        error: String,
    },
    /// It was asked to stop while it waited for an answer; no failure.
    #[error("stopped while waiting for {0}")]
    Stopped(&'static str),
    /// The app's table cannot be kept.
    #[error("{}: the table cannot be kept up to date ({what}): {error}", Code::TableFailed)]
    Table {
        /// What failed: a partition of the changelog, or a step.
        what: String,
        /// Why.
        error: String,
    },
    /// Kafka refuses for good, or too often.
    #[error("{}: {step} failed {what}: {error}", Code::KafkaRefused)]
    Kafka {
        /// What was being done.
        step: &'static str,
        /// How often, or where.
        what: String,
        /// Kafka's words.
        error: String,
    },
}

fn unit(count: usize) -> String {
    if count == 1 { "message".into() } else { format!("batch of {count} messages that begins") }
}

impl LoopError {
    /// The name in the `message_errors` metric.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::App { .. } => "AppError",
            Self::Fenced { .. } => "Fenced",
            Self::Stopped(_) => "Stopped",
            Self::Kafka { .. } => "KafkaError",
            Self::Table { .. } => "TableError",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn exceptions_are_named_after_what_failed() {
        let parse = "x".parse::<i32>().context("reading the age").unwrap_err();
        let io = anyhow::Error::from(std::io::Error::other("disk"));
        let own = anyhow::Error::from(Exception::new("NoSuchPerson", "7")).context("looking up");
        for (error, name) in [
            (parse, "ParseIntError"),
            (io, "Custom"),
            (own, "NoSuchPerson"),
            (anyhow!("Something went wrong"), "Error"),
            (anyhow!("Oops"), "Error"),
            (MessageError::MissingHeader("guid").into(), "MissingHeader"),
        ] {
            assert_eq!(Exception::of(&error).name, name, "{error:#}");
        }
    }

    #[test]
    fn the_header_is_json_with_name_and_description() {
        let exception = Exception::new("Bad", "a \"quoted\" word");
        let json: serde_json::Value = serde_json::from_str(&exception.to_json()).unwrap();
        assert_eq!(json["name"], "Bad");
        assert_eq!(json["description"], "a \"quoted\" word");
    }
}
