//! Settings that hold a map: as JSON in the environment, or as the path of a YAML file.

use std::ops::Deref;

use nubium_document::{self as document, Document, Map, Value};

use super::reader::{Reader, known, reason};
use super::secret::Secret;
use super::setting::Setting;

/// Holds a map and the setting that it came from.
pub(super) struct Opened {
    pub(super) setting: &'static Setting,
    pub(super) map: Map,
    pub(super) document: Document,
}

/// Reads a map that is given as JSON or as a YAML file, one of the two.
pub(super) fn either(reader: &mut Reader, json: &str, yaml: &str) -> Option<Opened> {
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
pub(super) fn json(reader: &mut Reader, name: &str) -> Option<Opened> {
    let text = reader.secret(name)?;
    from_json(reader, name, &text)
}

fn from_json(reader: &mut Reader, name: &str, text: &Secret) -> Option<Opened> {
    let why = match document::json(nubium_host::text::without_mark(text.expose())) {
        Ok(Value::Mapping(map)) => return Some(Opened::new(name, map)),
        Ok(_) => "it is JSON, but no object".to_owned(),
        Err(error) => error.without_text("not JSON"),
    };
    reader.refuse(known(name), text.expose(), &why);
    None
}

fn from_yaml(reader: &mut Reader, name: &str, path: &std::path::Path) -> Option<Opened> {
    let why = match nubium_host::text::read(path).map(|text| document::yaml(&text)) {
        Err(error) => reason(&error).to_owned(),
        Ok(Ok(Value::Mapping(map))) => return Some(Opened::new(name, map)),
        Ok(Ok(_)) => "its content is YAML, but no map".to_owned(),
        Ok(Err(error)) => error.without_text("its content is not YAML"),
    };
    reader.refuse(known(name), &path.to_string_lossy(), &why);
    None
}

impl Opened {
    fn new(name: &str, map: Map) -> Self {
        let setting = known(name);
        let example = format!("{name}={}", setting.example);
        Self { setting, map, document: Document::hidden(name, example) }
    }

    /// Gives the whole map; in problems it is called `place`.
    pub(super) fn fields<'o>(&'o self, reader: &'o Reader, place: &str) -> Fields<'o> {
        let inner = document::Fields::new(&self.document, place.to_owned(), self.map.clone());
        Fields { reader, inner }
    }

    /// Enters each map of the map. A name that starts with a dot holds a YAML anchor.
    pub(super) fn named<'o>(
        &'o self,
        reader: &'o Reader,
    ) -> impl Iterator<Item = (&'o str, Option<Fields<'o>>)> {
        let named = self.map.iter().filter_map(|(name, value)| Some((name.as_str()?, value)));
        named.filter(|(name, _)| !name.starts_with('.')).map(move |(name, value)| {
            let inner = document::Fields::enter(&self.document, name.to_owned(), value, "");
            (name, inner.map(|inner| Fields { reader, inner }))
        })
    }

    /// Hands what was noted to the reader.
    pub(super) fn close(self, reader: &mut Reader) {
        let (problems, warnings) = self.document.into_notes();
        reader.problems.extend(problems);
        reader.warnings.extend(warnings);
    }
}

/// Walks over one map inside a document and notes a problem for each field that is wrong.
pub(super) struct Fields<'a> {
    pub(super) reader: &'a Reader,
    inner: document::Fields<'a>,
}

impl<'a> Deref for Fields<'a> {
    type Target = document::Fields<'a>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl Fields<'_> {
    /// Notes a problem with one field; `read` must hold no secret.
    pub(super) fn refuse(&self, key: &str, read: impl AsRef<str>, expected: &str) {
        self.inner.problem(key, read.as_ref(), expected, "");
    }

    /// Gives a text field; absent, null and blank are the same.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.inner.text_or_empty(key, "").filter(|text| !text.trim().is_empty())
    }

    /// Enters a map inside this one, if it is there.
    pub(super) fn section(&self, key: &str) -> Option<Self> {
        Some(Self { reader: self.reader, inner: self.inner.section(key, "")? })
    }

    /// Enters a map that stands in a list at `key`.
    pub(super) fn inside(&self, key: &str, item: &Value) -> Option<Self> {
        let inner = document::Fields::enter(self.document(), self.at(key), item, "")?;
        Some(Self { reader: self.reader, inner })
    }

    /// Gives a secret field, from itself or from the file that `<key>_file` names.
    pub(super) fn secret(&self, key: &str) -> Option<Secret> {
        let file_key = format!("{key}_file");
        let (own, path) = (self.text(key), self.text(&file_key));
        match (own, path) {
            (Some(_), Some(_)) => {
                let expected = format!("only one of {key} and {file_key}");
                self.refuse(key, "both", &expected);
                None
            }
            (Some(text), None) => Some(text.into()),
            (None, Some(path)) => Reader::secret_of(&path)
                .map(Secret::from)
                .map_err(|read| {
                    let expected = "the path of a readable file that holds the secret";
                    self.refuse(&file_key, read, expected);
                })
                .ok(),
            (None, None) => None,
        }
    }
}
