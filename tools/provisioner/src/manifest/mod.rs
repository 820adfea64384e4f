//! Manifests: what an app reads and writes, so that what it needs can be derived.

mod chain;
mod document;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nubium_config::Problem;
use nubium_host::text;
use nubium_registry::{STRING_SCHEMA, SchemaBody, SubjectReference, formats};
use nubium_topic::changelog_of;

pub use self::chain::Chain;

/// Says what an app is and which topics and schemas it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The file that it was read from, for messages.
    pub file: String,
    /// The app's name: `NU_APP_NAME`.
    pub app: String,
    /// What kind of app it is.
    pub kind: Kind,
    /// Topics that it consumes.
    pub input: Vec<String>,
    /// Topics that it produces to.
    pub output: Vec<String>,
    /// Topics for another attempt; made like the input unless the map of topics says otherwise.
    pub retry: Vec<String>,
    /// Topics for messages that failed; made like the input too.
    pub failure: Vec<String>,
    /// The description that `retry` and `failure` follow from, if there is one.
    pub chain: Option<Chain>,
    /// Schemas of the outputs, by subject.
    pub schemas: BTreeMap<String, SchemaText>,
    /// The user that the app connects as, `User:name`; rights are planned when it is given.
    pub principal: Option<String>,
    /// What the app's transactional ids (`NU_HOSTNAME`) start with.
    pub transactional_ids: String,
}

/// Says how an app handles messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One message at a time, exactly once.
    App,
    /// Many messages at a time, exactly once.
    Batch,
    /// With a table for each partition of its one input, exactly once.
    Table,
    /// A plain consumer, without transactions.
    Consumer,
    /// A plain producer, without transactions.
    Producer,
}

/// Holds a schema and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaText {
    /// The file, as the manifest names it.
    pub file: String,
    /// The schema.
    pub text: String,
    /// The registry's name of its type.
    pub kind: String,
    /// The schemas that it refers to.
    pub references: Vec<SubjectReference>,
    /// Whether the manifest names it; else it is one that apps register by themselves.
    pub is_given: bool,
}

impl SchemaText {
    /// Takes the text of a file.
    #[must_use]
    pub fn new(file: &str, text: &str) -> Self {
        let kind = formats::kind_of(text).to_owned();
        let (file, text) = (file.to_owned(), text.to_owned());
        Self { file, text, kind, references: Vec::new(), is_given: true }
    }

    /// Checks a schema that refers to no other.
    ///
    /// # Errors
    /// It is not valid: says why.
    pub fn check(&self) -> Result<(), String> {
        let parsed = formats::parse(&self.kind, &self.text, &[]);
        parsed.and_then(|schema| schema.check_defaults()).map_err(|error| error.to_string())
    }

    /// Gives it as the registry is sent it.
    #[must_use]
    pub fn body(&self) -> SchemaBody<'_> {
        SchemaBody { schema: &self.text, kind: &self.kind, references: &self.references }
    }
}

impl Kind {
    const NAMES: [(&'static str, Self); 5] = [
        ("app", Self::App),
        ("batch", Self::Batch),
        ("table", Self::Table),
        ("consumer", Self::Consumer),
        ("producer", Self::Producer),
    ];

    /// Gives the name that manifests have for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Tells whether it works with transactions.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        matches!(self, Self::App | Self::Batch | Self::Table)
    }
}

impl Manifest {
    /// Names the changelog of a table app; none for the others.
    #[must_use]
    pub fn changelog(&self) -> Option<String> {
        (self.kind == Kind::Table).then(|| changelog_of(&self.app))
    }

    /// Gives the topics that it reads.
    #[must_use]
    pub fn reads(&self) -> BTreeSet<String> {
        let retries = self.chain.iter().flat_map(Chain::retries);
        self.input.iter().cloned().chain(retries).chain(self.changelog()).collect()
    }

    /// Gives the groups that it reads with: its own, and those of deployments for retry topics.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        if self.input.is_empty() {
            return Vec::new();
        }
        let further = self.chain.iter().flat_map(|chain| chain.groups(&self.app));
        std::iter::once(self.app.clone()).chain(further).collect()
    }

    /// Gives the topics that it writes.
    #[must_use]
    pub fn writes(&self) -> BTreeSet<String> {
        let named = [&self.output, &self.retry, &self.failure].into_iter().flatten().cloned();
        named.chain(self.changelog()).collect()
    }

    /// Gives every schema that must be registered, by subject: of the outputs as given, with their
    /// keys, and of the changelog.
    #[must_use]
    pub fn subjects(&self) -> BTreeMap<String, SchemaText> {
        let string =
            || SchemaText { is_given: false, ..SchemaText::new("built in", STRING_SCHEMA) };
        let mut subjects = self.schemas.clone();
        for subject in self.schemas.keys() {
            if let Some(topic) = subject.strip_suffix("-value") {
                subjects.entry(format!("{topic}-key")).or_insert_with(string);
            }
        }
        if let Some(changelog) = self.changelog() {
            for part in ["key", "value"] {
                subjects.entry(format!("{changelog}-{part}")).or_insert_with(string);
            }
        }
        subjects
    }
}

/// Reads manifests from files, and from all YAML files of directories.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load(paths: &[String]) -> Result<Vec<Manifest>, Vec<Problem>> {
    let (mut manifests, mut problems) = (Vec::new(), Vec::new());
    for path in paths.iter().map(|path| path.trim()).filter(|path| !path.is_empty()) {
        match files(Path::new(path)) {
            Ok(files) => {
                for file in files {
                    match read(&file) {
                        Ok(manifest) => manifests.push(manifest),
                        Err(found) => problems.extend(found),
                    }
                }
            }
            Err(why) => problems.push(unreadable(path, &why)),
        }
    }
    let mut apps: BTreeMap<&str, &str> = BTreeMap::new();
    for manifest in &manifests {
        if let Some(other) = apps.insert(&manifest.app, &manifest.file) {
            problems.push(Problem {
                setting: manifest.file.clone(),
                place: "app".into(),
                read: format!("{}, which {other} has too", manifest.app),
                expected: "one manifest for each app".into(),
                example: "app: contacts".into(),
            });
        }
    }
    if problems.is_empty() { Ok(manifests) } else { Err(problems) }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| error.to_string())? {
        let file = entry.map_err(|error| error.to_string())?.path();
        if file.extension().is_some_and(|suffix| suffix == "yaml" || suffix == "yml") {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err("a directory without YAML files".into()),
        false => Ok(files),
    }
}

fn read(path: &Path) -> Result<Manifest, Vec<Problem>> {
    let name = path.display().to_string();
    let text = text::read(path).map_err(|error| vec![unreadable(&name, &error.to_string())])?;
    let directory = path.parent().map(PathBuf::from).unwrap_or_default();
    parse(&name, &text, &|file| text::read(directory.join(file)))
}

/// Reads a manifest from text; `read` gives the text of a schema file that it names.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn parse(
    name: &str,
    text: &str,
    read: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<Manifest, Vec<Problem>> {
    document::parse(name, text, read)
}

fn unreadable(path: &str, why: &str) -> Problem {
    Problem {
        setting: "NU_PROVISION_MANIFESTS".into(),
        place: String::new(),
        read: format!("{path:?} ({why})"),
        expected: "YAML files that can be read, or directories of them".into(),
        example: "NU_PROVISION_MANIFESTS=/etc/nubium/manifests".into(),
    }
}

#[cfg(test)]
mod tests;
