//! Reads the YAML of a manifest and keeps count of what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use nubium_config::Problem;
use nubium_registry::formats;
use serde_norway::{Mapping as Map, Value};

use super::{Chain, Kind, Manifest, SchemaText};

const KEYS: [&str; 10] = [
    "app",
    "kind",
    "input",
    "output",
    "retry",
    "failure",
    "retries",
    "schemas",
    "principal",
    "transactional_ids",
];

/// Reads one document.
pub(super) struct Document<'a> {
    name: &'a str,
    read: &'a dyn Fn(&str) -> io::Result<String>,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Document<'a> {
    pub(super) fn new(name: &'a str, read: &'a dyn Fn(&str) -> io::Result<String>) -> Self {
        Self { name, read, problems: Vec::new() }
    }

    pub(super) fn parse(&mut self, text: &str) -> Option<Manifest> {
        let example = "app: contacts";
        let root: Value = match serde_norway::from_str(text) {
            Ok(root) => root,
            Err(error) => {
                self.problem("", "no YAML", &format!("YAML, but: {error}"), example);
                return None;
            }
        };
        let Some(root) = root.as_mapping() else {
            self.problem("", &show(&root), "a map with `app`, `kind` and topics", example);
            return None;
        };
        // A key that starts with a dot holds a YAML anchor, as in the map of topics.
        for key in root.keys().map(show).filter(|key| !key.starts_with('.')) {
            if !KEYS.contains(&key.as_str()) {
                self.problem("", &key, &format!("one of {}", KEYS.join(", ")), example);
            }
        }
        let app = self.text(root, "app", "app: contacts");
        if app.is_none() && !root.contains_key("app") {
            self.problem("app", "nothing", "the app's name, as in NU_APP_NAME", example);
        }
        let kind = self.kind(root);
        let principal = self.text(root, "principal", "principal: User:contacts");
        if let Some(user) = principal.as_deref().filter(|user| !user.starts_with("User:")) {
            let expected = "a user as Kafka writes it: User: and the name";
            self.problem("principal", user, expected, "principal: User:contacts");
        }
        let transactional_ids =
            self.text(root, "transactional_ids", "transactional_ids: contacts-");
        let chain = self.chain(root);
        let (app, kind) = (app?, kind?);
        let mut manifest = Manifest {
            file: self.name.to_owned(),
            transactional_ids: transactional_ids.unwrap_or_else(|| app.clone()),
            kind,
            input: self.topics(root, "input"),
            output: self.topics(root, "output"),
            retry: self.topics(root, "retry"),
            failure: self.topics(root, "failure"),
            chain: None,
            schemas: self.schemas(root),
            principal,
            app,
        };
        if let Some(chain) = chain {
            self.chain_rules(&manifest);
            if manifest.input.is_empty() {
                manifest.input = vec![chain.first()];
            }
            manifest.retry = chain.retries();
            manifest.failure = vec![chain.failure()];
            manifest.chain = Some(chain);
        }
        self.rules(&manifest);
        Some(manifest)
    }

    /// A retry chain.
    fn chain(&mut self, root: &Map) -> Option<Chain> {
        let example = "retries: {stem: contacts, delays_minutes: [5, 30, 120]}";
        let map = match root.get("retries")? {
            Value::Mapping(map) => map,
            other => {
                let expected = "a map with `stem` and `delays_minutes`";
                self.problem("retries", &show(other), expected, example);
                return None;
            }
        };
        const CHAIN: [&str; 4] = ["stem", "delays_minutes", "partitions", "deployments"];
        for key in map.keys().map(show).filter(|key| !CHAIN.contains(&key.as_str())) {
            self.problem("retries", &key, &format!("one of {}", CHAIN.join(", ")), example);
        }
        let stem = self.text(map, "stem", example);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let stem = stem.filter(|stem| stem.len() <= 239 && stem.chars().all(legal));
        if stem.is_none() {
            let expected = "what the topics' names start with: letters, digits, dots, \
                underscores, hyphens";
            self.problem("retries.stem", &show_at(map, "stem"), expected, example);
        }
        let delays = match map.get("delays_minutes") {
            Some(Value::Sequence(delays)) => delays.iter().map(minutes).collect(),
            _ => None,
        };
        let delays: Option<Vec<String>> = delays.filter(|delays: &Vec<_>| !delays.is_empty());
        if delays.is_none() {
            let expected = "a list of minutes above 0, one for each retry topic";
            let read = show_at(map, "delays_minutes");
            self.problem("retries.delays_minutes", &read, expected, example);
        }
        let partitions = match map.get("partitions") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                if number.is_none_or(|number| number == 0) {
                    self.problem("retries.partitions", &show(value), "a number above 0", example);
                }
                number
            }
        };
        let each = match map.get("deployments").map(show).as_deref() {
            None | Some("one") => false,
            Some("each") => true,
            Some(other) => {
                let expected = "one: all topics are read by one deployment, or each: by one each";
                self.problem("retries.deployments", other, expected, example);
                false
            }
        };
        Some(Chain { stem: stem?, delays: delays?, partitions, each })
    }

    /// What must hold where there is a chain.
    fn chain_rules(&mut self, manifest: &Manifest) {
        let example = "retries: {stem: contacts, delays_minutes: [5, 30, 120]}";
        for (name, topics) in [("retry", &manifest.retry), ("failure", &manifest.failure)] {
            if !topics.is_empty() {
                let expected = "nothing, since `retries` names the topics";
                self.problem(name, &topics.join(", "), expected, example);
            }
        }
        if matches!(manifest.kind, Kind::Table | Kind::Producer) {
            let expected = "an app that reads its retry topics: app, batch or consumer (a table \
                belongs to one input)";
            self.problem("retries", manifest.kind.name(), expected, "kind: app");
        }
    }

    fn kind(&mut self, root: &Map) -> Option<Kind> {
        let names: Vec<_> = Kind::NAMES.iter().map(|(name, _)| *name).collect();
        let expected = format!("one of {}", names.join(", "));
        let Some(name) = self.text(root, "kind", "kind: app") else {
            if !root.contains_key("kind") {
                self.problem("kind", "nothing", &expected, "kind: app");
            }
            return None;
        };
        let kind = Kind::from_name(&name);
        if kind.is_none() {
            self.problem("kind", &name, &expected, "kind: app");
        }
        kind
    }

    /// What must hold between the fields.
    fn rules(&mut self, manifest: &Manifest) {
        let (kind, inputs) = (manifest.kind, manifest.input.len());
        let (place, example) = ("input", "input: contacts");
        match kind {
            Kind::Table if inputs != 1 => {
                let expected = "exactly one topic, since a table belongs to one input";
                self.problem(place, &format!("{inputs} topics"), expected, example);
            }
            Kind::Producer if inputs > 0 => {
                let expected = "nothing, since a producer reads no topic";
                self.problem(place, &format!("{inputs} topics"), expected, "kind: app");
            }
            Kind::App | Kind::Batch | Kind::Consumer if inputs == 0 => {
                self.problem(place, "nothing", "at least one topic", example);
            }
            _ => {}
        }
        let written: BTreeSet<_> = manifest.writes();
        let of = |subject: &String| {
            let topic = subject.strip_suffix("-value").or(subject.strip_suffix("-key"));
            topic.is_some_and(|topic| !written.contains(topic))
        };
        for subject in manifest.schemas.keys().filter(|subject| of(subject)) {
            let expected = "topics that the app writes";
            self.problem("schemas", subject, expected, "schemas: {contacts: contact.avsc}");
        }
    }

    /// A topic or a list of topics.
    fn topics(&mut self, root: &Map, name: &str) -> Vec<String> {
        let list = match root.get(name) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Sequence(list)) => list.clone(),
            Some(one) => vec![one.clone()],
        };
        let mut topics = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let place = format!("{name}[{index}]");
            let example = format!("{name}: [contacts]");
            // What Kafka allows: org.apache.kafka.common.internals.Topic.
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            match entry.as_str() {
                Some(topic) if topics.iter().any(|known| known == topic) => {
                    self.problem(&place, topic, "each topic once", &example);
                }
                Some(topic)
                    if !topic.is_empty() && topic.len() <= 249 && topic.chars().all(legal) =>
                {
                    topics.push(topic.to_owned());
                }
                _ => {
                    let expected =
                        "a topic's name: 1 to 249 letters, digits, dots, underscores, hyphens";
                    self.problem(&place, &show(entry), expected, &example);
                }
            }
        }
        topics
    }

    /// A map of topics to a file, or to files for key and value.
    fn schemas(&mut self, root: &Map) -> BTreeMap<String, SchemaText> {
        let example = "schemas: {contacts: contact.avsc}";
        let mut schemas = BTreeMap::new();
        let map = match root.get("schemas") {
            None | Some(Value::Null) => return schemas,
            Some(Value::Mapping(map)) => map,
            Some(other) => {
                self.problem("schemas", &show(other), "a map of topics to files", example);
                return schemas;
            }
        };
        for (topic, entry) in map {
            let topic = show(topic);
            let place = format!("schemas.{topic}");
            let files: Vec<(String, &Value)> = match entry {
                Value::Mapping(parts) => {
                    parts.iter().map(|(part, file)| (show(part), file)).collect()
                }
                file => vec![("value".to_owned(), file)],
            };
            for (part, file) in files {
                if part != "key" && part != "value" {
                    self.problem(&place, &part, "key or value", example);
                } else if let Some(schema) = self.schema(&place, file) {
                    schemas.insert(format!("{topic}-{part}"), schema);
                }
            }
        }
        schemas
    }

    fn schema(&mut self, place: &str, file: &Value) -> Option<SchemaText> {
        let example = "schemas: {contacts: contact.avsc}";
        let Some(file) = file.as_str() else {
            self.problem(place, &show(file), "the name of a file", example);
            return None;
        };
        let text = match (self.read)(file) {
            Ok(text) => text,
            Err(error) => {
                let expected = format!("a file beside {}, but: {error}", self.name);
                self.problem(place, file, &expected, example);
                return None;
            }
        };
        match formats::parse_own(&text) {
            // Apps register this spelling, and a registry may tell spellings apart.
            Ok(schema) => Some(SchemaText::new(file, schema.text())),
            // The map of topics may say what it refers to.
            Err(error) if error.is_missing() => Some(SchemaText::new(file, &text)),
            Err(error) => {
                self.problem(place, file, &format!("a schema, but: {error}"), example);
                None
            }
        }
    }

    fn text(&mut self, map: &Map, name: &str, example: &str) -> Option<String> {
        match map.get(name)? {
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            other => {
                self.problem(name, &show(other), "text", example);
                None
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

/// Minutes as a setting has them; none where they are no time.
fn minutes(value: &Value) -> Option<String> {
    value.as_f64().filter(|minutes| *minutes > 0.0).map(|minutes| minutes.to_string())
}

fn show_at(map: &Map, key: &str) -> String {
    map.get(key).map_or_else(|| "nothing".into(), show)
}

fn show(value: &Value) -> String {
    let text = serde_norway::to_string(value).unwrap_or_default();
    text.trim().replace('\n', ", ")
}
