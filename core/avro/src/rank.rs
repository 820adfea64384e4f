//! Which branch of a union a value is meant for.

use crate::Graph;
use crate::datum::{Datum, Shape};
use crate::fit::{Rules, Tags, Unknown};
use crate::node::{Field, Node, NodeId, Record, Union};
use crate::write;

/// Finds a record's field in a value.
#[inline]
pub(crate) fn find<'a, D: Datum<'a>>(
    datum: D,
    field: &Field,
    place: usize,
    rules: Rules,
) -> Option<D> {
    let found = datum.field(&field.name, place);
    if found.is_some() || !rules.resolve {
        return found;
    }
    field.aliases.iter().find_map(|alias| datum.field(alias, place))
}

/// Tells whether a record has a field of that name.
pub(crate) fn has(record: &Record, name: &str, rules: Rules) -> bool {
    record.fields.iter().any(|f| if rules.resolve { f.is(name) } else { f.name == name })
}

/// Finds a branch that an object names, as Avro's JSON encoding does: `{"full.Name": {…}}`.
pub(crate) fn tagged<'a, D: Datum<'a>>(
    graph: &Graph,
    union: &Union,
    datum: D,
    rules: Rules,
    scratch: &mut Vec<u8>,
) -> Option<(usize, D)> {
    let Shape::Map(1) = datum.shape() else { return None };
    if rules.tags == Tags::Never {
        return None;
    }
    let (name, inner) = datum.entries().next()?;
    let place = union.branches.iter().position(|branch| {
        let named = matches!(
            graph.node(*branch),
            Node::Record(_) | Node::Enum(_) | Node::Fixed(_) | Node::Duration(_)
        );
        let may = named || rules.tags == Tags::All;
        may && !matches!(graph.node(*branch), Node::Null) && graph.branch_name(*branch) == name
    })?;
    rank(graph, union.branches[place], inner, rules, scratch).map(|_| (place, inner))
}

/// Picks the branch that fits best; of equals the first. When none fits but only one is of the
/// value's family, picks that one, so that what is wrong inside it is named. Nothing is tried out:
/// nested unions would cost twice as much at each level.
pub(crate) fn choose<'a, D: Datum<'a>>(
    graph: &Graph,
    union: &Union,
    datum: D,
    rules: Rules,
    scratch: &mut Vec<u8>,
) -> Option<usize> {
    let mut best = None;
    for (place, branch) in union.branches.iter().enumerate() {
        match rank(graph, *branch, datum, rules, scratch) {
            Some(0) => return Some(place),
            Some(rank) if best.is_none_or(|(least, _)| rank < least) => best = Some((rank, place)),
            _ => {}
        }
    }
    if let Some((_, place)) = best {
        return Some(place);
    }
    let shape = datum.shape();
    let related = |branch: &NodeId| match (graph.node(*branch), shape) {
        (Node::Null, _) | (_, Shape::Null) => false,
        (Node::Record(_) | Node::Map(_), shape) => matches!(shape, Shape::Map(_)),
        (Node::Array(_), shape) => matches!(shape, Shape::Array(_)),
        (_, shape) => !matches!(shape, Shape::Map(_) | Shape::Array(_)),
    };
    let mut relatives = (0..union.branches.len()).filter(|at| related(&union.branches[*at]));
    relatives.next().filter(|_| relatives.next().is_none())
}

/// Tells how well a value fits a branch, the lower the better, or that it does not. For records only
/// the field names count: all that must be there are, and none besides if those are refused.
/// `scratch` is as it was afterwards.
fn rank<'a, D: Datum<'a>>(
    graph: &Graph,
    branch: NodeId,
    datum: D,
    rules: Rules,
    scratch: &mut Vec<u8>,
) -> Option<usize> {
    let shape = datum.shape();
    let node = graph.node(branch);
    Some(match (node, shape) {
        (Node::Null, Shape::Null) | (Node::Boolean, Shape::Bool(_)) => 0,
        (Node::Null | Node::Boolean, Shape::Bool(_) | Shape::Null) => return None,
        (Node::Int, Shape::Int(_)) | (Node::Long, Shape::Long(_)) => 0,
        (Node::Float, Shape::Float(_)) | (Node::Double, Shape::Double(_)) => 0,
        (Node::String, Shape::Str(_)) | (Node::Bytes, Shape::Bytes(_)) => 0,
        (Node::String, Shape::Blob(bytes)) => std::str::from_utf8(bytes).ok().map(|_| 0)?,
        (Node::Timestamp(_), Shape::Instant(_)) | (Node::Array(_), Shape::Array(_)) => 0,
        (Node::Map(_), Shape::Map(_)) => usize::MAX,
        (Node::Record(record), Shape::Map(given)) => {
            10 + unset(graph, record, datum, given, rules)?
        }
        (Node::Array(_) | Node::Map(_) | Node::Record(_), _) => return None,
        (Node::Union(union), _) => choose(graph, union, datum, rules, scratch).map(|_| 9)?,
        (Node::Float, Shape::Double(number)) if number.is_finite() => {
            (number as f32).is_finite().then_some(1)?
        }
        (node, shape) => {
            let rank = distance(node, shape)?;
            // What the encoder would refuse is not meant.
            let start = scratch.len();
            let fits = write::scalar(node, datum, rules, scratch).is_ok();
            scratch.truncate(start);
            fits.then_some(rank)?
        }
    })
}

/// Tells how far a type is from a value that it may still hold.
fn distance(node: &Node, shape: Shape<'_>) -> Option<usize> {
    let text = matches!(shape, Shape::Str(_) | Shape::Blob(_));
    let whole = matches!(shape, Shape::Int(_) | Shape::Long(_));
    Some(match node {
        Node::Enum(_) | Node::Uuid(_) if text => 1,
        Node::Int | Node::Long if whole || text => 1,
        Node::Date if matches!(shape, Shape::Instant(_)) => 1,
        Node::Double if whole || text => 2,
        Node::Float if whole || text => 3,
        Node::Double | Node::Float if matches!(shape, Shape::Float(_) | Shape::Double(_)) => 1,
        Node::Date | Node::Time(_) | Node::Timestamp(_) | Node::LocalTimestamp(_)
            if whole || text =>
        {
            3
        }
        Node::Duration(_) => 2,
        Node::Decimal(_) | Node::BigDecimal => 4,
        Node::Fixed(_) | Node::Uuid(_) if matches!(shape, Shape::Bytes(_)) => 1,
        Node::Bytes if text => 5,
        Node::String if matches!(shape, Shape::Bytes(_)) => 5,
        Node::Fixed(_) if text => 6,
        Node::Boolean if text => 7,
        _ => return None,
    })
}

/// Counts the fields that a map leaves to their defaults, and those that the record does not have,
/// if it fits the record.
fn unset<'a, D: Datum<'a>>(
    graph: &Graph,
    record: &Record,
    datum: D,
    given: usize,
    rules: Rules,
) -> Option<usize> {
    let mut unset = 0;
    for (place, field) in record.fields.iter().enumerate() {
        if find(datum, field, place, rules).is_none() {
            if field.default.is_none() && !graph.is_nullable(field.node) {
                return None;
            }
            unset += 1;
        }
    }
    let unknown = given.checked_sub(record.fields.len() - unset)?;
    (unknown == 0 || rules.unknown == Unknown::LeaveOut).then_some(unset + unknown)
}
