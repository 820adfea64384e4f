//! What the keys and values of a topic are, and where the registry has their schemas.

use std::collections::BTreeMap;

use nubium_avro::{Node, Schema, SchemaError};

use crate::Format;

/// The topics that are not as topics are by default, by name.
pub type Topics = BTreeMap<String, TopicSchemas>;

/// Says what the keys and values of one topic are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicSchemas {
    /// What its keys are.
    pub key_format: Format,
    /// What its values are; `None`: Avro, or what a program's schema for them is.
    pub value_format: Option<Format>,
    /// What the subject of its values is called.
    pub subjects: SubjectNames,
    /// Which of the subject's schemas is written with; `None`: the program's own.
    pub version: Option<Version>,
    /// The schemas that the program's own refers to.
    pub references: Vec<SubjectReference>,
    /// The full name of the message that values are, where a `.proto` file has several; `None`: its
    /// first.
    pub message: Option<String>,
    /// The compatibility level that the subject of its values shall have, for the provisioner.
    pub compatibility: Option<String>,
}

/// The levels that registries know.
pub const LEVELS: [&str; 7] = [
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
];

impl TopicSchemas {
    /// Gives the format of its values.
    #[must_use]
    pub fn value(&self) -> Format {
        self.value_format.unwrap_or_default()
    }

    /// Gives the schema as its values are seen and written: of the message that is named.
    ///
    /// # Errors
    /// The schema has no such message.
    pub fn seen(&self, schema: &'static Schema) -> Result<&'static Schema, SchemaError> {
        match &self.message {
            None => Ok(schema),
            Some(name) => crate::of_message(schema, name),
        }
    }
}

/// Says how the subject of a topic's values is named, as Confluent's clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectNames {
    /// `{topic}-value`.
    #[default]
    Topic,
    /// The full name of the record.
    Record,
    /// `{topic}-{full name of the record}`.
    TopicRecord,
}

impl SubjectNames {
    /// Lists all of them.
    pub const ALL: [Self; 3] = [Self::Topic, Self::Record, Self::TopicRecord];

    /// Names it as settings do.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Record => "record",
            Self::TopicRecord => "topic_record",
        }
    }

    /// Names the subject of a topic's values.
    ///
    /// # Errors
    /// It is named for the record, and the schema has no name.
    pub fn subject(self, topic: &str, schema: Option<&Schema>) -> Result<String, SchemaError> {
        let named = || {
            schema.and_then(record_name).ok_or_else(|| {
                SchemaError::new(format!(
                    "the subject of topic `{topic}` is named for its record (value_subjects: {}), \
                     and no schema with a name is given for it",
                    self.name()
                ))
            })
        };
        Ok(match self {
            Self::Topic => format!("{topic}-value"),
            Self::Record => named()?.to_owned(),
            Self::TopicRecord => format!("{topic}-{}", named()?),
        })
    }
}

/// Gives a schema's full name: a record's, a message's, or a JSON Schema's title.
#[must_use]
pub fn record_name(schema: &Schema) -> Option<&str> {
    match schema.node(schema.root()) {
        Node::Json(form) => form.and_then(|form| form.0.name()),
        Node::Record(record) => Some(&record.name),
        Node::Enum(symbols) => Some(&symbols.name),
        Node::Fixed(fixed) => Some(&fixed.name),
        _ => None,
    }
}

/// Picks one schema of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The newest.
    Latest,
    /// The one of this number.
    Number(u32),
    /// The one with this id, whatever its subject.
    Id(u32),
}

/// Names a schema that another refers to, as registries do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SubjectReference {
    /// The name that the other knows it by.
    pub name: String,
    /// Its subject.
    pub subject: String,
    /// Its version there.
    pub version: u32,
}
