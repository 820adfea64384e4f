//! Reads values out of YAML and keeps count of what is wrong.

use std::fmt::Display;
use std::time::Duration;

use nubium_service::document::{Map, Value, join, show};

use super::Problem;

/// A map of the file, with its place.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    place: String,
    map: Map,
}

impl Part {
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.map.get(name)
    }

    pub(super) fn is_map(&self, name: &str) -> bool {
        matches!(self.map.get(name), Some(Value::Mapping(_)))
    }

    /// The names in it, in order.
    pub(super) fn keys(&self) -> Vec<String> {
        self.map.keys().filter_map(|key| key.as_str().map(str::to_owned)).collect()
    }

    fn at(&self, name: &str) -> String {
        join(&self.place, name)
    }
}

/// Hands out typed settings. A wrong one is noted and its default handed out, so that reading goes
/// on; whoever finishes must look at `problems`.
pub(super) struct Reader<'a> {
    file: &'a str,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, problems: Vec::new() }
    }

    /// Parses the text; an empty map where it is none.
    pub(super) fn root(&mut self, text: &str, example: &str) -> Part {
        let read = match serde_norway::from_str::<Value>(text) {
            Ok(Value::Mapping(map)) => return Part { place: String::new(), map },
            Ok(other) => show(&other),
            Err(error) => format!("no YAML: {error}"),
        };
        self.problem("", &read, "a map of settings", example);
        Part::default()
    }

    pub(super) fn problem(&mut self, place: &str, read: &str, expected: &str, example: &str) {
        self.problems.push(Problem {
            setting: self.file.to_owned(),
            place: place.to_owned(),
            read: read.to_owned(),
            expected: expected.to_owned(),
            example: example.to_owned(),
        });
    }

    /// Refuses names that are not known.
    pub(super) fn names(&mut self, part: &Part, known: &[&str]) {
        for name in part.map.keys() {
            let name = name.as_str().map_or_else(|| show(name), str::to_owned);
            if !known.contains(&name.as_str()) {
                let expected = format!("one of {}", known.join(", "));
                self.problem(&part.place, &name, &expected, &format!("{}: …", known[0]));
            }
        }
    }

    /// Reads a map within a map; `None` where it is not there.
    pub(super) fn part(&mut self, part: &Part, name: &str, example: &str) -> Option<Part> {
        match part.map.get(name)? {
            Value::Mapping(map) => Some(Part { place: part.at(name), map: map.clone() }),
            other => {
                self.problem(&part.at(name), &show(other), "a map", example);
                None
            }
        }
    }

    pub(super) fn text(&mut self, part: &Part, name: &str, example: &str) -> Option<String> {
        match part.map.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.problem(&part.at(name), &show(other), "text", example);
                None
            }
        }
    }

    /// Reads text; a map comes as `Err`, and what is neither is a problem.
    pub(super) fn part_or_text(
        &mut self,
        part: &Part,
        name: &str,
        example: &str,
    ) -> Result<String, Option<Part>> {
        match part.is_map(name) {
            true => Err(self.part(part, name, example)),
            false => self.text(part, name, example).ok_or(None),
        }
    }

    pub(super) fn required(&mut self, part: &Part, name: &str, example: &str) -> String {
        if !part.has(name) {
            self.problem(&part.at(name), "nothing", "text", &format!("{name}: {example}"));
        }
        self.text(part, name, example).unwrap_or_default()
    }

    /// Reads a list of texts, or one text.
    pub(super) fn texts(&mut self, part: &Part, name: &str, example: &str) -> Vec<String> {
        let (values, whole) = match part.map.get(name) {
            None => return Vec::new(),
            Some(Value::Sequence(list)) => (list.clone(), false),
            Some(other) => (vec![other.clone()], true),
        };
        let mut texts = Vec::new();
        for (index, value) in values.iter().enumerate() {
            match value {
                Value::String(text) => texts.push(text.clone()),
                other => {
                    let at = part.at(name);
                    let at = if whole { at } else { format!("{at}[{index}]") };
                    self.problem(&at, &show(other), "text", example);
                }
            }
        }
        texts
    }

    /// Reads a map from text to text.
    pub(super) fn pairs(
        &mut self,
        part: &Part,
        name: &str,
        example: &str,
    ) -> Vec<(String, String)> {
        let Some(inner) = self.part(part, name, example) else { return Vec::new() };
        let mut pairs = Vec::new();
        for (key, value) in &inner.map {
            match (key, value) {
                (Value::String(key), Value::String(text)) => {
                    pairs.push((key.clone(), text.clone()))
                }
                (key, value) => {
                    let place = inner.at(&show(key));
                    self.problem(&place, &show(value), "text; put quotes around it", example);
                }
            }
        }
        pairs
    }

    pub(super) fn flag(&mut self, part: &Part, name: &str, default: bool) -> bool {
        match part.map.get(name) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.problem(
                    &part.at(name),
                    &show(other),
                    "true or false",
                    &format!("{name}: true"),
                );
                default
            }
        }
    }

    /// Reads a number within `bounds`.
    pub(super) fn number(
        &mut self,
        part: &Part,
        name: &str,
        default: f64,
        bounds: (f64, f64),
    ) -> f64 {
        self.within(part, name, default, bounds, "a number", Value::as_f64)
    }

    /// Reads a whole number within `bounds`.
    pub(super) fn whole(
        &mut self,
        part: &Part,
        name: &str,
        default: u64,
        bounds: (u64, u64),
    ) -> u64 {
        self.within(part, name, default, bounds, "a whole number", Value::as_u64)
    }

    fn within<N: Copy + PartialOrd + Display>(
        &mut self,
        part: &Part,
        name: &str,
        default: N,
        (least, most): (N, N),
        what: &str,
        read: fn(&Value) -> Option<N>,
    ) -> N {
        let Some(value) = part.map.get(name) else { return default };
        match read(value) {
            Some(number) if (least..=most).contains(&number) => number,
            _ => {
                let expected = format!("{what} from {least} to {most}");
                let example = format!("{name}: {default}");
                self.problem(&part.at(name), &show(value), &expected, &example);
                default
            }
        }
    }

    /// Reads a time in seconds.
    pub(super) fn seconds(
        &mut self,
        part: &Part,
        name: &str,
        default: f64,
        bounds: (f64, f64),
    ) -> Duration {
        Duration::from_secs_f64(self.number(part, name, default, bounds))
    }

    /// Reads one of a few words; the first is the default.
    pub(super) fn choice<T: Copy>(&mut self, part: &Part, name: &str, choices: &[(&str, T)]) -> T {
        let Some(text) = self.text(part, name, choices[0].0) else { return choices[0].1 };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of {}", words.join(", "));
        self.problem(&part.at(name), &text, &expected, &format!("{name}: {}", words[0]));
        choices[0].1
    }

    /// Notes a problem with a setting of a part.
    pub(super) fn refuse(&mut self, part: &Part, name: &str, read: &str, expected: &str, ex: &str) {
        self.problem(&part.at(name), read, expected, ex);
    }
}
