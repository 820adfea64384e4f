//! Which messages are wanted: `value.status=open`, `key~ann`, `header.guid`, `!value.note`.

use serde_json::Value;

/// What is accepted, to follow the word "expected".
pub const ACCEPTED: &str = "FIELD, !FIELD, or FIELD and one of = != ~ !~ < <= > >= and a value; \
    fields are key, value, value.a.b, value.list[0], header.NAME, partition, offset, timestamp";

/// One condition on a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// As it was written, so that the same condition is known again.
    text: String,
    field: Field,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Key,
    Value(Vec<Step>),
    Header(String),
    Partition,
    Offset,
    Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// There, and not null.
    Given,
    Absent,
    Compare(Operator, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    ContainsNot,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

/// Longer ones first: `!=` is not `=`.
const OPERATORS: [(&str, Operator); 9] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("!~", Operator::ContainsNot),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::MoreOrEqual),
    ("=", Operator::Equal),
    ("~", Operator::Contains),
    ("<", Operator::Less),
    (">", Operator::More),
];

/// What a filter looks at.
pub trait Subject {
    /// The key, decoded.
    fn key(&self) -> Value;
    /// The value, decoded.
    fn value(&self) -> &Value;
    /// The last header of a name as text.
    fn header(&self, name: &str) -> Option<String>;
    /// The partition.
    fn partition(&self) -> i32;
    /// The offset.
    fn offset(&self) -> i64;
    /// The timestamp in milliseconds since the epoch.
    fn timestamp(&self) -> Option<i64>;
}

impl Filter {
    /// Reads a condition.
    ///
    /// # Errors
    /// It is none; says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is no condition; expected {ACCEPTED}");
        let start = text.len() - text.trim_start_matches('!').len();
        let place = text[start..].find(['=', '!', '~', '<', '>']).map(|at| at + start);
        let (name, test) = match place {
            None => match text.strip_prefix('!') {
                Some(name) => (name, Test::Absent),
                None => (text, Test::Given),
            },
            Some(at) => {
                let (sign, operator) =
                    OPERATORS.iter().find(|(s, _)| text[at..].starts_with(s)).ok_or_else(refuse)?;
                let against = text[at + sign.len()..].trim().to_owned();
                (&text[..at], Test::Compare(*operator, against))
            }
        };
        let field = field(name.trim()).ok_or_else(refuse)?;
        Ok(Self { text: text.trim().to_owned(), field, test })
    }

    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Says whether the condition needs the decoded value.
    #[must_use]
    pub fn needs_value(&self) -> bool {
        matches!(self.field, Field::Value(_))
    }

    /// Says whether a message meets the condition.
    #[must_use]
    pub fn accepts(&self, message: &impl Subject) -> bool {
        let found = match &self.field {
            Field::Key => message.key(),
            Field::Value(steps) => walk(message.value(), steps).cloned().unwrap_or_default(),
            Field::Header(name) => message.header(name).map_or(Value::Null, Value::String),
            Field::Partition => message.partition().into(),
            Field::Offset => message.offset().into(),
            Field::Timestamp => message.timestamp().into(),
        };
        match &self.test {
            Test::Given => !found.is_null(),
            Test::Absent => found.is_null(),
            Test::Compare(operator, against) => {
                let against = match (&self.field, crate::when::parse(against, crate::when::now())) {
                    (Field::Timestamp, Ok(millis)) => millis.to_string(),
                    _ => against.clone(),
                };
                compare(*operator, &found, &against)
            }
        }
    }
}

fn field(name: &str) -> Option<Field> {
    Some(match name {
        "key" => Field::Key,
        "partition" => Field::Partition,
        "offset" => Field::Offset,
        "timestamp" => Field::Timestamp,
        _ => match name.strip_prefix("header.") {
            Some(header) if !header.is_empty() => Field::Header(header.into()),
            Some(_) => return None,
            None => Field::Value(steps(name.strip_prefix("value")?)?),
        },
    })
}

/// Reads what follows `value`: `.name` and `[0]`, any number of times.
fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            if end == 0 {
                return None;
            }
            steps.push(Step::Name(after[..end].into()));
            rest = &after[end..];
        }
    }
    Some(steps)
}

fn walk<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Name(name) => value.get(name),
        Step::Index(index) => value.get(index),
    })
}

/// Compares as numbers where both sides are, else as text. What is absent differs from everything.
fn compare(operator: Operator, found: &Value, against: &str) -> bool {
    if found.is_null() {
        let negative = matches!(operator, Operator::NotEqual | Operator::ContainsNot);
        let asks_for_null = against == "null";
        return match operator {
            Operator::Equal => asks_for_null,
            Operator::NotEqual => !asks_for_null,
            _ => negative,
        };
    }
    let text = match found {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let order = match (found.as_f64(), against.parse::<f64>()) {
        (Some(left), Ok(right)) => match (found.as_i64(), against.parse::<i64>()) {
            (Some(left), Ok(right)) => Some(left.cmp(&right)),
            _ => left.partial_cmp(&right),
        },
        _ => Some(text.as_str().cmp(against)),
    };
    match operator {
        Operator::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::NotEqual => !order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::Contains => text.contains(against),
        Operator::ContainsNot => !text.contains(against),
        Operator::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Operator::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Operator::More => order.is_some_and(std::cmp::Ordering::is_gt),
        Operator::MoreOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Order(Value);

    impl Subject for Order {
        fn key(&self) -> Value {
            json!("ann")
        }
        fn value(&self) -> &Value {
            &self.0
        }
        fn header(&self, name: &str) -> Option<String> {
            (name == "exception").then(|| r#"{"name": "Timeout"}"#.into())
        }
        fn partition(&self) -> i32 {
            3
        }
        fn offset(&self) -> i64 {
            100
        }
        fn timestamp(&self) -> Option<i64> {
            Some(1_795_521_600_000)
        }
    }

    #[test]
    fn a_condition_holds_or_does_not() {
        let order = Order(json!({"status": "open", "price": 9.5, "count": 10, "note": null,
            "lines": [{"sku": "x-1"}]}));
        for (text, wanted) in [
            ("value.status=open", true),
            ("value.status == open", true),
            ("value.status!=open", false),
            ("value.status~pe", true),
            ("value.status!~pe", false),
            ("value.price>9", true),
            ("value.count>9", true),
            ("value.count<=10", true),
            ("value.count<9", false),
            ("value.lines[0].sku=x-1", true),
            ("value.lines[1].sku=x-1", false),
            ("value.note", false),
            ("!value.note", true),
            ("value.absent!=5", true),
            ("value.absent=null", true),
            ("value.absent>5", false),
            ("value~open", true),
            ("key=ann", true),
            ("header.exception~Timeout", true),
            ("header.guid", false),
            ("!header.guid", true),
            ("partition=3", true),
            ("offset>=100", true),
            ("timestamp>=2026-11-24", true),
            ("timestamp<2026-11-24T12:00:00Z", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().accepts(&order), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_what_is() {
        for text in ["", "status=open", "value.", "value[x]=1", "header.=1", "=1", "value..a"] {
            assert!(Filter::parse(text).unwrap_err().contains("expected FIELD"), "{text}");
        }
    }
}
