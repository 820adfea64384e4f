//! What the map of topics says of a topic's keys and values.

use nubium_document::{Value, kind_of, show};
use nubium_formats::topic::LEVELS;
use nubium_formats::{Format, SubjectNames, SubjectReference, TopicSchemas, Version};

use super::document::Fields;

/// The keys of a topic's entry that are read here.
pub(super) const KEYS: [&str; 8] = [
    "key_format",
    "value_format",
    "value_subjects",
    "value_version",
    "value_schema_id",
    "value_references",
    "value_message",
    "value_compatibility",
];

/// Reads them from a topic's entry.
pub(super) fn read(fields: &Fields<'_>) -> TopicSchemas {
    let value_format = format(fields, "value_format");
    let said = TopicSchemas {
        key_format: format(fields, "key_format").unwrap_or_default(),
        value_format,
        subjects: subjects(fields),
        version: version(fields),
        references: references(fields),
        message: message(fields, value_format),
        compatibility: compatibility(fields),
    };
    let framed = value_format.is_none_or(|format| format.kind().is_some());
    for key in KEYS.into_iter().skip(2) {
        if !framed && fields.has(key) {
            let format = value_format.unwrap_or_default().name();
            let expected = format!("no such key where value_format is {format}, without schemas");
            fields.refuse(key, "a value", &expected);
        }
    }
    said
}

fn format(fields: &Fields<'_>, key: &str) -> Option<Format> {
    let text = fields.text(key)?;
    let format = Format::named(text.trim());
    if format.is_none() {
        let names = Format::ALL.map(Format::name).join(", ");
        fields.refuse(key, text, &format!("one of {names}"));
    }
    format
}

fn subjects(fields: &Fields<'_>) -> SubjectNames {
    let Some(text) = fields.text("value_subjects") else { return SubjectNames::default() };
    let found = SubjectNames::ALL.into_iter().find(|names| names.name() == text.trim());
    found.unwrap_or_else(|| {
        let names = SubjectNames::ALL.map(SubjectNames::name).join(", ");
        fields.refuse("value_subjects", text, &format!("one of {names}"));
        SubjectNames::default()
    })
}

fn version(fields: &Fields<'_>) -> Option<Version> {
    let latest = fields.value("value_version").and_then(Value::as_str) == Some("latest");
    let number = match latest {
        true => Some(Version::Latest),
        false => whole(fields, "value_version", "latest, or a version from 1").map(Version::Number),
    };
    let id = whole(fields, "value_schema_id", "a schema id from 1").map(Version::Id);
    if number.is_some() && id.is_some() {
        fields.refuse("value_schema_id", "both", "only one of value_version and value_schema_id");
    }
    number.or(id)
}

fn compatibility(fields: &Fields<'_>) -> Option<String> {
    let level = fields.text("value_compatibility")?.trim().to_ascii_uppercase();
    if LEVELS.contains(&level.as_str()) {
        return Some(level);
    }
    fields.refuse("value_compatibility", level, &format!("one of {}", LEVELS.join(", ")));
    None
}

fn message(fields: &Fields<'_>, format: Option<Format>) -> Option<String> {
    let name = fields.text("value_message")?.trim().trim_start_matches('.').to_owned();
    if !matches!(format, Some(Format::Protobuf)) {
        fields.refuse("value_message", &name, "no such key but where value_format is protobuf");
        return None;
    }
    Some(name)
}

fn whole(fields: &Fields<'_>, key: &str, expected: &str) -> Option<u32> {
    let value = fields.value(key)?;
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    let number = number.filter(|number| *number > 0);
    if number.is_none() {
        fields.refuse(key, show(value), expected);
    }
    number
}

fn references(fields: &Fields<'_>) -> Vec<SubjectReference> {
    let Some(value) = fields.value("value_references") else {
        return Vec::new();
    };
    let Value::Sequence(items) = value else {
        fields.refuse("value_references", kind_of(value), "a list of name, subject and version");
        return Vec::new();
    };
    items.iter().filter_map(|item| reference(fields, item)).collect()
}

fn reference(fields: &Fields<'_>, item: &Value) -> Option<SubjectReference> {
    let inner = fields.inside("value_references", item)?;
    inner.warn_unknown(["name", "subject", "version"].into_iter());
    let (name, subject) = (inner.text("name"), inner.text("subject"));
    let version = whole(&inner, "version", "a version from 1");
    for (key, given) in
        [("name", name.is_some()), ("subject", subject.is_some()), ("version", version.is_some())]
    {
        if !given && !inner.is_wrong(key) {
            inner.refuse(key, "nothing", "name, subject and version of the schema referred to");
        }
    }
    Some(SubjectReference { name: name?, subject: subject?, version: version? })
}
