//! The funnel's own settings: a YAML file that names inputs, outputs and programs.
//!
//! Everything about Kafka and the registry is in the `NU_*` settings of the core. The files that
//! this one names lie beside it, unless their path is absolute. All problems are collected, as
//! everywhere.

use std::collections::BTreeSet;
use std::path::Path;

use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::{Mapping, ProgramError};
pub use nubium_service::document::Problem;
use nubium_service::document::{self, Document, Map, ReadFile};
use nubium_service::topics::{self, Input, Output};

const EXAMPLE: &str = "inputs: [{topic: form-submissions, program: forms.vrl}]";

/// Holds what the file says, with the files that it names read and parsed.
#[derive(Debug)]
pub struct Settings {
    /// The file's name, for messages.
    pub name: String,
    /// Topics to consume.
    pub inputs: Vec<Input>,
    /// Topics to produce to.
    pub outputs: Vec<Output>,
    /// Index of the output for what the program does not route.
    pub default_output: Option<usize>,
}

impl Settings {
    /// Reads the file at `path` and those that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        document::load("NU_FUNNEL_CONFIG", path, Self::parse)
    }

    /// Reads the settings from text; `read` gives the text of a file that they name.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(name: &str, text: &str, read: ReadFile<'_>) -> Result<Self, Vec<Problem>> {
        let mut document = Document::new(name, read);
        let settings = Self::read(&mut document, name, text);
        document.finish(settings)
    }

    fn read(document: &mut Document<'_>, name: &str, text: &str) -> Option<Self> {
        let known = ["inputs", "outputs", "program", "default_output"];
        let root = document.root(text, &known, EXAMPLE)?;
        let program = document.text(&root, "", "program", "strikes.vrl");
        let inputs = read_inputs(document, &root, program.as_deref());
        let outputs = document.outputs(&root);
        document.distinct(&inputs, &outputs);
        let default_output = document.default_output(&root, &outputs);
        Some(Self { name: name.to_owned(), inputs, outputs, default_output })
    }

    /// Compiles the programs; `schemas` has the input schemas that the registry gave, by input.
    ///
    /// # Errors
    /// The problems of each program.
    pub fn compile(
        &self,
        schemas: &[Option<&'static Schema>],
    ) -> Result<Mapping, Vec<ProgramError>> {
        let inputs = topics::mapping_inputs(&self.inputs, schemas);
        Mapping::compile(inputs, topics::mapping_outputs(&self.outputs), self.default_output)
    }

    /// Gives every topic that is consumed or produced to, once.
    pub fn topics(&self) -> BTreeSet<&str> {
        topics::names(&self.inputs, &self.outputs)
    }
}

fn read_inputs(document: &mut Document<'_>, root: &Map, program: Option<&str>) -> Vec<Input> {
    let mut inputs = Vec::new();
    for (place, entry) in document.entries(root, "inputs", EXAMPLE) {
        document.names(&entry, &place, &["topic", "schema", "program"]);
        let topic = document.topic(&entry, &place);
        let own = document.text(&entry, &place, "program", "forms.vrl");
        let source = match own.as_deref().or(program) {
            Some(file) => document.source(&place, file),
            None => {
                let expected = "a mapping program, here or as `program` for all inputs";
                document.problem(&format!("{place}.program"), "nothing", expected, "forms.vrl");
                None
            }
        };
        let schema = document.text(&entry, &place, "schema", "form.avsc");
        let at = format!("{place}.schema");
        let schema = schema.map(|file| document.schema(&at, &file, topic.as_deref()));
        if let (Some(topic), Some(source), None | Some(Some(_))) = (topic, source, &schema) {
            inputs.push(Input { topic, source, schema: schema.flatten() });
        }
    }
    inputs
}

#[cfg(test)]
mod tests;
