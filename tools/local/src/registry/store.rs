//! Keeps schemas, subjects and compatibility levels.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use apache_avro::Schema;
use serde_json::{Map, Value};

use super::compatibility::Level;

/// Says why a request is refused, with the Confluent error code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: u32,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn no_subject(subject: &str) -> Self {
        Self::new(404, 40401, format!("Subject '{subject}' not found."))
    }

    fn no_version(version: &str) -> Self {
        Self::new(404, 40402, format!("Version {version} not found."))
    }

    fn no_schema() -> Self {
        Self::new(404, 40403, "Schema not found")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// One schema under one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) version: u32,
    pub(super) id: u32,
}

/// A schema as it was posted.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    kind: String,
    text: String,
    references: Value,
    /// The schema, if it is Avro: what is compared.
    schema: Option<Schema>,
}

impl Posted {
    /// Checks a text: Avro by its parser, JSON Schema as JSON; Protobuf is taken as it is.
    pub(super) fn new(kind: &str, text: &str, references: &Value) -> Result<Self, Refusal> {
        let invalid =
            |why: String| Refusal::new(422, 42201, format!("Invalid {kind} schema: {why}"));
        let mut schema = None;
        match kind {
            "AVRO" => schema = Some(Schema::parse_str(text).map_err(|e| invalid(e.to_string()))?),
            "JSON" => {
                drop(serde_json::from_str::<Value>(text).map_err(|e| invalid(e.to_string()))?)
            }
            "PROTOBUF" => {}
            _ => return Err(invalid("there is no such type".into())),
        }
        let (kind, text, references) = (kind.to_owned(), text.to_owned(), references.clone());
        Ok(Self { kind, text, references, schema })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Says what registries say of a schema; its type only where it is not Avro.
    pub(super) fn described(&self) -> Map<String, Value> {
        let mut said = Map::from_iter([("schema".to_owned(), self.text.as_str().into())]);
        if self.kind != "AVRO" {
            said.insert("schemaType".into(), self.kind.as_str().into());
        }
        if self.references.as_array().is_some_and(|references| !references.is_empty()) {
            said.insert("references".into(), self.references.clone());
        }
        said
    }

    /// Makes two equal that differ in white space alone. `"string"` and `{"type":"string"}` stay
    /// two schemas with two ids, as they do in the registries this one stands in for.
    fn spelling(&self) -> String {
        let text = serde_json::from_str::<Value>(&self.text);
        let text = text.map_or_else(|_| self.text.clone(), |value| value.to_string());
        format!("{} {} {text}", self.kind, self.references)
    }
}

#[derive(Debug, Default)]
struct Subject {
    versions: Vec<Version>,
    /// Version numbers are never given twice, also after a deletion.
    last: u32,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    /// The entry at index `n` has id `n + 1`.
    entries: Vec<Posted>,
    ids: HashMap<String, u32>,
    subjects: BTreeMap<String, Subject>,
    level: Level,
    levels: HashMap<String, Level>,
}

impl Store {
    /// Registers a schema after the compatibility check, or returns the id it has here already.
    pub(super) fn register(&mut self, subject: &str, posted: Posted) -> Result<u32, Refusal> {
        if let Ok((found, _)) = self.lookup(subject, &posted) {
            return Ok(found.id);
        }
        self.check(subject, &posted, None)
            .map_err(|why| Refusal::new(409, 409, format!("Schema is incompatible: {why}")))?;
        Ok(self.add(subject, posted))
    }

    /// Registers an Avro schema without the compatibility check.
    pub(super) fn force(&mut self, subject: &str, text: &str) -> Result<u32, Refusal> {
        let posted = Posted::new("AVRO", text, &Value::Null)?;
        if let Ok((found, _)) = self.lookup(subject, &posted) {
            return Ok(found.id);
        }
        Ok(self.add(subject, posted))
    }

    fn add(&mut self, subject: &str, posted: Posted) -> u32 {
        let id = *self.ids.entry(posted.spelling()).or_insert_with(|| {
            self.entries.push(posted);
            u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
        });
        let subject = self.subjects.entry(subject.into()).or_default();
        subject.last += 1;
        subject.versions.push(Version { version: subject.last, id });
        id
    }

    /// Finds a schema under a subject.
    pub(super) fn lookup(
        &self,
        subject: &str,
        posted: &Posted,
    ) -> Result<(Version, &Posted), Refusal> {
        let versions = self.versions(subject)?;
        let id = self.ids.get(&posted.spelling()).ok_or_else(Refusal::no_schema)?;
        let found = versions.iter().find(|v| v.id == *id).ok_or_else(Refusal::no_schema)?;
        Ok((found.clone(), self.entry(*id)?))
    }

    /// Checks a schema against one version, or against those that the level names.
    pub(super) fn check(
        &self,
        subject: &str,
        posted: &Posted,
        version: Option<&Version>,
    ) -> Result<(), String> {
        // Other types are not compared.
        let Some(schema) = &posted.schema else { return Ok(()) };
        let earlier: Vec<&Schema> = match (version, self.subjects.get(subject)) {
            (Some(version), _) => self.schema(version.id).into_iter().collect(),
            (None, Some(subject)) => {
                subject.versions.iter().filter_map(|v| self.schema(v.id)).collect()
            }
            (None, None) => Vec::new(),
        };
        self.level(Some(subject)).check(schema, &earlier)
    }

    pub(super) fn subjects(&self) -> Vec<&str> {
        self.subjects.keys().map(String::as_str).collect()
    }

    pub(super) fn versions(&self, subject: &str) -> Result<&[Version], Refusal> {
        let found = self.subjects.get(subject).ok_or_else(|| Refusal::no_subject(subject))?;
        Ok(&found.versions)
    }

    /// Finds a version by number or by the word `latest`.
    pub(super) fn version(
        &self,
        subject: &str,
        version: &str,
    ) -> Result<(Version, &Posted), Refusal> {
        let versions = self.versions(subject)?;
        let found = if version == "latest" || version == "-1" {
            versions.last()
        } else {
            let number: u32 = version.parse().map_err(|_| {
                Refusal::new(422, 42202, format!("The specified version '{version}' is not valid."))
            })?;
            versions.iter().find(|v| v.version == number)
        };
        let found = found.cloned().ok_or_else(|| Refusal::no_version(version))?;
        let posted = self.entry(found.id)?;
        Ok((found, posted))
    }

    pub(super) fn entry(&self, id: u32) -> Result<&Posted, Refusal> {
        let index = (id as usize).checked_sub(1);
        index.and_then(|index| self.entries.get(index)).ok_or_else(Refusal::no_schema)
    }

    fn schema(&self, id: u32) -> Option<&Schema> {
        self.entry(id).ok()?.schema.as_ref()
    }

    /// Lists the subjects and versions that use a schema.
    pub(super) fn uses<'a>(&'a self, id: u32) -> Vec<(&'a str, u32)> {
        let pair = |(name, subject): (&'a String, &'a Subject)| {
            let found = subject.versions.iter().find(|v| v.id == id)?;
            Some((name.as_str(), found.version))
        };
        self.subjects.iter().filter_map(pair).collect()
    }

    pub(super) fn delete_subject(&mut self, subject: &str) -> Result<Vec<u32>, Refusal> {
        let gone = self.subjects.remove(subject).ok_or_else(|| Refusal::no_subject(subject))?;
        Ok(gone.versions.iter().map(|v| v.version).collect())
    }

    pub(super) fn delete_version(&mut self, subject: &str, version: &str) -> Result<u32, Refusal> {
        let (gone, _) = self.version(subject, version)?;
        if let Some(subject) = self.subjects.get_mut(subject) {
            subject.versions.retain(|v| v.version != gone.version);
        }
        Ok(gone.version)
    }

    pub(super) fn level(&self, subject: Option<&str>) -> Level {
        subject.and_then(|s| self.levels.get(s)).copied().unwrap_or(self.level)
    }

    pub(super) fn set_level(&mut self, subject: Option<String>, level: Level) {
        match subject {
            Some(subject) => drop(self.levels.insert(subject, level)),
            None => self.level = level,
        }
    }
}
