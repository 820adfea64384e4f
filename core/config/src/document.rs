//! Settings that hold a map: as JSON in the environment, or as the path of a YAML file.

use serde_json::{Map, Value};

use super::reader::{Reader, known, reason};
use super::secret::Secret;
use super::setting::{Setting, nearest_of};

/// Holds a map and the setting that it came from.
pub(super) struct Document {
    pub(super) setting: &'static Setting,
    pub(super) map: Map<String, Value>,
}

/// Reads a map that is given as JSON or as a YAML file, one of the two.
pub(super) fn either(reader: &mut Reader, json: &str, yaml: &str) -> Option<Document> {
    let text = reader.secret(json);
    let path = reader.path(yaml);
    match (text, path) {
        (Some(_), Some(_)) => {
            let read = format!("{json} and {yaml}, both set");
            reader.problem(known(json), String::new(), read, format!("{json} or {yaml}, not both"));
            None
        }
        (Some(text), None) => from_json(reader, json, &text),
        (None, Some(path)) => from_yaml(reader, yaml, &path),
        (None, None) => {
            if !reader.is_wrong(&[json, yaml]) {
                reader.missing(json, &format!("or set {yaml} to the path of a YAML file"));
            }
            None
        }
    }
}

/// Reads a map that is given as JSON only.
pub(super) fn json(reader: &mut Reader, name: &str) -> Option<Document> {
    let text = reader.secret(name)?;
    from_json(reader, name, &text)
}

fn from_json(reader: &mut Reader, name: &str, text: &Secret) -> Option<Document> {
    let setting = known(name);
    let why = match serde_json::from_str(nubium_host::text::without_mark(text.expose())) {
        Ok(Value::Object(map)) => return Some(Document { setting, map }),
        Ok(_) => "it is JSON, but no object".to_owned(),
        // serde's own words may quote the text; the place alone is safe.
        Err(error) => format!("not JSON from line {} column {}", error.line(), error.column()),
    };
    reader.refuse(setting, text.expose(), &why);
    None
}

fn from_yaml(reader: &mut Reader, name: &str, path: &std::path::Path) -> Option<Document> {
    let setting = known(name);
    let why = match nubium_host::text::read(path) {
        Err(error) => reason(&error).to_owned(),
        Ok(text) => match parse_yaml(&text) {
            Ok(map) => return Some(Document { setting, map }),
            Err(why) => why,
        },
    };
    reader.refuse(setting, &path.to_string_lossy(), &why);
    None
}

fn parse_yaml(text: &str) -> Result<Map<String, Value>, String> {
    let place = |error: serde_norway::Error| match error.location() {
        Some(at) => {
            format!("its content is not YAML from line {} column {}", at.line(), at.column())
        }
        None => "its content is not YAML".to_owned(),
    };
    let mut value: serde_norway::Value = serde_norway::from_str(text).map_err(place)?;
    merge(&mut value)?;
    match to_json(value)? {
        Value::Object(map) => Ok(map),
        _ => Err("its content is YAML, but no map".into()),
    }
}

/// Resolves `<<` keys. One pass leaves those of an anchor that itself merges another.
fn merge(value: &mut serde_norway::Value) -> Result<(), String> {
    for _ in 0..16 {
        let before = value.clone();
        value.apply_merge().map_err(|_| "a << key in it refers to something other than a map")?;
        if *value == before {
            return Ok(());
        }
    }
    Err("its << keys are nested too deeply".into())
}

fn to_json(value: serde_norway::Value) -> Result<Value, String> {
    use serde_norway::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => {
            serde_json::to_value(number).map_err(|_| "a number in it is out of range")?
        }
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| Ok((key_text(key)?, to_json(value)?)))
                .collect::<Result<_, String>>()?,
        ),
        Yaml::Tagged(_) => return Err("a YAML tag (!...) in it".into()),
    })
}

fn key_text(key: serde_norway::Value) -> Result<String, String> {
    match key {
        serde_norway::Value::String(text) => Ok(text),
        serde_norway::Value::Number(number) => Ok(number.to_string()),
        _ => Err("a key in it that is neither text nor number".into()),
    }
}

/// Walks over one map inside a document and notes a problem for each field that is wrong.
pub(super) struct Fields<'a> {
    pub(super) reader: &'a mut Reader,
    pub(super) setting: &'static Setting,
    pub(super) place: String,
    pub(super) map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// Enters the map at `place`; anything else there is a problem.
    pub(super) fn enter(
        reader: &'a mut Reader,
        setting: &'static Setting,
        place: String,
        value: &'a Value,
    ) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self { reader, setting, place, map }),
            other => {
                let read = kind_of(other).to_owned();
                reader.problem(setting, place, read, "a map".into());
                None
            }
        }
    }

    /// Notes a problem with one field; `read` must hold no secret.
    pub(super) fn refuse(&mut self, key: &str, read: impl Into<String>, expected: &str) {
        let place = format!("{}.{key}", self.place);
        self.reader.problem(self.setting, place, read.into(), expected.into());
    }

    /// Tells whether a problem was noted with this field, or with its `_file`.
    pub(super) fn is_wrong(&self, key: &str) -> bool {
        let place = format!("{}.{key}", self.place);
        let here = |name: &str| name == self.setting.name;
        self.reader.problems.iter().any(|p| here(&p.setting) && p.place.starts_with(&place))
    }

    /// Gives a text field; absent, null and blank are the same.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.map.get(key)? {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) => Some(text.clone()),
            other => {
                self.refuse(key, kind_of(other), "text in quotes");
                None
            }
        }
    }

    /// Gives a secret field, from itself or from the file that `<key>_file` names.
    pub(super) fn secret(&mut self, key: &str) -> Option<Secret> {
        let file_key = format!("{key}_file");
        let (own, path) = (self.text(key), self.text(&file_key));
        match (own, path) {
            (Some(_), Some(_)) => {
                let expected = format!("only one of {key} and {file_key}");
                self.refuse(key, "both", &expected);
                None
            }
            (Some(text), None) => Some(text.into()),
            (None, Some(path)) => {
                let place = format!("{}.{file_key}", self.place);
                let (name, setting) = (self.setting.name, self.setting);
                self.reader.secret_file(name, &place, setting, &path).map(Secret::from)
            }
            (None, None) => None,
        }
    }

    /// Warns of every key that is not among `known`.
    pub(super) fn warn_unknown<'k>(&mut self, known: impl Iterator<Item = &'k str> + Clone) {
        for key in self.map.keys().filter(|key| !known.clone().any(|k| k == *key)) {
            let near = nearest_of(key, known.clone())
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            let text = format!("{}.{key} is ignored: no such key{near}", self.place);
            self.reader.warn(self.setting.name, text);
        }
    }
}

/// Names the type of a value without showing the value.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
