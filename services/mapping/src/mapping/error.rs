//! Why a message could not be mapped.

use vrl::compiler::ExpressionError;
use vrl::diagnostic::Span;

use super::program::Source;
use crate::avro::{DecodeError, EncodeError};

/// Says why a message could not be mapped: it belongs on the failure topic.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The bytes are not what their schema says.
    #[error("the value cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// The value does not resolve to the input's schema.
    #[error("the value does not fit the input's schema: {0}")]
    Resolve(EncodeError),
    /// The program failed.
    #[error("{program}: {message}")]
    Program {
        /// Name of the program, with the line where it is known.
        program: String,
        /// What it said.
        message: String,
    },
    /// The program chose a topic that is no output.
    #[error("`%topic` is {0}, which is not an output topic of the settings")]
    UnknownTopic(String),
    /// The program chose no topic, and there is no default.
    #[error("the program assigned no `%topic`, and the settings have no default output")]
    Unrouted,
    /// What the program made does not fit the output's schema.
    #[error("the record for {topic} does not fit its schema: {error}")]
    Encode {
        /// Output topic.
        topic: String,
        /// What does not fit.
        error: EncodeError,
    },
    /// The table's entry is not of the type that the settings give it.
    #[error("the previous entry does not fit the entry's schema: {0}")]
    Previous(EncodeError),
    /// What the program stores is not of the type that the settings give it.
    #[error("what is stored does not fit the entry's schema: {0}")]
    Stored(EncodeError),
    /// A key or header that is no text.
    #[error("{0}")]
    Envelope(String),
}

impl MappingError {
    /// Names the program and the line with what it said.
    pub(super) fn of_program(source: &Source, error: ExpressionError) -> Self {
        let ExpressionError::Error { message, labels, .. } = error else {
            return Self::Program { program: source.name.clone(), message: error.to_string() };
        };
        // A call's label has the place; the message has it as offsets, which help nobody.
        let line = labels.first().map(|label| line(&source.text, label.span));
        let program = match line {
            Some(line) => format!("{}:{line}", source.name),
            None => source.name.clone(),
        };
        Self::Program { program, message }
    }
}

fn line(text: &str, span: Span) -> usize {
    text.get(..span.start()).map_or(1, |before| before.matches('\n').count() + 1)
}
