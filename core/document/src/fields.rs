//! One map of a document, field by field.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::text::{nearest, topic_name};
use crate::{Document, Map, Value};

/// Reads one map, with its place in the document. A wrong field is noted and its default handed
/// out; whoever finishes must look at the problems.
#[derive(Debug)]
pub struct Fields<'d> {
    document: &'d Document,
    place: String,
    map: Map,
    asked: RefCell<BTreeSet<String>>,
    /// How many problems there were when the first field was asked for.
    before: Cell<Option<usize>>,
}

impl<'d> Fields<'d> {
    /// Reads `map`, which is found at `place`.
    pub fn new(document: &'d Document, place: String, map: Map) -> Self {
        Self { document, place, map, asked: RefCell::default(), before: Cell::default() }
    }

    /// Enters the map at `place`; anything else there is a problem.
    pub fn enter(document: &'d Document, place: String, value: &Value, ex: &str) -> Option<Self> {
        match value {
            Value::Mapping(map) => Some(Self::new(document, place, map.clone())),
            other => {
                document.problem(&place, &document.shown(other), "a map", ex);
                None
            }
        }
    }

    /// Gives the document that it is part of.
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// Gives the place of a field.
    pub fn at(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// Gives names and values, in their order. Whoever asks knows every name.
    pub fn pairs_of_values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.map.iter().filter_map(|(key, value)| {
            let key = key.as_str()?;
            self.ask(key);
            Some((key, value))
        })
    }

    /// Gives a field of any type.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.ask(name);
        self.map.get(name).filter(|value| self.document.hidden.is_none() || !value.is_null())
    }

    fn ask(&self, name: &str) {
        if self.asked.borrow_mut().insert(name.to_owned()) && self.before.get().is_none() {
            self.before.set(Some(self.document.problems().len()));
        }
    }

    /// Tells whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Tells whether a problem was noted at a field or below it.
    pub fn is_wrong(&self, name: &str) -> bool {
        let place = self.at(name);
        self.document.problems().iter().any(|problem| problem.place.starts_with(&place))
    }

    /// Notes a problem with a field.
    pub fn problem(&self, name: &str, read: &str, expected: &str, example: &str) {
        self.document.problem(&self.at(name), read, expected, example);
    }

    /// Notes that `value` is not what the field may be.
    fn refuse(&self, name: &str, value: &Value, expected: &str, example: &str) {
        self.problem(name, &self.document.shown(value), expected, example);
    }

    /// Gives a text that must not be empty.
    pub fn text(&self, name: &str, example: &str) -> Option<String> {
        let text = self.text_or_empty(name, example)?;
        if text.trim().is_empty() {
            self.problem(name, "an empty text", "text; leave the name out for none", example);
            return None;
        }
        Some(text)
    }

    /// Gives a text, which may be empty.
    pub fn text_or_empty(&self, name: &str, example: &str) -> Option<String> {
        let value = self.value(name)?;
        if value.as_str().is_none() {
            self.refuse(name, value, "text in quotes", example);
        }
        value.as_str().map(str::to_owned)
    }

    /// As [`Self::text`], and a problem when it is missing.
    pub fn needed(&self, name: &str, what: &str, example: &str) -> Option<String> {
        if !self.has(name) {
            self.problem(name, "nothing", what, example);
        }
        self.text(name, example)
    }

    /// Gives the name of a topic, as Kafka allows it.
    pub fn topic(&self, name: &str, what: &str, example: &str) -> Option<String> {
        let topic = self.needed(name, what, example)?;
        let good = topic_name(&topic);
        if good.is_err() {
            self.problem(name, &topic, TOPIC, example);
        }
        good.ok().map(|()| topic)
    }

    /// Gives the names of topics, from one or a list, each once.
    pub fn topics(&self, name: &str, example: &str) -> Vec<String> {
        let mut topics: Vec<String> = Vec::new();
        for (place, topic) in self.placed_texts(name, example) {
            if topics.contains(&topic) {
                self.document.problem(&place, &topic, "each topic once", example);
            } else if topic_name(&topic).is_ok() {
                topics.push(topic);
            } else {
                self.document.problem(&place, &topic, TOPIC, example);
            }
        }
        topics
    }

    /// Gives a yes or no.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        let Some(value) = self.value(name) else { return default };
        if value.as_bool().is_none() {
            self.refuse(name, value, "true or false", &format!("{name}: true"));
        }
        value.as_bool().unwrap_or(default)
    }

    /// Gives a whole number.
    pub fn whole(&self, name: &str, default: u64, allowed: RangeInclusive<u64>) -> u64 {
        self.within(name, default, allowed, "a whole number", Value::as_u64)
    }

    /// Gives a number.
    pub fn number(&self, name: &str, default: f64, allowed: RangeInclusive<f64>) -> f64 {
        self.within(name, default, allowed, "a number", Value::as_f64)
    }

    /// Gives a time in seconds.
    pub fn seconds(&self, name: &str, default: f64, allowed: RangeInclusive<f64>) -> Duration {
        let seconds = self.within(name, default, allowed, "a number of seconds", Value::as_f64);
        Duration::from_secs_f64(seconds)
    }

    fn within<N: Copy + PartialOrd + Display>(
        &self,
        name: &str,
        default: N,
        allowed: RangeInclusive<N>,
        what: &str,
        read: impl Fn(&Value) -> Option<N>,
    ) -> N {
        let Some(value) = self.value(name) else { return default };
        read(value).filter(|number| allowed.contains(number)).unwrap_or_else(|| {
            let expected = format!("{what} from {} to {}", allowed.start(), allowed.end());
            self.refuse(name, value, &expected, &format!("{name}: {default}"));
            default
        })
    }

    /// Gives one of a few words; the first is the default.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> T {
        self.one_of(name, choices).unwrap_or(choices[0].1)
    }

    /// Gives one of a few words, if one is there.
    pub fn one_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let example = format!("{name}: {}", choices[0].0);
        let text = self.text(name, &example)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let expected = one_of(&text, choices.iter().map(|(word, _)| *word));
            self.problem(name, self.document.said(&text), &expected, &example);
        }
        found.map(|(_, value)| *value)
    }

    /// Gives texts, from one or a list.
    pub fn texts(&self, name: &str, example: &str) -> Vec<String> {
        self.placed_texts(name, example).into_iter().map(|(_, text)| text).collect()
    }

    /// As [`Self::texts`], each with its place.
    pub fn placed_texts(&self, name: &str, example: &str) -> Vec<(String, String)> {
        let Some(value) = self.value(name) else { return Vec::new() };
        let at = self.at(name);
        let values: Vec<(String, &Value)> = match value {
            Value::Sequence(list) => {
                list.iter().enumerate().map(|(i, value)| (format!("{at}[{i}]"), value)).collect()
            }
            one => vec![(at, one)],
        };
        let mut texts = Vec::new();
        for (place, value) in values {
            match value.as_str() {
                Some(text) => texts.push((place, text.to_owned())),
                None => self.document.problem(&place, &self.document.shown(value), "text", example),
            }
        }
        texts
    }

    /// Gives a map within this one; `None` when it is not there.
    pub fn section(&self, name: &str, example: &str) -> Option<Self> {
        Self::enter(self.document, self.at(name), self.value(name)?, example)
    }

    /// As [`Self::section`]; an empty map when it is not there.
    pub fn section_or_empty(&self, name: &str, example: &str) -> Self {
        let empty = || Self::new(self.document, self.at(name), Map::new());
        self.section(name, example).unwrap_or_else(empty)
    }

    /// Gives the maps of a list of maps, of which there must be one at least.
    pub fn entries(&self, name: &str, example: &str) -> Vec<Self> {
        let list = match self.value(name) {
            Some(Value::Sequence(list)) if !list.is_empty() => list,
            other => {
                let read = other.map_or_else(|| "nothing".to_owned(), |v| self.document.shown(v));
                self.problem(name, &read, "a list with one entry at least", example);
                return Vec::new();
            }
        };
        let entries = list.iter().enumerate().filter_map(|(index, entry)| {
            let place = format!("{}[{index}]", self.at(name));
            Self::enter(self.document, place, entry, example)
        });
        entries.collect()
    }

    /// Gives the names and maps of a map of maps.
    pub fn named(&self, name: &str, example: &str) -> Vec<(String, Self)> {
        let Some(section) = self.section(name, example) else { return Vec::new() };
        let named = section.pairs_of_values().filter_map(|(key, value)| {
            let fields = Self::enter(self.document, section.at(key), value, example)?;
            Some((key.to_owned(), fields))
        });
        named.collect()
    }

    /// Gives the names and texts of a map of texts.
    pub fn pairs(&self, name: &str, example: &str) -> Vec<(String, String)> {
        let Some(section) = self.section(name, example) else { return Vec::new() };
        let names: Vec<String> = section.pairs_of_values().map(|(name, _)| name.into()).collect();
        let text = |name: String| Some((section.text_or_empty(&name, example)?, name));
        names.into_iter().filter_map(text).map(|(text, name)| (name, text)).collect()
    }

    /// Gives the names that nobody asked for, each with what was meant perhaps. A name that begins
    /// with a dot holds a YAML anchor.
    fn unknown(&self) -> Vec<(&str, String)> {
        let known = self.asked.borrow();
        let names = self.map.keys().filter_map(Value::as_str);
        let unknown = names.filter(|name| !name.starts_with('.') && !known.contains(*name));
        unknown.map(|name| (name, one_of(name, known.iter().map(String::as_str)))).collect()
    }

    /// Notes the names that nobody asked for, ahead of what is wrong with the others: call it last.
    pub fn finish(&self) {
        let example = self.asked.borrow().first().map_or_else(String::new, |n| format!("{n}: …"));
        let before = self.document.problems().len();
        for (name, expected) in self.unknown() {
            self.document.problem(&self.place, name, &expected, &example);
        }
        self.document.move_up(before, self.before.get().unwrap_or(before));
    }

    /// Warns of the names that are not among `known`, and reads on.
    pub fn warn_unknown<'k>(&self, known: impl Iterator<Item = &'k str> + Clone) {
        for name in self.map.keys().filter_map(Value::as_str) {
            if !known.clone().any(|known| known == name) {
                let text = format!(
                    "{} is ignored: no such key{}",
                    self.at(name),
                    meant(name, known.clone())
                );
                self.document.warn(text);
            }
        }
    }
}

const TOPIC: &str = "a topic's name: 1 to 249 letters, digits, dots, underscores and hyphens";

fn one_of<'k>(read: &str, words: impl Iterator<Item = &'k str> + Clone) -> String {
    let list: Vec<_> = words.clone().collect();
    format!("one of {}{}", list.join(", "), meant(read, words))
}

/// Asks whether the nearest of `names` was meant, if one is near.
fn meant<'k>(read: &str, names: impl Iterator<Item = &'k str>) -> String {
    nearest(read, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}
