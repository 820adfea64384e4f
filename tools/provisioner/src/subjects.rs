//! The schemas of an app as the map of topics has them: under which subjects, of which type, and
//! what they refer to. Pure.

use std::collections::BTreeMap;

use nubium_config::Topology;
use nubium_registry::{TopicSchemas, formats};

use crate::manifest::{Manifest, SchemaText};

/// Gives every schema that must be registered, by subject.
///
/// # Errors
/// A subject is named for its record, and the schema has no name; or a schema is not valid and
/// refers to no other.
pub fn of(
    topology: &Topology,
    manifest: &Manifest,
) -> Result<BTreeMap<String, SchemaText>, Vec<String>> {
    let (mut subjects, mut problems) = (BTreeMap::new(), Vec::new());
    for (subject, schema) in manifest.subjects() {
        let said = |topic: &str| topology.topics.get(topic).map(|topic| &topic.schemas);
        let parts = subject.rsplit_once('-');
        let found = match parts.and_then(|(topic, part)| Some((topic, part, said(topic)?))) {
            None => schema.check().map(|()| Some((subject.clone(), schema))),
            Some((_, "key", said)) => Ok(key(&subject, said, schema)),
            Some((topic, _, said)) => value(topic, said, schema),
        };
        match found {
            Ok(found) => subjects.extend(found),
            Err(why) => problems.push(format!("schema of {subject}, app {}: {why}", manifest.app)),
        }
    }
    if problems.is_empty() { Ok(subjects) } else { Err(problems) }
}

/// A key that is made here is of the topic's format; one of the manifest's own is as it is.
fn key(subject: &str, said: &TopicSchemas, schema: SchemaText) -> Option<(String, SchemaText)> {
    if schema.is_given {
        return Some((subject.to_owned(), schema));
    }
    let kind = said.key_format.kind()?;
    let text = said.key_format.key_schema()?.to_owned();
    Some((subject.to_owned(), SchemaText { text, kind: kind.to_owned(), ..schema }))
}

fn value(
    topic: &str,
    said: &TopicSchemas,
    schema: SchemaText,
) -> Result<Option<(String, SchemaText)>, String> {
    if let (Some(format), given) = (said.value_format, &schema.kind)
        && format.kind().is_none_or(|kind| kind != given)
    {
        return Err(format!("the topic's value_format is {}, and it is {given}", format.name()));
    }
    let schema = SchemaText { references: said.references.clone(), ..schema };
    if schema.references.is_empty() {
        schema.check()?;
    }
    let parsed = formats::parse(&schema.kind, &schema.text, &[]).ok();
    let seen = parsed.map(|parsed| said.seen(parsed)).transpose();
    let parsed = seen.map_err(|error| error.to_string())?;
    let subject = said.subjects.subject(topic, parsed).map_err(|error| error.to_string())?;
    Ok(Some((subject, schema)))
}

/// Tells whether a subject is that of a topic's values.
pub(crate) fn is_value_of(
    topic: &str,
    said: &TopicSchemas,
    subject: &str,
    schema: Option<&SchemaText>,
) -> bool {
    let parsed = schema.and_then(|one| formats::parse(&one.kind, &one.text, &[]).ok());
    let parsed = parsed.and_then(|parsed| said.seen(parsed).ok());
    said.subjects.subject(topic, parsed).is_ok_and(|named| named == subject)
}
