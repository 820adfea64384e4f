//! The funnel's own settings: a YAML file that names inputs, outputs and programs.
//!
//! Everything about Kafka and the registry is in the `NU_*` settings of the core. The files that
//! this one names lie beside it, unless their path is absolute. All problems are collected, as
//! everywhere.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::{Mapping, ProgramError, Source};
pub use nubium_service::document::Problem;
use nubium_service::document::{self, Document, Fields, Files, ReadFile};
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
        let (document, files) = (Document::new(name), Files::new(read));
        let root = document.root(text, "a map with `inputs` and `outputs`", EXAMPLE);
        let settings = root.map(|root| Self::read(name, root, &files));
        document.finish(settings)
    }

    fn read(name: &str, root: Fields<'_>, files: &Files<'_>) -> Self {
        let all = files.program(&root);
        let inputs = read_inputs(&root, files, all.as_ref());
        let outputs = topics::outputs(&root, files);
        topics::distinct(&root, &inputs, &outputs);
        let default_output = topics::default_output(&root, &outputs);
        root.finish();
        Self { name: name.to_owned(), inputs, outputs, default_output }
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

/// Reads the inputs; `all` is the program of those that have none of their own.
fn read_inputs(root: &Fields<'_>, files: &Files<'_>, all: Option<&Arc<Source>>) -> Vec<Input> {
    let mut inputs = Vec::new();
    for entry in root.entries("inputs", EXAMPLE) {
        let topic = entry.topic("topic", "the topic's name", "form-submissions");
        let source = match entry.has("program") {
            true => files.program(&entry),
            false => all.cloned(),
        };
        if !entry.has("program") && !root.has("program") {
            let expected = "a mapping program, here or as `program` for all inputs";
            entry.problem("program", "nothing", expected, "forms.vrl");
        }
        let schema = files.schema(&entry, "schema", "form.avsc", topic.as_deref());
        if let (Some(topic), Some(source), true) =
            (topic, source, schema.is_some() || !entry.has("schema"))
        {
            inputs.push(Input { topic, source, schema });
        }
        entry.finish();
    }
    inputs
}

#[cfg(test)]
mod tests;
