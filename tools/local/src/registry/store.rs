//! Keeps schemas, subjects and compatibility levels.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use apache_avro::Schema;

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

#[derive(Debug)]
struct Entry {
    text: String,
    schema: Schema,
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
    entries: Vec<Entry>,
    ids: HashMap<String, u32>,
    subjects: BTreeMap<String, Subject>,
    level: Level,
    levels: HashMap<String, Level>,
}

impl Store {
    /// Registers a schema after the compatibility check, or returns the id it has here already.
    pub(super) fn register(&mut self, subject: &str, text: &str) -> Result<u32, Refusal> {
        let schema = parse(text)?;
        if let Ok((found, _)) = self.lookup(subject, text) {
            return Ok(found.id);
        }
        self.check(subject, &schema, None)
            .map_err(|why| Refusal::new(409, 409, format!("Schema is incompatible: {why}")))?;
        Ok(self.add(subject, text, schema))
    }

    /// Registers a schema without the compatibility check.
    pub(super) fn force(&mut self, subject: &str, text: &str) -> Result<u32, Refusal> {
        let schema = parse(text)?;
        if let Ok((found, _)) = self.lookup(subject, text) {
            return Ok(found.id);
        }
        Ok(self.add(subject, text, schema))
    }

    fn add(&mut self, subject: &str, text: &str, schema: Schema) -> u32 {
        let key = spelling(text);
        let id = *self.ids.entry(key).or_insert_with(|| {
            self.entries.push(Entry { text: text.into(), schema });
            u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
        });
        let subject = self.subjects.entry(subject.into()).or_default();
        subject.last += 1;
        subject.versions.push(Version { version: subject.last, id });
        id
    }

    /// Finds a schema under a subject.
    pub(super) fn lookup(&self, subject: &str, text: &str) -> Result<(Version, &str), Refusal> {
        let versions = self.versions(subject)?;
        let id = self.ids.get(&spelling(text)).ok_or_else(Refusal::no_schema)?;
        let found = versions.iter().find(|v| v.id == *id).ok_or_else(Refusal::no_schema)?;
        Ok((found.clone(), self.text(*id)?))
    }

    /// Checks a schema against one version, or against those that the level names.
    pub(super) fn check(
        &self,
        subject: &str,
        schema: &Schema,
        version: Option<&Version>,
    ) -> Result<(), String> {
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
    pub(super) fn version(&self, subject: &str, version: &str) -> Result<(Version, &str), Refusal> {
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
        let text = self.text(found.id)?;
        Ok((found, text))
    }

    pub(super) fn text(&self, id: u32) -> Result<&str, Refusal> {
        self.entry(id).map(|entry| entry.text.as_str()).ok_or_else(Refusal::no_schema)
    }

    fn schema(&self, id: u32) -> Option<&Schema> {
        self.entry(id).map(|entry| &entry.schema)
    }

    fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.get((id as usize).checked_sub(1)?)
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

pub(super) fn parse(text: &str) -> Result<Schema, Refusal> {
    Schema::parse_str(text)
        .map_err(|error| Refusal::new(422, 42201, format!("Invalid Avro schema: {error}")))
}

/// Makes two texts equal that differ in white space alone. `"string"` and `{"type":"string"}` stay
/// two schemas with two ids, as they do in the registries this one stands in for.
fn spelling(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).map_or_else(|_| text.into(), |v| v.to_string())
}
