//! Which messages are wanted: `value.status=open`, `key~ann`, `header.guid`, `!value.note`.

use std::cmp::Ordering;

use nubium_avro::decimal::Number;
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
    Compare(Operator, Against),
}

/// What a field is compared with, and what it can be taken for.
#[derive(Debug, Clone, PartialEq)]
struct Against {
    text: String,
    number: Option<Number>,
    /// Milliseconds since 1970.
    instant: Option<i64>,
}

impl Against {
    fn new(text: &str) -> Self {
        let number = Number::parse(text);
        let instant = crate::when::parse(text, crate::when::now()).ok();
        Self { text: text.to_owned(), instant: instant.filter(|_| number.is_none()), number }
    }

    /// Says whether a field can be compared with it at all.
    fn suits(&self, field: &Field, operator: Operator) -> bool {
        let by_text = matches!(operator, Operator::Contains | Operator::ContainsNot);
        match field {
            _ if by_text => true,
            Field::Partition | Field::Offset => self.number.is_some(),
            Field::Timestamp => self.number.is_some() || self.instant.is_some(),
            _ => true,
        }
    }
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
                let against = Against::new(text[at + sign.len()..].trim());
                (&text[..at], Test::Compare(*operator, against))
            }
        };
        let field = field(name.trim()).ok_or_else(refuse)?;
        if let Test::Compare(operator, against) = &test
            && !against.suits(&field, *operator)
        {
            let wanted = if field == Field::Timestamp { "a time" } else { "a number" };
            return Err(format!("{text:?}: {wanted} is wanted, not {:?}", against.text));
        }
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
            Test::Compare(operator, against) => compare(*operator, &found, against),
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

/// Compares as numbers where both sides are, as instants where both are, else as text: decimals and
/// times are text in JSON. What is absent differs from everything.
fn compare(operator: Operator, found: &Value, against: &Against) -> bool {
    if found.is_null() {
        let negative = matches!(operator, Operator::NotEqual | Operator::ContainsNot);
        let asks_for_null = against.text == "null";
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
    let order = order(&text, found.is_number(), against);
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Contains => text.contains(&against.text),
        Operator::ContainsNot => !text.contains(&against.text),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::More => order.is_gt(),
        Operator::MoreOrEqual => order.is_ge(),
    }
}

fn order(text: &str, is_number: bool, against: &Against) -> Ordering {
    let number = Number::parse(text).filter(|_| text.trim() == text);
    if let (Some(left), Some(right)) = (&number, &against.number) {
        // "007" is a name and not seven.
        let named = !is_number && (text.starts_with('+') || has_zeros_in_front(text));
        return if named { text.cmp(&against.text) } else { left.compare(right) };
    }
    let instant = match &number {
        Some(_) if is_number => text.parse::<i64>().ok(),
        _ => crate::when::instant(text),
    };
    match (instant, against.instant) {
        (Some(left), Some(right)) if text != against.text => left.cmp(&right),
        _ => text.cmp(&against.text),
    }
}

fn has_zeros_in_front(text: &str) -> bool {
    let digits = text.trim_start_matches('-');
    digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")
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
