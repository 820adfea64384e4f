//! The table's own settings: a YAML file that names the input, what is done with its messages, and
//! how entries are looked up.
//!
//! Everything about Kafka, the registry and the store is in the `NU_*` settings of the core. All
//! problems are collected, as everywhere.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::{EntryType, Mapping, ProgramError, Source};
use nubium_service::document::{self, Document, Fields, Files, Problem, ReadFile, SchemaFile};
use nubium_service::topics::{self, Input, Output};

use crate::modes::{self, Mode};

mod lookups;

pub use lookups::{Access, Lookups, Peers};

/// The longest window of the mode `deduplicate`: ten years.
const LONGEST_WINDOW: u64 = 10 * 366 * 86_400;
const EXAMPLE: &str = "input: {topic: people}";

/// Holds what the file says, with the files that it names read and parsed.
#[derive(Debug)]
pub struct Settings {
    /// The file's name, for messages.
    pub name: String,
    /// The topic to consume, with its program; one entry.
    pub inputs: Vec<Input>,
    /// The ready-made program, where there is no other.
    pub mode: Option<Mode>,
    /// Type of the entries, where it is said.
    pub entry: Option<SchemaFile>,
    /// Topics to produce to; none, where the table is there to be looked at.
    pub outputs: Vec<Output>,
    /// Index of the output for what the program does not route.
    pub default_output: Option<usize>,
    /// How entries are looked up by HTTP; `None`: not at all.
    pub lookups: Option<Lookups>,
}

impl Settings {
    /// Reads the file at `path` and those that it names.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        document::load("NU_TABLE_CONFIG", path, Self::parse)
    }

    /// Reads the settings from text; `read` gives the text of a file that they name.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn parse(name: &str, text: &str, read: ReadFile<'_>) -> Result<Self, Vec<Problem>> {
        let (document, files) = (Document::new(name), Files::new(read));
        let root = document.root(text, "a map with `input`, and `mode` or `program`", EXAMPLE);
        let settings = root.map(|root| Self::read(name, root, &files));
        document.finish(settings)
    }

    fn read(name: &str, root: Fields<'_>, files: &Files<'_>) -> Self {
        let (mode, source) = read_program(&root, files);
        let inputs = Vec::from_iter(read_input(&root, files, source));
        let outputs = match root.has("outputs") {
            true => topics::outputs(&root, files),
            false => Vec::new(),
        };
        topics::distinct(&root, &inputs, &outputs);
        let default_output = topics::default_output(&root, &outputs);
        let entry = files.schema(&root, "entry", "entry.avsc", None);
        let lookups = lookups::read(&root, files);
        root.finish();
        Self { name: name.to_owned(), inputs, mode, entry, outputs, default_output, lookups }
    }

    /// Takes an address for this instance alone instead of the file's, where there is one.
    ///
    /// # Errors
    /// When it is no address.
    pub fn advertise(mut self, url: Option<&str>) -> Result<Self, Vec<Problem>> {
        let (Some(text), Some(lookups)) = (url, &mut self.lookups) else { return Ok(self) };
        let document = Document::new("NU_TABLE_ADVERTISED_URL");
        lookups.advertised = lookups::url(&document, "", text);
        document.finish(Some(self))
    }

    /// Gives the topic that is consumed.
    pub fn topic(&self) -> &str {
        self.inputs.first().map_or("", |input| &input.topic)
    }

    /// Compiles the program; `schemas` has the input's schema, where the registry gave it.
    ///
    /// # Errors
    /// The program's problems.
    pub fn compile(
        &self,
        schemas: &[Option<&'static Schema>],
    ) -> Result<Mapping, Vec<ProgramError>> {
        let mut inputs = topics::mapping_inputs(&self.inputs, schemas);
        // A file without an input is refused when it is read.
        let Some(input) = inputs.pop() else { return Err(Vec::new()) };
        let own = self.entry.as_ref().map(|file| file.schema);
        let of_input = self.mode.filter(|mode| mode.keeps_the_inputs_type());
        let schema = own.or(of_input.and(input.schema));
        let outputs = topics::mapping_outputs(&self.outputs);
        Mapping::compile_table(input, outputs, self.default_output, EntryType { schema })
    }

    /// Gives every topic that is consumed or produced to, once.
    pub fn topics(&self) -> BTreeSet<&str> {
        topics::names(&self.inputs, &self.outputs)
    }
}

fn read_input(root: &Fields<'_>, files: &Files<'_>, source: Option<Arc<Source>>) -> Option<Input> {
    if !root.has("input") {
        root.problem("input", "nothing", "the topic whose records are kept", EXAMPLE);
    }
    let entry = root.section("input", EXAMPLE)?;
    let topic = entry.topic("topic", "the topic's name", "people");
    let schema = files.schema(&entry, "schema", "person.avsc", topic.as_deref());
    let whole = schema.is_some() || !entry.has("schema");
    entry.finish();
    Some(Input { topic: topic?, source: source.filter(|_| whole)?, schema })
}

/// Reads `program`, or `mode` with what belongs to it.
fn read_program(root: &Fields<'_>, files: &Files<'_>) -> (Option<Mode>, Option<Arc<Source>>) {
    let name = root.text("mode", "latest");
    let has_window = root.has("window_seconds");
    let window = root.whole("window_seconds", 1, 1..=LONGEST_WINDOW);
    let expected = format!("one of {}", modes::NAMES.join(", "));
    let mode = match name.as_deref() {
        None => None,
        Some("latest") => Some(Mode::Latest),
        Some("changes") => Some(Mode::Changes),
        Some("merge") => Some(Mode::Merge),
        Some("count") => Some(Mode::Count),
        Some("deduplicate") => {
            if !has_window {
                let expected = "how long a further record of a key is a duplicate";
                root.problem("window_seconds", "nothing", expected, "3600");
            }
            Some(Mode::Deduplicate { window: Duration::from_secs(window) })
        }
        Some(other) => {
            root.problem("mode", other, &expected, "latest");
            None
        }
    };
    if has_window && mode.is_some_and(|mode| !matches!(mode, Mode::Deduplicate { .. })) {
        let expected = "nothing: it belongs to the mode deduplicate";
        root.problem("window_seconds", "a number", expected, "mode: deduplicate");
    }
    match (root.has("program"), root.has("mode")) {
        (true, false) => (None, files.program(root)),
        (false, true) => (mode, mode.map(Mode::source)),
        (true, true) => {
            let expected = "either a program or a mode, which is a program that is ready-made";
            root.problem("program", "both", expected, "mode: latest");
            (None, None)
        }
        (false, false) => {
            let expected = format!("a mapping program, or as `mode` {expected}");
            root.problem("program", "nothing", &expected, "mode: latest");
            (None, None)
        }
    }
}

#[cfg(test)]
mod tests;
