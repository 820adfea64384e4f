//! Finds the file of a service's settings, and reads those that it names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use nubium_document::{Document, Fields, Problem, Value};

use nubium_core::codec::formats;
use nubium_core::config::{Config, TopicSchemas, Topics};
use nubium_host::text;
use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::Source;

/// Reads a text file that the settings name.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> io::Result<String>;

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

/// Reads the files that the settings name, which lie beside them.
pub struct Files<'a> {
    read: ReadFile<'a>,
    sources: RefCell<BTreeMap<String, Arc<Source>>>,
}

impl<'a> Files<'a> {
    /// Reads files by `read`.
    pub fn new(read: ReadFile<'a>) -> Self {
        Self { read, sources: RefCell::default() }
    }

    /// Gives name and text of the file that a field names.
    pub fn text(&self, fields: &Fields<'_>, name: &str, example: &str) -> Option<(String, String)> {
        let file = fields.text(name, example)?;
        match (self.read)(&file) {
            Ok(text) => Some((file, text)),
            Err(error) => {
                let expected = format!("a file beside this one, but: {error}");
                fields.problem(name, &file, &expected, example);
                None
            }
        }
    }

    /// Reads the schema in the file that a field names; of the values of `topic`, if one is given.
    pub fn schema(
        &self,
        fields: &Fields<'_>,
        name: &str,
        example: &str,
        topic: Option<&str>,
    ) -> Option<SchemaFile> {
        let (file, text) = self.text(fields, name, example)?;
        SchemaFile::of_topic(&file, text, topic.unwrap_or_default())
            .map_err(|why| fields.problem(name, &file, &format!("a schema, but: {why}"), example))
            .ok()
    }

    /// As [`Self::schema`], and a problem when none is named.
    pub fn needed_schema(
        &self,
        fields: &Fields<'_>,
        name: &str,
        example: &str,
        topic: Option<&str>,
    ) -> Option<SchemaFile> {
        if !fields.has(name) {
            fields.problem(name, "nothing", "the file of the topic's schema", example);
        }
        self.schema(fields, name, example, topic)
    }

    /// Reads the mapping program that `program` names; one that several name is read once.
    pub fn program(&self, fields: &Fields<'_>) -> Option<Arc<Source>> {
        let known = fields.value("program").and_then(Value::as_str);
        if let Some(source) = known.and_then(|file| self.sources.borrow().get(file).cloned()) {
            return Some(source);
        }
        let (name, text) = self.text(fields, "program", "forms.vrl")?;
        let source = Arc::new(Source { name: name.clone(), text });
        self.sources.borrow_mut().insert(name, Arc::clone(&source));
        Some(source)
    }
}
