//! From text to values, and how values are shown.

use std::fmt;

use serde_norway::Value;

/// Says why a text is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    at: Option<(usize, usize)>,
    detail: String,
}

impl Malformed {
    fn new(detail: impl Into<String>) -> Self {
        Self { at: None, detail: detail.into() }
    }

    /// Says it without quoting the text, which may hold secrets: `what` is not so from there on.
    pub fn without_text(&self, what: &str) -> String {
        match self.at {
            Some((line, column)) => format!("{what} from line {line} column {column}"),
            None => self.detail.clone(),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Malformed {}

/// Parses YAML: `<<` keys are merged, tags are refused, every key is a text.
///
/// # Errors
/// It is no such YAML; says where.
pub fn yaml(text: &str) -> Result<Value, Malformed> {
    let mut value: Value = serde_norway::from_str(text).map_err(|error| Malformed {
        at: error.location().map(|at| (at.line(), at.column())),
        detail: error.to_string(),
    })?;
    merge(&mut value)?;
    plain(value)
}

/// Parses JSON as the same values; a name that an object has twice is refused, as YAML does.
///
/// # Errors
/// It is no such JSON; says where.
pub fn json(text: &str) -> Result<Value, Malformed> {
    serde_json::from_str(text).map_err(|error| Malformed {
        at: Some((error.line(), error.column())),
        detail: error.to_string(),
    })
}

/// Resolves `<<` keys. One pass leaves those of an anchor that itself merges another.
fn merge(value: &mut Value) -> Result<(), Malformed> {
    for _ in 0..16 {
        let before = value.clone();
        let merged = value.apply_merge();
        merged
            .map_err(|_| Malformed::new("a << key in it refers to something other than a map"))?;
        if *value == before {
            return Ok(());
        }
    }
    Err(Malformed::new("its << keys are nested too deeply"))
}

fn plain(value: Value) -> Result<Value, Malformed> {
    Ok(match value {
        Value::Sequence(items) => {
            Value::Sequence(items.into_iter().map(plain).collect::<Result<_, _>>()?)
        }
        Value::Mapping(map) => {
            let pairs = map.into_iter().map(|(key, value)| Ok((key_text(key)?, plain(value)?)));
            Value::Mapping(pairs.collect::<Result<_, Malformed>>()?)
        }
        Value::Tagged(_) => return Err(Malformed::new("a YAML tag (!...) in it")),
        other => other,
    })
}

fn key_text(key: Value) -> Result<Value, Malformed> {
    match key {
        Value::String(_) => Ok(key),
        Value::Number(number) => Ok(Value::String(number.to_string())),
        _ => Err(Malformed::new("a key in it that is neither text nor number")),
    }
}

/// Shows a value in one line.
pub fn show(value: &Value) -> String {
    let text = serde_norway::to_string(value).unwrap_or_default();
    text.trim().replace('\n', ", ")
}

/// Names the type of a value without showing the value.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) | Value::Tagged(_) => "a map",
    }
}

/// Writes a text, number, true or false as text; anything else has no such form. A number that is
/// whole is written so, however it was given: `1e6` is 1000000.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            Some(whole(number).map_or_else(|| number.to_string(), |whole| whole.to_string()))
        }
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Gives a number that is whole, however it is written.
pub fn whole(number: &serde_norway::Number) -> Option<i64> {
    /// Above it a double does not tell neighbours apart.
    const EXACT: f64 = (1_u64 << 53) as f64;
    let float = || number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= EXACT);
    number.as_i64().or_else(|| float().map(|n| n as i64))
}

/// Checks a topic's name by the broker's own rules: org.apache.kafka.common.internals.Topic.
///
/// # Errors
/// Kafka refuses it; says why.
pub fn topic_name(name: &str) -> Result<(), &'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    match name {
        "" => Err("an empty name"),
        name if name.len() > 249 => Err("a name longer than 249 characters"),
        name if name == "." || name == ".." || !name.bytes().all(legal) => {
            Err("a character that topic names cannot have")
        }
        _ => Ok(()),
    }
}

/// Finds the one of `names` that resembles `name` most; less than half alike is no match.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let upper = name.to_uppercase();
    names
        .map(|known| {
            let likeness = strsim::normalized_damerau_levenshtein(&upper, &known.to_uppercase());
            (likeness, known)
        })
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
