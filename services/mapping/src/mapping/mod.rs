//! The mapping: a program in a file that turns one consumed message into produced ones.
//!
//! The language is VRL. In a program, `.` is the message's value and `%` what the message carries
//! beside it ([`envelope`]). What `.` is at the end is produced, by the schema of the output topic
//! that `%topic` names; `emit` produces further records, `abort` drops the message, an error sends
//! it to the failure topic. `docs/funnel.md` teaches it.
//!
//! At start-up [`Mapping::compile`] checks each input's program against the types of its schema and
//! of the outputs'. For each schema that messages were written with, a [`Plan`] then says which
//! bytes are decoded, which are copied and which encoded, and a [`Mapper`] follows it message by
//! message.

mod destination;
mod emit;
mod entry;
mod envelope;
mod error;
mod fields;
mod mapper;
mod plan;
mod program;
mod syntax;

pub use entry::{EntryType, Previous, Stored};
pub use envelope::Envelope;
pub use error::MappingError;
pub use mapper::{Key, Made, Mapper, Verdict};
pub use plan::{Plan, PlanError};
pub use program::{Program, ProgramError, Source};

use std::sync::Arc;

use crate::avro::Schema;

/// Names a topic that is produced to, and its schema.
#[derive(Debug, Clone)]
pub struct Output {
    /// Topic.
    pub topic: String,
    /// Schema of the values.
    pub schema: &'static Schema,
}

/// Names a topic that is consumed, its program, and the types that the program sees.
#[derive(Debug, Clone)]
pub struct Input {
    /// Topic.
    pub topic: String,
    /// Program.
    pub source: Arc<Source>,
    /// Reader's schema: messages written with another are resolved to it. `None`: the program sees
    /// each message as it was written and is checked without types.
    pub schema: Option<&'static Schema>,
}

/// Holds the checked programs of all inputs.
#[derive(Debug)]
pub struct Mapping {
    outputs: Arc<[Output]>,
    default_output: Option<usize>,
    inputs: Vec<(Input, Program)>,
    entry: Option<EntryType>,
}

impl Mapping {
    /// Compiles and checks the program of every input.
    ///
    /// `default_output` is where `.` goes when the program assigns no `%topic`; with one output it
    /// is that one.
    ///
    /// # Errors
    /// Every program's problems, each with file, line and column.
    pub fn compile(
        inputs: Vec<Input>,
        outputs: Vec<Output>,
        default_output: Option<usize>,
    ) -> Result<Self, Vec<ProgramError>> {
        Self::compile_all(inputs, outputs, default_output, None)
    }

    /// Compiles and checks a program that has the previous entry of a table at hand; without an
    /// output it only keeps the table.
    ///
    /// # Errors
    /// The program's problems, each with file, line and column.
    pub fn compile_table(
        input: Input,
        outputs: Vec<Output>,
        default_output: Option<usize>,
        entry: EntryType,
    ) -> Result<Self, Vec<ProgramError>> {
        Self::compile_all(vec![input], outputs, default_output, Some(entry))
    }

    fn compile_all(
        inputs: Vec<Input>,
        outputs: Vec<Output>,
        default_output: Option<usize>,
        entry: Option<EntryType>,
    ) -> Result<Self, Vec<ProgramError>> {
        let outputs: Arc<[Output]> = outputs.into();
        let default_output = default_output.or((outputs.len() == 1).then_some(0));
        let mut programs = Vec::with_capacity(inputs.len());
        let mut problems = Vec::new();
        for input in inputs {
            match Program::compile(&input, &outputs, default_output, entry.as_ref()) {
                Ok(program) => programs.push((input, program)),
                Err(problem) => problems.push(problem),
            }
        }
        match problems.is_empty() {
            true => Ok(Self { outputs, default_output, inputs: programs, entry }),
            false => Err(problems),
        }
    }

    /// Gives the outputs, in the order of their index.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Gives the index of an input by its topic.
    pub fn input(&self, topic: &str) -> Option<usize> {
        self.inputs.iter().position(|(input, _)| input.topic == topic)
    }

    /// Tells whether the program of an input looks at the previous entry.
    pub fn reads_previous(&self, input: usize) -> bool {
        let (_, program) = &self.inputs[input];
        let used = |name| program.envelope.contain(name);
        self.entry.is_some() && (used("previous") || used("previous_timestamp"))
    }

    /// Gives what the compiler found odd but not wrong, formatted; empty when nothing.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|(_, program)| program.warnings()).filter(|text| !text.is_empty())
    }

    /// Plans how messages of an input that were written with `writer` are read and written.
    ///
    /// # Errors
    /// When the input's schema has a field without a default that the writer's schema does not
    /// have.
    pub fn plan(&self, input: usize, writer: &'static Schema) -> Result<Plan, PlanError> {
        let (described, program) = &self.inputs[input];
        Plan::new(input, program, described.schema, writer, &self.outputs)
    }
}

#[cfg(test)]
mod tests;
