//! Parses Avro schemas once and keeps them for the life of the process.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use apache_avro::AvroSchema;

use crate::draft::Draft;
use crate::{Form, Formed, Graph, fast, parse};

/// The spelling in which key schemas are registered.
///
/// The schema id is part of a key's bytes and the partition is computed from those bytes. A
/// registry may give `"string"` and `{"type":"string"}` different ids, so all apps must use one
/// spelling; this is the one of the Python clients.
pub const STRING_SCHEMA: &str = r#"{"type":"string"}"#;

const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Holds a parsed schema for as long as the process lives.
///
/// It is leaked on purpose: decoded values, caches and encoders share it without counting
/// references. Equal texts give the same schema, so the memory is bounded by the number of distinct
/// schemas that the process meets, which is the number of schema ids in its topics.
///
/// What its [`Graph`] says can be asked of it directly.
pub struct Schema {
    text: String,
    fast: serde_avro_fast::Schema,
    references: Vec<String>,
    graph: Graph,
    draft: OnceLock<Option<Result<Draft, SchemaError>>>,
}

/// Finds a schema by its text and those of the schemas it refers to.
type Known = HashMap<(String, Vec<String>), &'static Schema>;

/// Says why a text is not a usable Avro schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {why}")]
pub struct SchemaError {
    kind: &'static str,
    why: String,
    is_missing: bool,
}

impl SchemaError {
    /// Says what is wrong.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self::of("Avro schema", reason)
    }

    /// Says what is wrong with a schema of another kind, such as `JSON Schema`.
    pub fn of(kind: &'static str, reason: impl fmt::Display) -> Self {
        Self { kind, why: reason.to_string(), is_missing: false }
    }

    /// Says that what is wrong may be all right beside another schema, which defines what this one
    /// refers to.
    #[must_use]
    pub fn missing(self) -> Self {
        Self { is_missing: true, ..self }
    }

    /// Tells whether it may be all right beside another schema.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// Says where it was found; the innermost place is enough.
    pub(crate) fn within(self, place: impl fmt::Display) -> Self {
        match self.why.starts_with("field `") {
            true => self,
            false => Self { why: format!("{place}: {}", self.why), ..self },
        }
    }
}

impl Schema {
    /// Parses a schema given as JSON or as the bare name of a primitive type (`string`).
    ///
    /// # Errors
    /// When the text is no Avro schema.
    pub fn parse(text: &str) -> Result<&'static Self, SchemaError> {
        Self::parse_with(text, &[])
    }

    /// Parses a schema of one's own, which is to be registered: its defaults must fit their types.
    ///
    /// # Errors
    /// As [`Schema::parse`], and when a default does not fit.
    pub fn parse_own(text: &str) -> Result<&'static Self, SchemaError> {
        let schema = Self::parse(text)?;
        schema.check_defaults()?;
        Ok(schema)
    }

    /// Parses a schema that refers to the named types of other schemas.
    ///
    /// # Errors
    /// When one of the texts is no Avro schema, or a name is defined in none.
    pub fn parse_with(text: &str, references: &[String]) -> Result<&'static Self, SchemaError> {
        static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
        let key = (spelled_out(text), references.to_vec());
        let known = KNOWN.get_or_init(Mutex::default);
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = known.get(&key) {
            return Ok(schema);
        }
        let schema: &'static Self = Box::leak(Box::new(Self::build(&key.0, references)?));
        known.insert(key, schema);
        Ok(schema)
    }

    /// Reads a schema from a file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no Avro schema; the message names the file.
    pub fn read(path: impl AsRef<Path>) -> Result<&'static Self, SchemaError> {
        let path = path.as_ref();
        let at =
            |error: &dyn fmt::Display| SchemaError::new(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| at(&error))?;
        Self::parse(&text).map_err(|error| at(&error.why))
    }

    /// Derives the schema of a Rust type with `#[derive(AvroSchema)]` of the crate `apache-avro`.
    ///
    /// The derive follows the serde attributes (`rename`, `skip` and others), so what serde writes
    /// fits the schema. Field defaults, docs and aliases are given with `#[avro(…)]`.
    ///
    /// # Errors
    /// When the derived schema is not valid, for instance for a name that Avro does not allow.
    pub fn of<T: AvroSchema>() -> Result<&'static Self, SchemaError> {
        let text = serde_json::to_string(&T::get_schema()).map_err(SchemaError::new)?;
        Self::parse(&text)
    }

    fn build(text: &str, references: &[String]) -> Result<Self, SchemaError> {
        let graph = parse::graph(text, references)?;
        let fast = fast::schema(&graph)?;
        let (references, draft) = (references.to_vec(), OnceLock::new());
        Ok(Self { text: text.into(), fast, references, graph, draft })
    }

    /// Keeps a schema of another form than Avro for the life of the process. Whoever makes it keeps
    /// equal ones apart from being made twice.
    #[must_use]
    pub fn of_form(
        text: &str,
        references: Vec<String>,
        form: Option<&'static dyn Form>,
    ) -> &'static Self {
        let graph = Graph::of_document(form.map(Formed));
        // A graph of one string has nothing that could be refused.
        let fast = fast::schema(&graph).unwrap_or_else(|error| unreachable!("{error}"));
        let (text, draft) = (text.to_owned(), OnceLock::new());
        Box::leak(Box::new(Self { text, fast, references, graph, draft }))
    }

    /// Returns the schema of any JSON document.
    #[must_use]
    pub fn any_json() -> &'static Self {
        static ANY: OnceLock<&'static Schema> = OnceLock::new();
        ANY.get_or_init(|| Self::of_form("", Vec::new(), None))
    }

    /// Tells whether a datum is the text of a JSON document.
    #[must_use]
    #[inline]
    pub fn is_document(&self) -> bool {
        matches!(self.graph.node(self.graph.root()), crate::Node::Json(_))
    }

    /// Returns the form of its data, if that is not Avro.
    #[must_use]
    pub fn form(&self) -> Option<&'static dyn Form> {
        match self.graph.node(self.graph.root()) {
            crate::Node::Json(form) => form.map(|form| form.0),
            _ => None,
        }
    }

    /// Returns the registry's name of its type.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.form().map_or("AVRO", Form::kind)
    }

    /// Returns the text as it is registered: JSON, with a bare primitive name spelled as an object.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the texts of the schemas whose named types it refers to.
    #[must_use]
    pub fn references(&self) -> &[String] {
        &self.references
    }

    /// Tells whether a datum is nothing but one string.
    #[must_use]
    pub fn is_plain_string(&self) -> bool {
        matches!(self.graph.node(self.graph.root()), crate::Node::String)
    }

    /// Returns the draft that types known when the program is compiled are written with first, if
    /// the schema has what serde_avro_fast does not check; or why there can be none.
    pub(crate) fn draft(&self) -> Option<&Result<Draft, SchemaError>> {
        self.draft.get_or_init(|| Draft::new(&self.graph)).as_ref()
    }

    /// Returns what serde_avro_fast needs for types that are known when the program is compiled.
    #[must_use]
    pub fn fast(&self) -> &serde_avro_fast::Schema {
        &self.fast
    }
}

impl std::ops::Deref for Schema {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        &self.graph
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.text).finish()
    }
}

/// Spells a primitive type as an object, as the Python clients do, and leaves other texts alone.
fn spelled_out(text: &str) -> String {
    // Editors put a byte order mark first; it is no part of the text.
    let text = text.trim_start_matches('\u{feff}').trim();
    let name = text.trim_matches('"');
    if PRIMITIVES.contains(&name) { format!(r#"{{"type":"{name}"}}"#) } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primitive_has_one_spelling() {
        for text in ["string", " \"string\" ", STRING_SCHEMA] {
            let schema = Schema::parse(text).unwrap();
            assert_eq!(schema.text(), STRING_SCHEMA);
            assert!(schema.is_plain_string());
        }
        assert!(!Schema::parse("int").unwrap().is_plain_string());
        let uuid = Schema::parse(r#"{"type":"string","logicalType":"uuid"}"#).unwrap();
        assert!(!uuid.is_plain_string());
    }

    #[test]
    fn equal_texts_are_leaked_once() {
        let text = r#"{"type":"array","items":"long"}"#;
        assert!(std::ptr::eq(Schema::parse(text).unwrap(), Schema::parse(text).unwrap()));
    }

    #[test]
    fn a_bad_schema_is_an_error_that_says_why() {
        for text in ["", "{", "strin", r#"{"type":"record","name":"R"}"#, r#"{"type":"nope"}"#] {
            let error = Schema::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("not a valid Avro schema: "), "{error}");
        }
        let error = Schema::read("/does/not/exist.avsc").unwrap_err().to_string();
        assert!(error.contains("/does/not/exist.avsc"), "{error}");
    }

    #[test]
    fn a_rust_type_gives_its_schema() {
        #[derive(AvroSchema, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(dead_code)]
        struct Order {
            order_id: i64,
            #[avro(default = "\"none\"")]
            note: String,
            lines: Vec<String>,
            price: Option<f64>,
        }
        let schema = Schema::of::<Order>().unwrap();
        assert!(schema.text().contains(r#""name":"orderId""#), "{}", schema.text());
        assert!(schema.text().contains(r#""default":"none""#), "{}", schema.text());
    }

    #[test]
    fn references_are_resolved() {
        let address =
            r#"{"type":"record","name":"x.Address","fields":[{"name":"city","type":"string"}]}"#;
        let person =
            r#"{"type":"record","name":"x.Person","fields":[{"name":"home","type":"x.Address"}]}"#;
        assert!(Schema::parse(person).is_err());
        let schema = Schema::parse_with(person, &[address.into()]).unwrap();
        assert!(matches!(schema.node(schema.root()), crate::Node::Record(_)));
    }
}
