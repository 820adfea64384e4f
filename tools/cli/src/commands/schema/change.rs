//! Changes of a record's fields that keep older data readable. Pure.

use serde_json::{Map, Value, json};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// Adds a field.
    Add {
        /// Its name.
        name: String,
        /// Its type.
        kind: Value,
        /// What older data gets.
        default: Value,
    },
    /// Removes a field.
    Remove(String),
    /// Renames a field and keeps the old name as an alias.
    Rename {
        /// Its name until now.
        old: String,
        /// Its name from now on.
        new: String,
    },
}

impl Change {
    /// Reads `NAME: TYPE` or `NAME: TYPE = DEFAULT`; a type that may be null has the default null.
    pub(super) fn add(text: &str) -> Result<Self, String> {
        let expected = "expected NAME: TYPE = DEFAULT, such as count: int = 0";
        let (name, rest) = text.split_once(':').ok_or(format!("{text:?}: {expected}"))?;
        let (kind, default) = match rest.rsplit_once('=') {
            Some((kind, default)) => (kind, Some(default.trim())),
            None => (rest, None),
        };
        let kind = as_json(kind.trim());
        let default = match default {
            Some(default) => as_json(default),
            None if kind[0] == "null" => Value::Null,
            None => return Err(format!("{text:?}: older data has no such field; {expected}")),
        };
        Ok(Self::Add { name: name_of(name)?, kind, default })
    }

    /// Reads a name.
    pub(super) fn remove(text: &str) -> Result<Self, String> {
        name_of(text).map(Self::Remove)
    }

    /// Reads `OLD=NEW`.
    pub(super) fn rename(text: &str) -> Result<Self, String> {
        let (old, new) = text.split_once('=').ok_or(format!("{text:?} is not OLD=NEW"))?;
        Ok(Self::Rename { old: name_of(old)?, new: name_of(new)? })
    }

    /// Makes the change in a schema.
    ///
    /// # Errors
    /// The schema is no record, or does not have the field, or has it already.
    pub(super) fn apply(&self, schema: &mut Value) -> Result<(), String> {
        let fields = schema.get_mut("fields").and_then(Value::as_array_mut);
        let fields = fields.ok_or("the schema is no record")?;
        let place = |fields: &[Value], name: &str| fields.iter().position(|f| f["name"] == *name);
        match self {
            Self::Add { name, kind, default } => {
                if place(fields, name).is_some() {
                    return Err(format!("there is a field {name} already"));
                }
                fields.push(json!({"name": name, "type": kind, "default": default}));
            }
            Self::Remove(name) => {
                let at = place(fields, name).ok_or_else(|| no_field(name))?;
                fields.remove(at);
            }
            Self::Rename { old, new } => {
                if place(fields, new).is_some() {
                    return Err(format!("there is a field {new} already"));
                }
                let at = place(fields, old).ok_or_else(|| no_field(old))?;
                let none = &mut Map::new();
                let field = fields[at].as_object_mut().unwrap_or(none);
                let mut aliases = field.get("aliases").cloned().unwrap_or_else(|| json!([]));
                if let Some(aliases) = aliases.as_array_mut() {
                    aliases.push(json!(old));
                }
                field.insert("name".into(), json!(new));
                field.insert("aliases".into(), aliases);
            }
        }
        Ok(())
    }
}

fn no_field(name: &str) -> String {
    format!("there is no field {name}")
}

/// Reads JSON, or takes the text as the name or value that it is.
fn as_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into()))
}

fn name_of(text: &str) -> Result<String, String> {
    let name = text.trim();
    let start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    match start && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => Ok(name.into()),
        false => Err(format!("{name:?} is no name of a field: letters, digits and '_'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_keep_older_data_readable() {
        let mut schema = json!({"type": "record", "name": "R", "fields": [
            {"name": "a", "type": "int"}, {"name": "b", "type": "int", "aliases": ["z"]}]});
        for change in [
            Change::rename("b=c"),
            Change::remove("a"),
            Change::add("note: [\"null\", \"string\"]"),
            Change::add("count: int = 0"),
            Change::add("who:string=nobody"),
        ] {
            change.unwrap().apply(&mut schema).unwrap();
        }
        let fields = json!([{"name": "c", "type": "int", "aliases": ["z", "b"]},
            {"name": "note", "type": ["null", "string"], "default": null},
            {"name": "count", "type": "int", "default": 0},
            {"name": "who", "type": "string", "default": "nobody"}]);
        assert_eq!(schema["fields"], fields);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut schema =
            json!({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]});
        assert!(Change::add("n: int").unwrap_err().contains("older data"));
        assert!(Change::add("n").is_err() && Change::add("1n: int = 0").is_err());
        assert!(Change::rename("a").is_err() && Change::remove("a-b").is_err());
        for (change, why) in [
            (Change::add("a: int = 0"), "already"),
            (Change::remove("b"), "no field b"),
            (Change::rename("b=c"), "no field b"),
        ] {
            assert!(change.unwrap().apply(&mut schema).unwrap_err().contains(why));
        }
        assert!(Change::Remove("a".into()).apply(&mut json!("string")).is_err());
    }
}
