//! Logical types; Avro specification, "Logical Types".

use serde_json::{Map, Value as Json};

use crate::node::{Decimal, Fixed, Node, Unit};

/// Gives the node that an object's `logicalType` makes of its type. One that does not fit the type
/// is ignored, as the specification has it.
pub(crate) fn apply(object: &Map<String, Json>, node: Node) -> Node {
    let Some(logical) = object.get("logicalType").and_then(Json::as_str) else { return node };
    match (logical, node) {
        ("date", Node::Int) => Node::Date,
        ("time-millis", Node::Int) => Node::Time(Unit::Millis),
        ("time-micros", Node::Long) => Node::Time(Unit::Micros),
        ("timestamp-millis", Node::Long) => Node::Timestamp(Unit::Millis),
        ("timestamp-micros", Node::Long) => Node::Timestamp(Unit::Micros),
        ("timestamp-nanos", Node::Long) => Node::Timestamp(Unit::Nanos),
        ("local-timestamp-millis", Node::Long) => Node::LocalTimestamp(Unit::Millis),
        ("local-timestamp-micros", Node::Long) => Node::LocalTimestamp(Unit::Micros),
        ("local-timestamp-nanos", Node::Long) => Node::LocalTimestamp(Unit::Nanos),
        ("big-decimal", Node::Bytes) => Node::BigDecimal,
        ("uuid", Node::String) => Node::Uuid(None),
        ("uuid", Node::Fixed(fixed)) if fixed.size == 16 => Node::Uuid(Some(fixed)),
        ("duration", Node::Fixed(fixed)) if fixed.size == 12 => Node::Duration(fixed),
        ("decimal", node @ Node::Bytes) => match decimal(object, None) {
            Some(decimal) => Node::Decimal(decimal),
            None => node,
        },
        ("decimal", Node::Fixed(fixed)) => match decimal(object, Some(fixed.clone())) {
            Some(decimal) => Node::Decimal(decimal),
            None => Node::Fixed(fixed),
        },
        (_, node) => node,
    }
}

fn decimal(object: &Map<String, Json>, fixed: Option<Fixed>) -> Option<Decimal> {
    let number =
        |name: &str| Some(object.get(name)?.as_u64().and_then(|n| usize::try_from(n).ok()));
    let precision = number("precision")??;
    let scale = number("scale").unwrap_or(Some(0))?;
    let holds = fixed.as_ref().is_none_or(|fixed| precision <= digits(fixed.size));
    (precision > 0 && scale <= precision && holds).then_some(Decimal { precision, scale, fixed })
}

/// Counts the decimal digits that so many bytes hold whatever they are.
fn digits(size: usize) -> usize {
    let bits = (8 * size).saturating_sub(1) as f64;
    (bits * 2_f64.log10()).floor() as usize
}
