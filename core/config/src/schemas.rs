//! What the map of topics says of a topic's keys and values.

use nubium_formats::topic::LEVELS;
use nubium_formats::{Format, SubjectNames, SubjectReference, TopicSchemas, Version};
use serde_json::Value;

use super::document::{Fields, kind_of};

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
pub(super) fn read(fields: &mut Fields<'_>) -> TopicSchemas {
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
        if !framed && fields.map.get(key).is_some_and(|value| !value.is_null()) {
            let format = value_format.unwrap_or_default().name();
            let expected = format!("no such key where value_format is {format}, without schemas");
            fields.refuse(key, "a value", &expected);
        }
    }
    said
}

fn format(fields: &mut Fields<'_>, key: &str) -> Option<Format> {
    let text = fields.text(key)?;
    let format = Format::named(text.trim());
    if format.is_none() {
        let names = Format::ALL.map(Format::name).join(", ");
        fields.refuse(key, text, &format!("one of {names}"));
    }
    format
}

fn subjects(fields: &mut Fields<'_>) -> SubjectNames {
    let Some(text) = fields.text("value_subjects") else { return SubjectNames::default() };
    let found = SubjectNames::ALL.into_iter().find(|names| names.name() == text.trim());
    found.unwrap_or_else(|| {
        let names = SubjectNames::ALL.map(SubjectNames::name).join(", ");
        fields.refuse("value_subjects", text, &format!("one of {names}"));
        SubjectNames::default()
    })
}

fn version(fields: &mut Fields<'_>) -> Option<Version> {
    let latest = fields.map.get("value_version").and_then(Value::as_str) == Some("latest");
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

fn compatibility(fields: &mut Fields<'_>) -> Option<String> {
    let level = fields.text("value_compatibility")?.trim().to_ascii_uppercase();
    if LEVELS.contains(&level.as_str()) {
        return Some(level);
    }
    fields.refuse("value_compatibility", level, &format!("one of {}", LEVELS.join(", ")));
    None
}

fn message(fields: &mut Fields<'_>, format: Option<Format>) -> Option<String> {
    let name = fields.text("value_message")?.trim().trim_start_matches('.').to_owned();
    if !matches!(format, Some(Format::Protobuf)) {
        fields.refuse("value_message", &name, "no such key but where value_format is protobuf");
        return None;
    }
    Some(name)
}

fn whole(fields: &mut Fields<'_>, key: &str, expected: &str) -> Option<u32> {
    let value = fields.map.get(key).filter(|value| !value.is_null())?;
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    let number = number.filter(|number| *number > 0);
    if number.is_none() {
        fields.refuse(key, value.to_string(), expected);
    }
    number
}

fn references(fields: &mut Fields<'_>) -> Vec<SubjectReference> {
    let Some(value) = fields.map.get("value_references").filter(|value| !value.is_null()) else {
        return Vec::new();
    };
    let Value::Array(items) = value else {
        fields.refuse("value_references", kind_of(value), "a list of name, subject and version");
        return Vec::new();
    };
    items.iter().filter_map(|item| reference(fields, item)).collect()
}

fn reference(fields: &mut Fields<'_>, item: &Value) -> Option<SubjectReference> {
    let place = format!("{}.value_references", fields.place);
    let mut inner = Fields::enter(fields.reader, fields.setting, place, item)?;
    inner.warn_unknown(["name", "subject", "version"].into_iter());
    let (name, subject) = (inner.text("name"), inner.text("subject"));
    let version = whole(&mut inner, "version", "a version from 1");
    for (key, given) in
        [("name", name.is_some()), ("subject", subject.is_some()), ("version", version.is_some())]
    {
        if !given && !inner.is_wrong(key) {
            inner.refuse(key, "nothing", "name, subject and version of the schema referred to");
        }
    }
    Some(SubjectReference { name: name?, subject: subject?, version: version? })
}
