//! Reads maps of the settings file, field by field, and keeps count of what is wrong.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use nubium_core::config::Problem;
use nubium_service::document::{Map, Value, join, show};

/// Collects the problems of one file.
#[derive(Debug)]
pub(super) struct Collector {
    name: String,
    problems: RefCell<Vec<Problem>>,
}

impl Collector {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), problems: RefCell::default() }
    }

    pub(super) fn problem(&self, place: &str, read: &str, expected: &str, example: &str) {
        self.problems.borrow_mut().push(Problem {
            setting: self.name.clone(),
            place: place.to_owned(),
            read: read.to_owned(),
            expected: expected.to_owned(),
            example: example.to_owned(),
        });
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// One map of the file, with its place in it. A wrong field is noted and its default handed out, so
/// that reading goes on; whoever finishes must look at the problems.
pub(super) struct Fields<'c> {
    pub(super) collector: &'c Collector,
    pub(super) place: String,
    map: Map,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'c> Fields<'c> {
    pub(super) fn new(collector: &'c Collector, place: String, map: Map) -> Self {
        Self { collector, place, map, asked: RefCell::default() }
    }

    fn get(&self, name: &'static str) -> Option<&Value> {
        self.asked.borrow_mut().insert(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Gives the place of a field.
    pub(super) fn at(&self, name: &str) -> String {
        join(&self.place, name)
    }

    pub(super) fn problem(&self, name: &str, read: &str, expected: &str, example: &str) {
        self.collector.problem(&self.at(name), read, expected, example);
    }

    pub(super) fn has(&self, name: &'static str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn text(&self, name: &'static str, example: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            other => {
                self.problem(name, &show(other), "text", example);
                None
            }
        }
    }

    /// As [`Self::text`], and a problem when it is missing.
    pub(super) fn needed(&self, name: &'static str, what: &str, example: &str) -> Option<String> {
        if !self.has(name) {
            self.problem(name, "nothing", what, example);
            return None;
        }
        self.text(name, example)
    }

    pub(super) fn flag(&self, name: &'static str, default: bool) -> bool {
        match self.get(name) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.problem(name, &show(other), "true or false", "true");
                default
            }
        }
    }

    pub(super) fn whole(
        &self,
        name: &'static str,
        default: u64,
        allowed: RangeInclusive<u64>,
    ) -> u64 {
        let Some(value) = self.get(name) else { return default };
        match value.as_u64().filter(|number| allowed.contains(number)) {
            Some(number) => number,
            None => {
                let (least, most) = (allowed.start(), allowed.end());
                let expected = format!("a whole number from {least} to {most}");
                self.problem(name, &show(value), &expected, &default.max(*least).to_string());
                default
            }
        }
    }

    pub(super) fn seconds(
        &self,
        name: &'static str,
        default: f64,
        allowed: RangeInclusive<f64>,
    ) -> Duration {
        let number = match self.get(name) {
            None => default,
            Some(value) => match value.as_f64().filter(|number| allowed.contains(number)) {
                Some(number) => number,
                None => {
                    let (least, most) = (allowed.start(), allowed.end());
                    let expected = format!("seconds, from {least} to {most}");
                    self.problem(name, &show(value), &expected, &default.to_string());
                    default
                }
            },
        };
        Duration::from_secs_f64(number)
    }

    pub(super) fn texts(&self, name: &'static str, example: &str) -> Vec<String> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let texts = value.as_sequence().and_then(|list| {
            list.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.unwrap_or_else(|| {
            self.problem(name, &show(value), "a list of texts", example);
            Vec::new()
        })
    }

    /// Gives a map within this one; `None` when it is not there.
    pub(super) fn section(&self, name: &'static str, example: &str) -> Option<Fields<'c>> {
        let value = self.get(name)?;
        match value.as_mapping() {
            Some(map) => Some(Fields::new(self.collector, self.at(name), map.clone())),
            None => {
                self.problem(name, &show(value), "a map", example);
                None
            }
        }
    }

    /// Gives the maps of a list of maps.
    pub(super) fn entries(&self, name: &'static str, example: &str) -> Vec<Fields<'c>> {
        let list = match self.get(name) {
            Some(Value::Sequence(list)) if !list.is_empty() => list,
            other => {
                let read = other.map_or_else(|| "nothing".to_owned(), show);
                self.problem(name, &read, "a list with one entry at least", example);
                return Vec::new();
            }
        };
        let mut entries = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let place = format!("{}[{index}]", self.at(name));
            match entry.as_mapping() {
                Some(map) => entries.push(Fields::new(self.collector, place, map.clone())),
                None => self.collector.problem(&place, &show(entry), "a map", example),
            }
        }
        entries
    }

    /// Gives the names and maps of a map of maps.
    pub(super) fn named(&self, name: &'static str, example: &str) -> Vec<(String, Fields<'c>)> {
        let Some(section) = self.section(name, example) else { return Vec::new() };
        let mut named = Vec::new();
        for (key, value) in &section.map {
            let key = key.as_str().map_or_else(|| show(key), str::to_owned);
            match value.as_mapping() {
                Some(map) => {
                    let fields = Fields::new(self.collector, section.at(&key), map.clone());
                    named.push((key, fields));
                }
                None => section.problem(&key, &show(value), "a map", example),
            }
        }
        named
    }

    /// Gives the names and texts of a map of texts.
    pub(super) fn pairs(&self, name: &'static str, example: &str) -> Vec<(String, String)> {
        let Some(section) = self.section(name, example) else { return Vec::new() };
        let mut pairs = Vec::new();
        for (key, value) in &section.map {
            match (key.as_str(), value.as_str()) {
                (Some(key), Some(value)) => pairs.push((key.to_owned(), value.to_owned())),
                _ => section.problem(&show(key), &show(value), "a name and a text", example),
            }
        }
        pairs
    }

    /// Notes the fields that nobody asked for: call it last.
    pub(super) fn finish(self) {
        let known = self.asked.into_inner();
        for name in self.map.keys() {
            let name = name.as_str().map_or_else(|| show(name), str::to_owned);
            if !known.contains(name.as_str()) {
                let list: Vec<_> = known.iter().copied().collect();
                let expected = format!("one of {}", list.join(", "));
                let example = format!("{}: …", list.first().copied().unwrap_or_default());
                self.collector.problem(&self.place, &name, &expected, &example);
            }
        }
    }
}
