//! Fits a JSON item to a schema, and says everything that does not fit, each with a JSON pointer.
//!
//! What comes out is a value that the mapping crate's encoder takes. One walk does both, so that
//! what is refused and what is written cannot differ.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use nubium_mapping::avro::schema::{Field, Record};
use nubium_mapping::avro::{Node, NodeId, Schema, kind};
use serde_json::{Number, Value as Json};
use vrl::value::{ObjectMap, Value};

/// Problems that are listed of one request; more help nobody.
pub const MOST_PROBLEMS: usize = 100;

/// Says what is wrong with one place of a body.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Where: a JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What is wanted, and what was read.
    pub reason: String,
}

/// Says how strict to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Fields that the schema does not have are left out instead of refused.
    pub ignore_unknown: bool,
    /// Every scalar came as text, as in a form: numbers are read from it, and nothing is null.
    pub from_text: bool,
}

/// Fits one item; `base` is its own pointer. The value is of use only if no problem was added.
pub fn fit(
    schema: &Schema,
    rules: Rules,
    item: &Json,
    base: &str,
    problems: &mut Vec<Problem>,
) -> Value {
    let mut fitter = Fitter { schema, rules, pointer: base.to_owned(), problems };
    fitter.node(schema.root(), item)
}

struct Fitter<'a> {
    schema: &'a Schema,
    rules: Rules,
    pointer: String,
    problems: &'a mut Vec<Problem>,
}

impl Fitter<'_> {
    fn problem(&mut self, reason: impl Into<String>) -> Value {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem { pointer: self.pointer.clone(), reason: reason.into() });
        }
        Value::Null
    }

    fn within<T>(&mut self, part: &str, then: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        push_part(&mut self.pointer, part);
        let done = then(self);
        self.pointer.truncate(length);
        done
    }

    fn node(&mut self, node: NodeId, json: &Json) -> Value {
        match (self.schema.node(node), json) {
            (Node::Union(variants), _) => self.union(node, variants, json),
            (Node::Record(record), Json::Object(map)) => self.record(record, map),
            (Node::Map(values), Json::Object(map)) => {
                let entry = |(name, value): (&String, &Json)| {
                    let value = self.within(name, |this| this.node(*values, value));
                    (name.as_str().into(), value)
                };
                Value::Object(map.iter().map(entry).collect())
            }
            (Node::Array(items), Json::Array(list)) => {
                let item = |(index, value): (usize, &Json)| {
                    self.within(&index.to_string(), |this| this.node(*items, value))
                };
                Value::Array(list.iter().enumerate().map(item).collect())
            }
            // A form that names a list once.
            (Node::Array(items), json) if self.rules.from_text && !json.is_object() => {
                Value::Array(vec![self.within("0", |this| this.node(*items, json))])
            }
            (_, json) => match scalar(self.schema.node(node), json, self.rules.from_text) {
                Ok(value) => value,
                Err(Wrong::Type) => {
                    let wanted = kind::describe(self.schema, node);
                    self.problem(format!("{wanted} is wanted, not {}", shown(json)))
                }
                Err(Wrong::Because(why)) => self.problem(why),
            },
        }
    }

    /// Takes the first branch that looks right from outside; where none does, the only one of its
    /// family, so that its problems are named. Nothing is tried out, or a hostile body could make
    /// nested unions cost twice as much at each level.
    fn union(&mut self, node: NodeId, variants: &[NodeId], json: &Json) -> Value {
        // An empty field of a form is one that was left blank.
        let blank = json.is_null() || self.rules.from_text && json == "";
        if blank && kind::nullable(self.schema, node) {
            return Value::Null;
        }
        let accepting = variants.iter().find(|id| self.accepts(**id, json));
        let related = |id: &&NodeId| match self.schema.node(**id) {
            Node::Null => false,
            Node::Record(_) | Node::Map(_) => json.is_object(),
            Node::Array(_) => json.is_array(),
            _ => !json.is_object() && !json.is_array() && !json.is_null(),
        };
        let mut relatives = variants.iter().filter(related);
        match (accepting, relatives.next(), relatives.next()) {
            (Some(one), ..) | (None, Some(one), None) => self.node(*one, json),
            _ => {
                let wanted = kind::describe(self.schema, node);
                self.problem(format!("{wanted} is wanted, not {}", shown(json)))
            }
        }
    }

    /// Tells branches apart as the encoder does: records by the names of their fields.
    fn accepts(&self, node: NodeId, json: &Json) -> bool {
        match (self.schema.node(node), json) {
            (Node::Array(_), json) => json.is_array(),
            (Node::Map(_), json) => json.is_object(),
            (Node::Record(record), Json::Object(map)) => {
                let may_lack = |field: &Field| {
                    field.default.is_some() || kind::nullable(self.schema, field.node)
                };
                let given = |field: &Field| map.contains_key(field.name.as_str());
                let known =
                    |name: &String| record.fields.iter().any(|field| field.name.as_str() == name);
                record.fields.iter().all(|field| given(field) || may_lack(field))
                    && (self.rules.ignore_unknown || map.keys().all(known))
            }
            (node, json) => scalar(node, json, self.rules.from_text).is_ok(),
        }
    }

    fn record(&mut self, record: &Record, map: &serde_json::Map<String, Json>) -> Value {
        let mut object = ObjectMap::new();
        let mut used = 0;
        for field in &record.fields {
            match map.get(field.name.as_str()) {
                Some(value) => {
                    used += 1;
                    if self.is_blank(field, value) {
                        continue;
                    }
                    let value =
                        self.within(field.name.as_str(), |this| this.node(field.node, value));
                    object.insert(field.name.clone(), value);
                }
                // The encoder puts in the default, or null.
                None if field.default.is_some() || kind::nullable(self.schema, field.node) => {}
                None => {
                    let wanted = kind::describe(self.schema, field.node);
                    self.within(field.name.as_str(), |this| {
                        this.problem(format!("{wanted} is wanted, but the field is missing"))
                    });
                }
            }
        }
        if used < map.len() && !self.rules.ignore_unknown {
            let is_known = |name: &str| record.fields.iter().any(|f| f.name.as_str() == name);
            for name in map.keys().filter(|name| !is_known(name)) {
                self.within(name, |this| this.problem("the schema has no such field"));
            }
        }
        Value::Object(object)
    }

    /// A blank field of a form counts as missing where it cannot be text and need not be there.
    fn is_blank(&self, field: &Field, value: &Json) -> bool {
        self.rules.from_text
            && value == ""
            && field.default.is_some()
            && !matches!(self.schema.node(field.node), Node::String | Node::Bytes)
    }
}

/// Appends a part to a JSON pointer.
pub fn push_part(pointer: &mut String, part: &str) {
    pointer.push('/');
    if part.contains(['~', '/']) {
        pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(part);
    }
}

enum Wrong {
    Type,
    Because(String),
}

fn scalar(node: &Node, json: &Json, from_text: bool) -> Result<Value, Wrong> {
    let text = json.as_str();
    let number = match (json, text) {
        (Json::Number(number), _) => Some(number.clone()),
        (_, Some(text)) if from_text => text.trim().parse::<Number>().ok(),
        _ => None,
    };
    let whole = number.as_ref().and_then(Number::as_i64);
    match node {
        Node::Null if json.is_null() => Ok(Value::Null),
        Node::Boolean => match (json.as_bool(), text) {
            (Some(flag), _) => Ok(Value::Boolean(flag)),
            (_, Some("true" | "on" | "1")) if from_text => Ok(Value::Boolean(true)),
            (_, Some("false" | "off" | "0")) if from_text => Ok(Value::Boolean(false)),
            _ => Err(Wrong::Type),
        },
        Node::Int => match whole.map(i32::try_from) {
            Some(Ok(int)) => Ok(Value::Integer(int.into())),
            _ => Err(Wrong::Type),
        },
        Node::Long => whole.map(Value::Integer).ok_or(Wrong::Type),
        Node::Float | Node::Double => {
            let float = number.as_ref().and_then(Number::as_f64).filter(|n| n.is_finite());
            float.map(Value::from_f64_or_zero).ok_or(Wrong::Type)
        }
        Node::String | Node::Bytes => text.map(Value::from).ok_or(Wrong::Type),
        Node::Fixed(size) => match text {
            Some(text) if text.len() == *size => Ok(Value::from(text)),
            _ => Err(Wrong::Type),
        },
        Node::Enum(symbols) => match text {
            Some(text) if symbols.symbols.iter().any(|symbol| symbol == text) => {
                Ok(Value::from(text))
            }
            _ => Err(Wrong::Type),
        },
        Node::Date => date(whole, text),
        Node::Timestamp(_) => instant(whole, text),
        Node::Decimal { .. } => match (text, number) {
            (Some(text), _) => Ok(Value::from(text.trim())),
            (None, Some(number)) => Ok(Value::from(number.to_string())),
            (None, None) => Err(Wrong::Type),
        },
        _ => Err(Wrong::Type),
    }
}

fn date(days: Option<i64>, text: Option<&str>) -> Result<Value, Wrong> {
    if let Some(days) = days {
        return match i32::try_from(days) {
            Ok(days) => Ok(Value::Integer(days.into())),
            Err(_) => Err(Wrong::Type),
        };
    }
    let date = text.and_then(|text| text.parse::<NaiveDate>().ok());
    let date = date.and_then(|date| date.and_hms_opt(0, 0, 0));
    date.map(|date| Value::Timestamp(date.and_utc())).ok_or_else(|| {
        Wrong::Because("a date is wanted: YYYY-MM-DD, or days since 1970-01-01".into())
    })
}

fn instant(count: Option<i64>, text: Option<&str>) -> Result<Value, Wrong> {
    if let Some(count) = count {
        return Ok(Value::Integer(count));
    }
    let instant = text.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    instant.map(|instant| Value::Timestamp(instant.with_timezone(&Utc))).ok_or_else(|| {
        let wanted = "a timestamp is wanted: RFC 3339, or a number in the unit of the schema";
        Wrong::Because(wanted.into())
    })
}

/// Shows what was read: enough to recognise it.
fn shown(json: &Json) -> String {
    const CHARACTERS: usize = 40;
    let text = match json {
        Json::Object(_) => return "an object".into(),
        Json::Array(_) => return "an array".into(),
        Json::Null => return "null".into(),
        Json::String(text) => format!("text {text:?}"),
        other => other.to_string(),
    };
    match text.char_indices().nth(CHARACTERS) {
        Some((at, _)) => {
            let mut cut = text[..at].to_owned();
            let _ = write!(cut, "…");
            cut
        }
        None => text,
    }
}

#[cfg(test)]
mod tests;
