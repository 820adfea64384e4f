//! Reads the YAML of the funnel's settings and keeps count of what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde_norway::{Mapping as Map, Value};

use super::{Input, Output, Problem, SchemaFile, Settings};
use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::Source;

const EXAMPLE: &str = "inputs: [{topic: form-submissions, program: forms.vrl}]";

/// Reads one document.
pub(super) struct Document<'a> {
    name: &'a str,
    read: &'a dyn Fn(&str) -> io::Result<String>,
    sources: BTreeMap<String, Option<Arc<Source>>>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Document<'a> {
    pub(super) fn new(name: &'a str, read: &'a dyn Fn(&str) -> io::Result<String>) -> Self {
        Self { name, read, sources: BTreeMap::new(), problems: Vec::new() }
    }

    pub(super) fn parse(&mut self, text: &str) -> Option<Settings> {
        let root: Value = match serde_norway::from_str(text) {
            Ok(root) => root,
            Err(error) => {
                self.problem("", "no YAML", &format!("YAML, but: {error}"), EXAMPLE);
                return None;
            }
        };
        let Some(root) = root.as_mapping() else {
            self.problem("", &show(&root), "a map with `inputs` and `outputs`", EXAMPLE);
            return None;
        };
        self.names(root, "", &["inputs", "outputs", "program", "default_output"]);
        let program = self.text(root, "", "program", "strikes.vrl");
        let inputs = self.inputs(root, program.as_deref());
        let outputs = self.outputs(root);
        self.distinct(&inputs, &outputs);
        let default_output = self.default_output(root, &outputs);
        Some(Settings { name: self.name.to_owned(), inputs, outputs, default_output })
    }

    fn inputs(&mut self, root: &Map, program: Option<&str>) -> Vec<Input> {
        let mut inputs = Vec::new();
        for (place, entry) in self.entries(root, "inputs", EXAMPLE) {
            self.names(&entry, &place, &["topic", "schema", "program"]);
            let topic = self.topic(&entry, &place);
            let own = self.text(&entry, &place, "program", "forms.vrl");
            let source = match own.as_deref().or(program) {
                Some(file) => self.source(&place, file),
                None => {
                    let expected = "a mapping program, here or as `program` for all inputs";
                    self.problem(&format!("{place}.program"), "nothing", expected, "forms.vrl");
                    None
                }
            };
            let schema = self.text(&entry, &place, "schema", "form.avsc");
            let schema = schema.map(|file| self.schema(&format!("{place}.schema"), &file));
            if let (Some(topic), Some(source), None | Some(Some(_))) = (topic, source, &schema) {
                inputs.push(Input { topic, source, schema: schema.flatten() });
            }
        }
        inputs
    }

    fn outputs(&mut self, root: &Map) -> Vec<Output> {
        let example = "outputs: [{topic: contacts, schema: contact.avsc}]";
        let mut outputs = Vec::new();
        for (place, entry) in self.entries(root, "outputs", example) {
            self.names(&entry, &place, &["topic", "schema"]);
            let topic = self.topic(&entry, &place);
            let at = format!("{place}.schema");
            let schema = match self.text(&entry, &place, "schema", "contact.avsc") {
                Some(file) => self.schema(&at, &file),
                None if entry.contains_key("schema") => None,
                None => {
                    self.problem(&at, "nothing", "the file of the topic's schema", "contact.avsc");
                    None
                }
            };
            if let (Some(topic), Some(schema)) = (topic, schema) {
                outputs.push(Output { topic, schema });
            }
        }
        outputs
    }

    /// A topic that is read twice, written twice, or read and written would double or circle.
    fn distinct(&mut self, inputs: &[Input], outputs: &[Output]) {
        let mut seen = BTreeSet::new();
        let topics = inputs.iter().map(|input| ("inputs", &input.topic));
        for (place, topic) in topics.chain(outputs.iter().map(|output| ("outputs", &output.topic)))
        {
            if !seen.insert(topic.as_str()) {
                let expected = "each topic once: an output that is an input too never ends";
                self.problem(place, topic, expected, "another topic");
            }
        }
    }

    fn default_output(&mut self, root: &Map, outputs: &[Output]) -> Option<usize> {
        let topic = self.text(root, "", "default_output", "contacts")?;
        let found = outputs.iter().position(|output| output.topic == topic);
        if found.is_none() {
            self.problem("default_output", &topic, "one of the outputs' topics", "contacts");
        }
        found
    }

    fn source(&mut self, place: &str, file: &str) -> Option<Arc<Source>> {
        if let Some(known) = self.sources.get(file) {
            return known.clone();
        }
        let text = self.file(&format!("{place}.program"), file, "forms.vrl");
        let source = text.map(|text| Arc::new(Source { name: file.to_owned(), text }));
        self.sources.insert(file.to_owned(), source.clone());
        source
    }

    fn schema(&mut self, place: &str, file: &str) -> Option<SchemaFile> {
        let json = self.file(place, file, "contact.avsc")?;
        match Schema::parse(&json) {
            Ok(schema) => Some(SchemaFile { name: file.to_owned(), json, schema: schema.into() }),
            Err(error) => {
                self.problem(place, file, &format!("an Avro schema, but: {error}"), "contact.avsc");
                None
            }
        }
    }

    fn file(&mut self, place: &str, file: &str, example: &str) -> Option<String> {
        (self.read)(file)
            .map_err(|error| {
                let expected = format!("a file beside {}, but: {error}", self.name);
                self.problem(place, file, &expected, example);
            })
            .ok()
    }

    fn topic(&mut self, entry: &Map, place: &str) -> Option<String> {
        let at = format!("{place}.topic");
        if !entry.contains_key("topic") {
            self.problem(&at, "nothing", "the topic's name", "form-submissions");
            return None;
        }
        let topic = self.text(entry, place, "topic", "form-submissions")?;
        // What Kafka allows: org.apache.kafka.common.internals.Topic.
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.is_empty() || topic.len() > 249 || !topic.chars().all(legal) {
            let expected = "1 to 249 letters, digits, dots, underscores and hyphens";
            self.problem(&at, &topic, expected, "form-submissions");
            return None;
        }
        Some(topic)
    }

    /// Gives the entries of a list of maps, each with its place.
    fn entries(&mut self, root: &Map, name: &str, example: &str) -> Vec<(String, Map)> {
        let list = match root.get(name) {
            Some(Value::Sequence(list)) if !list.is_empty() => list,
            other => {
                let read = other.map_or_else(|| "nothing".to_owned(), show);
                self.problem(name, &read, "a list with one entry at least", example);
                return Vec::new();
            }
        };
        let mut entries = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let place = format!("{name}[{index}]");
            match entry.as_mapping() {
                Some(map) => entries.push((place, map.clone())),
                None => self.problem(&place, &show(entry), "a map with `topic`", example),
            }
        }
        entries
    }

    fn text(&mut self, map: &Map, place: &str, name: &str, example: &str) -> Option<String> {
        match map.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.problem(&join(place, name), &show(other), "text", example);
                None
            }
        }
    }

    fn names(&mut self, map: &Map, place: &str, known: &[&str]) {
        for name in map.keys() {
            let name = name.as_str().map_or_else(|| show(name), str::to_owned);
            if !known.contains(&name.as_str()) {
                let expected = format!("one of {}", known.join(", "));
                self.problem(place, &name, &expected, &format!("{}: …", known[0]));
            }
        }
    }

    fn problem(&mut self, place: &str, read: &str, expected: &str, example: &str) {
        self.problems.push(Problem {
            setting: self.name.to_owned(),
            place: place.to_owned(),
            read: read.to_owned(),
            expected: expected.to_owned(),
            example: example.to_owned(),
        });
    }
}

fn join(place: &str, name: &str) -> String {
    match place.is_empty() {
        true => name.to_owned(),
        false => format!("{place}.{name}"),
    }
}

fn show(value: &Value) -> String {
    let text = serde_norway::to_string(value).unwrap_or_default();
    text.trim().replace('\n', ", ")
}
