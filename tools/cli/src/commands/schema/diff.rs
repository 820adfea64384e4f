//! What differs between two schemas, field by field. Pure.

use serde::Serialize;
use serde_json::Value;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// The field, by names from the outside in; empty for the schema itself.
    #[serde(rename = "where")]
    pub(super) place: String,
    pub(super) what: &'static str,
    pub(super) old: String,
    pub(super) new: String,
}

/// Compares two schemas. Order of fields, and spaces, make no difference.
pub(super) fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", old, new, &mut found);
    found
}

fn note(place: &str, what: &'static str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    found.push(Difference { place: place.into(), what, old: text(old), new: text(new) });
}

/// Spells `{"type": "string"}` and `"string"` alike.
fn plain(schema: &Value) -> &Value {
    match schema.as_object() {
        Some(object) if object.len() == 1 => object.get("type").map_or(schema, plain),
        _ => schema,
    }
}

fn compare(place: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    let (old, new) = (plain(old), plain(new));
    if old == new {
        return;
    }
    let kinds = (old["type"].as_str(), new["type"].as_str());
    match kinds {
        (Some(a), Some(b)) if a == b && matches!(a, "record" | "error") => {
            attributes(place, old, new, &["name", "namespace", "doc", "aliases"], found);
            records(place, old, new, found);
        }
        (Some("enum"), Some("enum")) => {
            attributes(place, old, new, &["name", "namespace", "doc", "aliases"], found);
            symbols(place, old, new, found);
            attributes(place, old, new, &["default"], found);
        }
        (Some("array"), Some("array")) => {
            compare(&format!("{place}[]"), &old["items"], &new["items"], found);
        }
        (Some("map"), Some("map")) => {
            compare(&format!("{place}{{}}"), &old["values"], &new["values"], found);
        }
        _ => match (old, new) {
            (Value::Array(old_branches), Value::Array(new_branches))
                if old_branches.len() == new_branches.len() =>
            {
                for (old, new) in old_branches.iter().zip(new_branches) {
                    compare(place, old, new, found);
                }
            }
            _ => note(place, "type", old, new, found),
        },
    }
}

fn attributes(
    place: &str,
    old: &Value,
    new: &Value,
    names: &[&'static str],
    found: &mut Vec<Difference>,
) {
    for name in names.iter().filter(|name| old[**name] != new[**name]) {
        note(place, name, &old[*name], &new[*name], found);
    }
}

fn records(place: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    let fields = |schema: &Value| schema["fields"].as_array().cloned().unwrap_or_default();
    let (old_fields, new_fields) = (fields(old), fields(new));
    let inner = |field: &Value| {
        let name = field["name"].as_str().unwrap_or_default();
        if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
    };
    for field in &old_fields {
        let known_as = |other: &&Value| {
            let aliases = other["aliases"].as_array();
            aliases.is_some_and(|aliases| aliases.contains(&field["name"]))
        };
        match new_fields.iter().find(|other| other["name"] == field["name"]) {
            None if new_fields.iter().any(|other| known_as(&other)) => {
                for other in new_fields.iter().filter(known_as) {
                    note(&inner(field), "renamed", &field["name"], &other["name"], found);
                    compare(&inner(other), &field["type"], &other["type"], found);
                }
            }
            None => note(&inner(field), "removed", &field["type"], &Value::Null, found),
            Some(other) => {
                compare(&inner(field), &field["type"], &other["type"], found);
                let names = ["default", "doc", "aliases", "order"];
                attributes(&inner(field), field, other, &names, found);
            }
        }
    }
    for field in &new_fields {
        let aliases = field["aliases"].as_array();
        let was = |other: &Value| {
            other["name"] == field["name"] || aliases.is_some_and(|a| a.contains(&other["name"]))
        };
        if !old_fields.iter().any(was) {
            let what = match field.get("default") {
                Some(_) => "added",
                None => "added without default",
            };
            note(&inner(field), what, &Value::Null, &field["type"], found);
        }
    }
}

fn symbols(place: &str, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    let list = |schema: &Value| schema["symbols"].as_array().cloned().unwrap_or_default();
    let (old, new) = (list(old), list(new));
    for symbol in old.iter().filter(|symbol| !new.contains(symbol)) {
        note(place, "symbol removed", symbol, &Value::Null, found);
    }
    for symbol in new.iter().filter(|symbol| !old.contains(symbol)) {
        note(place, "symbol added", &Value::Null, symbol, found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_compared_however_deep_they_lie() {
        let old = json!({"type": "record", "name": "Order", "fields": [
            {"name": "id", "type": "int"},
            {"name": "gone", "type": "string"},
            {"name": "who", "type": "string"},
            {"name": "same", "type": {"type": "string"}},
            {"name": "note", "type": ["null", "string"], "default": null},
            {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line",
                "fields": [{"name": "kind", "type": {"type": "enum", "name": "Kind",
                    "symbols": ["A", "B"]}}]}}}]});
        let new = json!({"type": "record", "name": "Order", "doc": "An order.", "fields": [
            {"name": "same", "type": "string"},
            {"name": "id", "type": "long"},
            {"name": "customer", "type": "bytes", "aliases": ["who"]},
            {"name": "note", "type": ["null", "string"], "default": null, "aliases": ["remark"]},
            {"name": "fresh", "type": "int", "default": 0},
            {"name": "bare", "type": "int"},
            {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line",
                "fields": [{"name": "kind", "type": {"type": "enum", "name": "Kind",
                    "symbols": ["A", "C"]}}]}}}]});
        let found: Vec<String> = differences(&old, &new)
            .iter()
            .map(|d| format!("{}|{}|{}|{}", d.place, d.what, d.old, d.new))
            .collect();
        let wanted = [
            "|doc||An order.",
            "id|type|int|long",
            "gone|removed|string|",
            "who|renamed|who|customer",
            "customer|type|string|bytes",
            "note|aliases||[\"remark\"]",
            "lines[].kind|symbol removed|B|",
            "lines[].kind|symbol added||C",
            "fresh|added||int",
            "bare|added without default||int",
        ];
        assert_eq!(found, wanted);
        assert!(differences(&old, &old).is_empty());
        assert_eq!(differences(&json!("string"), &json!({"type": "string"})), []);
        assert_eq!(differences(&json!("string"), &json!("int"))[0].what, "type");
    }
}
