//! Reads the YAML of a manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use nubium_document::{Document, Fields, Problem, Value, show, topic_name};
use nubium_registry::formats;

use super::{Chain, Kind, Manifest, SchemaText};

const EXAMPLE: &str = "app: contacts";
const CHAIN: &str = "retries: {stem: contacts, delays_minutes: [5, 30, 120]}";
const SCHEMAS: &str = "schemas: {contacts: contact.avsc}";

/// Gives the text of a file that a manifest names.
type ReadFile<'a> = &'a dyn Fn(&str) -> io::Result<String>;

/// Reads one manifest.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub(super) fn parse(name: &str, text: &str, read: ReadFile<'_>) -> Result<Manifest, Vec<Problem>> {
    let document = Document::new(name);
    let root = document.root(text, "a map with `app`, `kind` and topics", EXAMPLE);
    let manifest = root.and_then(|root| manifest(name, &root, read));
    document.finish(manifest)
}

fn manifest(name: &str, root: &Fields<'_>, read: ReadFile<'_>) -> Option<Manifest> {
    let app = root.needed("app", "the app's name, as in NU_APP_NAME", EXAMPLE);
    let kind = kind(root);
    let principal = root.text("principal", "principal: User:contacts");
    if let Some(user) = principal.as_deref().filter(|user| !user.starts_with("User:")) {
        let expected = "a user as Kafka writes it: User: and the name";
        root.problem("principal", user, expected, "principal: User:contacts");
    }
    let transactional_ids = root.text("transactional_ids", "transactional_ids: contacts-");
    let mut topics = [
        ("input", "input: [contacts]"),
        ("output", "output: [contacts]"),
        ("retry", "retry: [contacts]"),
        ("failure", "failure: [contacts]"),
    ]
    .map(|(name, example)| root.topics(name, example));
    let [input, output, retry, failure] = topics.each_mut().map(std::mem::take);
    let (given, chain) = (root.has("retries"), chain(root));
    let schemas = schemas(root, read);
    root.finish();
    let (app, kind) = (app?, kind?);
    let transactional_ids = transactional_ids.unwrap_or_else(|| app.clone());
    let file = name.to_owned();
    let chain_is_whole = given == chain.is_some();
    let mut manifest = Manifest {
        file,
        transactional_ids,
        kind,
        input,
        output,
        retry,
        failure,
        chain: None,
        schemas,
        principal,
        app,
    };
    if let Some(chain) = chain {
        chain_rules(root, &manifest);
        if manifest.input.is_empty() {
            manifest.input = vec![chain.first()];
        }
        manifest.retry = chain.retries();
        manifest.failure = vec![chain.failure()];
        manifest.chain = Some(chain);
    }
    if chain_is_whole {
        rules(root, &manifest);
    }
    Some(manifest)
}

/// A retry chain.
fn chain(root: &Fields<'_>) -> Option<Chain> {
    let fields = root.section("retries", CHAIN)?;
    let expected = "what the topics' names start with: letters, digits, dots, underscores, hyphens";
    let stem = fields.needed("stem", expected, CHAIN).filter(|stem| {
        let good = stem.len() <= 239 && topic_name(stem).is_ok();
        if !good {
            fields.problem("stem", stem, expected, CHAIN);
        }
        good
    });
    let delays = match fields.value("delays_minutes") {
        Some(Value::Sequence(delays)) => delays.iter().map(minutes).collect(),
        _ => None,
    };
    let delays: Option<Vec<String>> = delays.filter(|delays: &Vec<_>| !delays.is_empty());
    if delays.is_none() {
        let expected = "a list of minutes above 0, one for each retry topic";
        let read = fields.value("delays_minutes").map_or_else(|| "nothing".into(), show);
        fields.problem("delays_minutes", &read, expected, CHAIN);
    }
    let partitions = fields.whole("partitions", 1, 1..=u64::from(u32::MAX));
    let partitions = fields.has("partitions").then(|| u32::try_from(partitions).ok()).flatten();
    let each = fields.choice("deployments", &[("one", false), ("each", true)]);
    fields.finish();
    Some(Chain { stem: stem?, delays: delays?, partitions, each })
}

/// What must hold where there is a chain.
fn chain_rules(root: &Fields<'_>, manifest: &Manifest) {
    for (name, topics) in [("retry", &manifest.retry), ("failure", &manifest.failure)] {
        if !topics.is_empty() {
            let expected = "nothing, since `retries` names the topics";
            root.problem(name, &topics.join(", "), expected, CHAIN);
        }
    }
    if matches!(manifest.kind, Kind::Table | Kind::Producer) {
        let expected = "an app that reads its retry topics: app, batch or consumer (a table \
            belongs to one input)";
        root.problem("retries", manifest.kind.name(), expected, "kind: app");
    }
}

fn kind(root: &Fields<'_>) -> Option<Kind> {
    let names: Vec<_> = Kind::NAMES.iter().map(|(name, _)| *name).collect();
    if !root.has("kind") {
        root.problem("kind", "nothing", &format!("one of {}", names.join(", ")), "kind: app");
    }
    root.one_of("kind", &Kind::NAMES)
}

/// What must hold between the fields.
fn rules(root: &Fields<'_>, manifest: &Manifest) {
    let (kind, inputs) = (manifest.kind, manifest.input.len());
    let (place, example) = ("input", "input: contacts");
    match kind {
        Kind::Table if inputs != 1 => {
            let expected = "exactly one topic, since a table belongs to one input";
            root.problem(place, &format!("{inputs} topics"), expected, example);
        }
        Kind::Producer if inputs > 0 => {
            let expected = "nothing, since a producer reads no topic";
            root.problem(place, &format!("{inputs} topics"), expected, "kind: app");
        }
        Kind::App | Kind::Batch | Kind::Consumer if inputs == 0 => {
            root.problem(place, "nothing", "at least one topic", example);
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
        root.problem("schemas", subject, expected, SCHEMAS);
    }
}

/// A map of topics to a file, or to files for key and value.
fn schemas(root: &Fields<'_>, read: ReadFile<'_>) -> BTreeMap<String, SchemaText> {
    let mut schemas = BTreeMap::new();
    let Some(section) = root.section("schemas", SCHEMAS) else { return schemas };
    for (topic, entry) in section.pairs_of_values() {
        if !matches!(entry, Value::Mapping(_)) {
            let schema = schema(&section, topic, read);
            schemas.extend(schema.map(|schema| (format!("{topic}-value"), schema)));
            continue;
        }
        let Some(parts) = section.section(topic, SCHEMAS) else { continue };
        for part in ["key", "value"] {
            let schema = schema(&parts, part, read);
            schemas.extend(schema.map(|schema| (format!("{topic}-{part}"), schema)));
        }
        parts.finish();
    }
    schemas
}

fn schema(fields: &Fields<'_>, name: &str, read: ReadFile<'_>) -> Option<SchemaText> {
    let file = fields.text(name, SCHEMAS)?;
    let text = match read(&file) {
        Ok(text) => text,
        Err(error) => {
            let expected = format!("a file beside this one, but: {error}");
            fields.problem(name, &file, &expected, SCHEMAS);
            return None;
        }
    };
    match formats::parse_own(&text) {
        // Apps register this spelling, and a registry may tell spellings apart.
        Ok(schema) => Some(SchemaText::new(&file, schema.text())),
        // The map of topics may say what it refers to.
        Err(error) if error.is_missing() => Some(SchemaText::new(&file, &text)),
        Err(error) => {
            fields.problem(name, &file, &format!("a schema, but: {error}"), SCHEMAS);
            None
        }
    }
}

/// Minutes as a setting has them; none where they are no time.
fn minutes(value: &Value) -> Option<String> {
    value.as_f64().filter(|minutes| *minutes > 0.0).map(|minutes| minutes.to_string())
}
