//! The funnel's own settings: a YAML file that names inputs, outputs and programs.
//!
//! Everything about Kafka and the registry is in the `NU_*` settings of the core. The files that
//! this one names lie beside it, unless their path is absolute. All problems are collected, as
//! everywhere.

mod document;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use nubium_core::config::Problem;

use self::document::Document;
use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::{self, Mapping, ProgramError, Source};

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

/// Names a topic to consume.
#[derive(Debug, Clone)]
pub struct Input {
    /// Topic.
    pub topic: String,
    /// Its mapping program.
    pub source: Arc<Source>,
    /// What the program sees its values as; `None`: the latest schema that the registry has for the
    /// topic.
    pub schema: Option<SchemaFile>,
}

/// Names a topic to produce to.
#[derive(Debug, Clone)]
pub struct Output {
    /// Topic.
    pub topic: String,
    /// Schema of its values.
    pub schema: SchemaFile,
}

/// Holds a schema and where it comes from.
#[derive(Debug, Clone)]
pub struct SchemaFile {
    /// Name of the file, as the settings have it.
    pub name: String,
    /// Its text.
    pub json: String,
    /// The same, parsed.
    pub schema: Arc<Schema>,
}

impl Settings {
    /// Reads the file at `path` and those that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let directory = path.parent().map(PathBuf::from).unwrap_or_default();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![Problem {
                setting: "NU_FUNNEL_CONFIG".into(),
                place: String::new(),
                read: name.clone(),
                expected: format!("a file that can be read, but: {error}"),
                example: "NU_FUNNEL_CONFIG=/etc/funnel/funnel.yaml".into(),
            }]
        })?;
        let read = |file: &str| std::fs::read_to_string(directory.join(file));
        Self::parse(&name, &text, &read)
    }

    /// Reads the settings from text; `read` gives the text of a file that they name.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(
        name: &str,
        text: &str,
        read: &dyn Fn(&str) -> io::Result<String>,
    ) -> Result<Self, Vec<Problem>> {
        let mut document = Document::new(name, read);
        let settings = document.parse(text);
        match (settings, document.problems.is_empty()) {
            (Some(settings), true) => Ok(settings),
            _ => Err(document.problems),
        }
    }

    /// Compiles the programs; `schemas` has the input schemas that the registry gave, by input.
    ///
    /// # Errors
    /// The problems of each program.
    pub fn compile(&self, schemas: &[Option<Arc<Schema>>]) -> Result<Mapping, Vec<ProgramError>> {
        let inputs = self.inputs.iter().enumerate().map(|(index, input)| mapping::Input {
            topic: input.topic.clone(),
            source: Arc::clone(&input.source),
            schema: match &input.schema {
                Some(file) => Some(Arc::clone(&file.schema)),
                None => schemas.get(index).cloned().flatten(),
            },
        });
        let outputs = self.outputs.iter().map(|output| mapping::Output {
            topic: output.topic.clone(),
            schema: Arc::clone(&output.schema.schema),
        });
        Mapping::compile(inputs.collect(), outputs.collect(), self.default_output)
    }

    /// Gives every topic that is consumed or produced to, once.
    pub fn topics(&self) -> BTreeSet<&str> {
        let inputs = self.inputs.iter().map(|input| input.topic.as_str());
        inputs.chain(self.outputs.iter().map(|output| output.topic.as_str())).collect()
    }
}

#[cfg(test)]
mod tests;
