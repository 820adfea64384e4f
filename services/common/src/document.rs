//! Reads the YAML of a service's settings and keeps count of what is wrong.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use serde_norway::{Mapping as Map, Value};

use nubium_core::codec::formats;
pub use nubium_core::config::Problem;
use nubium_core::config::{Config, TopicSchemas, Topics};
use nubium_host::text;
use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::Source;

/// Reads a text file that the settings name.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> io::Result<String>;

/// Reads one document. Problems are collected, so that all are told at once.
pub struct Document<'a> {
    name: &'a str,
    read: ReadFile<'a>,
    sources: BTreeMap<String, Option<Arc<Source>>>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Holds a schema and where it comes from.
#[derive(Debug, Clone)]
pub struct SchemaFile {
    /// Name of the file, as the settings have it.
    pub name: String,
    /// Its text.
    pub json: String,
    /// The same, parsed.
    pub schema: &'static Schema,
}

impl SchemaFile {
    /// Takes the text of a file, of whichever type of schema it is.
    ///
    /// # Errors
    /// It is no schema; says why.
    pub fn parse(name: impl Into<String>, text: String) -> Result<Self, String> {
        let schema = formats::parse_own(&text).map_err(|error| error.to_string())?;
        Ok(Self { name: name.into(), json: text, schema })
    }

    /// Takes the text of the file of a topic's schema: what is seen of it is the message that the map
    /// of topics names.
    ///
    /// # Errors
    /// As [`SchemaFile::parse`]; it has no such message.
    pub fn of_topic(name: impl Into<String>, text: String, topic: &str) -> Result<Self, String> {
        let file = Self::parse(name, text)?;
        let Some(said) = mapped(topic) else { return Ok(file) };
        // One of another type is told where formats are compared.
        let schema = match file.schema.form() {
            Some(_) => said.seen(file.schema).map_err(|error| error.to_string())?,
            None => file.schema,
        };
        Ok(Self { schema, ..file })
    }

    /// Gives what stands for the schema of a topic whose format has none, by the map of topics.
    pub fn without(topic: &str) -> Option<Self> {
        let format = mapped(topic)?.value();
        let (name, schema) = (format!("none, {}", format.name()), format.own_schema()?);
        Some(Self { name, json: String::new(), schema })
    }
}

/// Gives what the map of topics says of a topic.
fn mapped(topic: &str) -> Option<&'static TopicSchemas> {
    static TOPICS: OnceLock<Topics> = OnceLock::new();
    TOPICS.get_or_init(Config::topic_schemas_of_env).get(topic)
}

/// Reads the file at `path`, which the setting `variable` names, and gives it to `parse` with its
/// name and a reader for the files beside it.
///
/// # Errors
/// When the file cannot be read, or what `parse` finds.
pub fn load<S>(
    variable: &str,
    path: &Path,
    parse: impl FnOnce(&str, &str, ReadFile<'_>) -> Result<S, Vec<Problem>>,
) -> Result<S, Vec<Problem>> {
    let directory = path.parent().map(PathBuf::from).unwrap_or_default();
    let name = path.display().to_string();
    let text = text::read(path).map_err(|error| {
        let file = variable.trim_start_matches("NU_").trim_end_matches("_CONFIG");
        let file = file.to_lowercase().replace('_', "-");
        vec![Problem {
            setting: variable.into(),
            place: String::new(),
            read: name.clone(),
            expected: format!("a file that can be read, but: {error}"),
            example: format!("{variable}=/etc/nubium/{file}.yaml"),
        }]
    })?;
    parse(&name, &text, &|file| text::read(directory.join(file)))
}

impl<'a> Document<'a> {
    /// Makes a reader of the document called `name`; `read` gives the text of files beside it.
    pub fn new(name: &'a str, read: ReadFile<'a>) -> Self {
        Self { name, read, sources: BTreeMap::new(), problems: Vec::new() }
    }

    /// Gives `settings` when nothing was wrong.
    ///
    /// # Errors
    /// Every problem, when there is one.
    pub fn finish<S>(self, settings: Option<S>) -> Result<S, Vec<Problem>> {
        match (settings, self.problems.is_empty()) {
            (Some(settings), true) => Ok(settings),
            _ => Err(self.problems),
        }
    }

    /// Parses the text, which must be a map of the names `known`.
    pub fn root(&mut self, text: &str, known: &[&str], example: &str) -> Option<Map> {
        let root: Value = match serde_norway::from_str(text) {
            Ok(root) => root,
            Err(error) => {
                self.problem("", "no YAML", &format!("YAML, but: {error}"), example);
                return None;
            }
        };
        let Value::Mapping(root) = root else {
            let expected = format!("a map with {}", list(known));
            self.problem("", &show(&root), &expected, example);
            return None;
        };
        self.names(&root, "", known);
        Some(root)
    }

    /// Gives the map called `name`; `None`, without a problem, when it is not there.
    pub fn map(&mut self, map: &Map, place: &str, name: &str, example: &str) -> Option<Map> {
        match map.get(name)? {
            Value::Mapping(inner) => Some(inner.clone()),
            other => {
                self.problem(&join(place, name), &show(other), "a map", example);
                None
            }
        }
    }

    /// Gives the entries of a list of maps that must not be empty, each with its place.
    pub fn entries(&mut self, root: &Map, name: &str, example: &str) -> Vec<(String, Map)> {
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

    /// Gives the text called `name`; `None`, without a problem, when it is not there.
    pub fn text(&mut self, map: &Map, place: &str, name: &str, example: &str) -> Option<String> {
        match map.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.problem(&join(place, name), &show(other), "text", example);
                None
            }
        }
    }

    /// Gives the whole number called `name`, which must be in `range`; `None`, without a problem,
    /// when it is not there.
    pub fn number(
        &mut self,
        map: &Map,
        place: &str,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let read = map.get(name)?;
        let number = read.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            self.problem(&join(place, name), &show(read), &expected, &range.start().to_string());
        }
        number
    }

    /// Gives the yes or no called `name`; `None`, without a problem, when it is not there.
    pub fn flag(&mut self, map: &Map, place: &str, name: &str) -> Option<bool> {
        let read = map.get(name)?;
        if read.as_bool().is_none() {
            self.problem(&join(place, name), &show(read), "true or false", "true");
        }
        read.as_bool()
    }

    /// Gives the entry's `topic`, which must be a name that Kafka allows.
    pub fn topic(&mut self, entry: &Map, place: &str) -> Option<String> {
        let at = join(place, "topic");
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

    /// Reads the mapping program in `file`; one that several places name is read once.
    pub fn source(&mut self, place: &str, file: &str) -> Option<Arc<Source>> {
        if let Some(known) = self.sources.get(file) {
            return known.clone();
        }
        let text = self.file(place, file, "forms.vrl");
        let source = text.map(|text| Arc::new(Source { name: file.to_owned(), text }));
        self.sources.insert(file.to_owned(), source.clone());
        source
    }

    /// Reads the schema in `file`, of the values of `topic`.
    pub fn schema(&mut self, place: &str, file: &str, topic: Option<&str>) -> Option<SchemaFile> {
        let json = self.file(place, file, "contact.avsc")?;
        SchemaFile::of_topic(file, json, topic.unwrap_or_default())
            .map_err(|why| {
                self.problem(place, file, &format!("a schema, but: {why}"), "contact.avsc")
            })
            .ok()
    }

    /// Reads a file beside the settings.
    pub fn file(&mut self, place: &str, file: &str, example: &str) -> Option<String> {
        (self.read)(file)
            .map_err(|error| {
                let expected = format!("a file beside {}, but: {error}", self.name);
                self.problem(place, file, &expected, example);
            })
            .ok()
    }

    /// Reports names of a map that nobody knows.
    pub fn names(&mut self, map: &Map, place: &str, known: &[&str]) {
        for name in map.keys() {
            let name = name.as_str().map_or_else(|| show(name), str::to_owned);
            if !known.contains(&name.as_str()) {
                let expected = format!("one of {}", known.join(", "));
                self.problem(place, &name, &expected, &format!("{}: …", known[0]));
            }
        }
    }

    /// Notes a problem: where, what is there, what should be, and an example.
    pub fn problem(&mut self, place: &str, read: &str, expected: &str, example: &str) {
        self.problems.push(Problem {
            setting: self.name.to_owned(),
            place: place.to_owned(),
            read: read.to_owned(),
            expected: expected.to_owned(),
            example: example.to_owned(),
        });
    }
}

/// Joins a place and a name below it.
pub fn join(place: &str, name: &str) -> String {
    match place.is_empty() {
        true => name.to_owned(),
        false => format!("{place}.{name}"),
    }
}

/// Shows a value in one line.
pub fn show(value: &Value) -> String {
    let text = serde_norway::to_string(value).unwrap_or_default();
    text.trim().replace('\n', ", ")
}

fn list(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
