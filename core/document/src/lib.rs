//! Reads the documents that settings are written in, YAML or JSON, and tells everything that is
//! wrong with one at once.
//!
//! A [`Document`] collects problems; [`Fields`] is one map of it with its place. A field is asked
//! for by name and type: one that is wrong is noted, and its default handed out, so that reading
//! goes on. At its end [`Fields::finish`] notes the names that nobody asked for.

mod fields;
mod problem;
mod text;

use std::cell::{Ref, RefCell};

pub use serde_norway::{Mapping as Map, Value};

pub use self::fields::Fields;
pub use self::problem::{Problem, Problems, Warning};
pub use self::text::{Malformed, json, kind_of, nearest, scalar, show, topic_name, whole, yaml};

/// Collects what is wrong with one document.
#[derive(Debug)]
pub struct Document {
    name: String,
    /// The example of all problems, in a document that may hold secrets.
    hidden: Option<String>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Warning>>,
}

impl Document {
    /// Collects problems of the file called `name`, whose values may be shown.
    pub fn new(name: &str) -> Self {
        let (problems, warnings) = Default::default();
        Self { name: name.to_owned(), hidden: None, problems, warnings }
    }

    /// Collects problems of the setting called `name`, whose values may be secrets: problems name
    /// the type of a value only, and all have the same `example`. A value of null counts as absent,
    /// as nubium-utils has it.
    pub fn hidden(name: &str, example: String) -> Self {
        Self { hidden: Some(example), ..Self::new(name) }
    }

    /// Parses the YAML of a file, which must be a map; `expected` says of what.
    pub fn root(&self, text: &str, expected: &str, example: &str) -> Option<Fields<'_>> {
        match yaml(text) {
            Ok(Value::Mapping(map)) => return Some(Fields::new(self, String::new(), map)),
            Ok(other) => self.problem("", &show(&other), expected, example),
            Err(error) => self.problem("", "no YAML", &format!("YAML, but: {error}"), example),
        }
        None
    }

    /// Notes a problem: where, what is there, what should be, and an example.
    pub fn problem(&self, place: &str, read: &str, expected: &str, example: &str) {
        self.problems.borrow_mut().push(Problem {
            setting: self.name.clone(),
            place: place.to_owned(),
            read: read.to_owned(),
            expected: expected.to_owned(),
            example: self.hidden.clone().unwrap_or_else(|| example.to_owned()),
        });
    }

    /// Notes what looks wrong but is no obstacle.
    pub fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(Warning { setting: self.name.clone(), text });
    }

    /// Gives the problems that were noted until now.
    pub fn problems(&self) -> Ref<'_, Vec<Problem>> {
        self.problems.borrow()
    }

    /// Gives `settings` when nothing was wrong.
    ///
    /// # Errors
    /// Every problem, when there is one.
    pub fn finish<S>(self, settings: Option<S>) -> Result<S, Vec<Problem>> {
        let problems = self.problems.into_inner();
        settings.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// Gives everything that was noted.
    pub fn into_notes(self) -> (Vec<Problem>, Vec<Warning>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }

    /// Moves the problems since `from` to the place `to`.
    fn move_up(&self, from: usize, to: usize) {
        let mut problems = self.problems.borrow_mut();
        let count = problems.len() - from;
        problems[to..].rotate_right(count);
    }

    fn said<'t>(&self, text: &'t str) -> &'t str {
        if self.hidden.is_some() { "another text" } else { text }
    }

    fn shown(&self, value: &Value) -> String {
        match self.hidden {
            Some(_) => kind_of(value).to_owned(),
            None => show(value),
        }
    }
}

#[cfg(test)]
mod tests;
