//! Schemas as types of the mapping language, for the check at start-up.

use vrl::value::Kind;
use vrl::value::kind::{Collection, Field as KindField, Index};

use nubium_avro::{Graph, Node, NodeId};

use super::document;

/// Gives the type that a decoded value of `node` has.
pub fn of(schema: &Graph, node: NodeId) -> Kind {
    kind(schema, node, Side::Decoded, &mut Vec::new())
}

/// Gives the type that a value needs to be encoded as `node`: wider than [`of`], as the encoder
/// converts some.
pub fn accepted(schema: &Graph, node: NodeId) -> Kind {
    kind(schema, node, Side::Accepted, &mut Vec::new())
}

/// Says why no value of type `given` can be encoded as `node`; `None` when some can.
///
/// Only what is sure to fail is reported: a field that is a string on one path of the program and
/// null on another may be right for every message that comes.
pub fn conflict(schema: &Graph, node: NodeId, given: &Kind) -> Option<String> {
    if given.is_any() {
        return None;
    }
    if !accepted(schema, node).intersects(given) {
        let wanted = schema.describe(node);
        return Some(format!("the schema wants {wanted}, the program gives {given}"));
    }
    if let Node::Json(Some(form)) = schema.node(node) {
        return document::missing(form.shape(), given);
    }
    let Node::Record(record) = schema.node(node) else {
        return None;
    };
    given.as_object()?;
    record.fields.iter().find_map(|field| {
        let given = given.at_path(&vrl::path::OwnedValuePath::single_field(&field.name));
        let absent = given.is_undefined() || given.is_null();
        if absent && (field.default.is_some() || schema.is_nullable(field.node)) {
            return None;
        }
        if given.is_undefined() {
            return Some(format!("`{}` has no default and nothing assigns it", field.name));
        }
        let why = conflict(schema, field.node, &given)?;
        Some(format!("`{}`: {why}", field.name))
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Decoded,
    Accepted,
}

fn kind(schema: &Graph, node: NodeId, side: Side, open: &mut Vec<NodeId>) -> Kind {
    let accepts = side == Side::Accepted;
    match schema.node(node) {
        Node::Json(form) => form.map_or_else(Kind::any, |form| document::of(form.shape(), accepts)),
        Node::Null => Kind::null(),
        Node::Boolean => Kind::boolean(),
        Node::Int | Node::Long | Node::Time(_) | Node::LocalTimestamp(_) => Kind::integer(),
        Node::Float | Node::Double if accepts => Kind::float().or_integer(),
        Node::Float | Node::Double => Kind::float(),
        Node::Decimal(_) | Node::BigDecimal if accepts => Kind::bytes().or_integer().or_float(),
        Node::Bytes
        | Node::String
        | Node::Fixed(_)
        | Node::Enum(_)
        | Node::Uuid(_)
        | Node::Decimal(_)
        | Node::BigDecimal => Kind::bytes(),
        Node::Duration(_) if accepts => Kind::any_object().or_bytes(),
        Node::Duration(_) => {
            let parts = ["months", "days", "milliseconds"];
            let known = parts.into_iter().map(|part| (KindField::from(part), Kind::integer()));
            let known = known.collect::<std::collections::BTreeMap<_, _>>();
            Kind::object(Collection::from_parts(known, Kind::undefined()))
        }
        Node::Date | Node::Timestamp(_) if accepts => Kind::timestamp().or_integer(),
        Node::Date | Node::Timestamp(_) => Kind::timestamp(),
        Node::Array(items) => {
            Kind::array(Collection::<Index>::from_unknown(kind(schema, *items, side, open)))
        }
        Node::Map(values) => {
            Kind::object(Collection::<KindField>::from_unknown(kind(schema, *values, side, open)))
        }
        Node::Union(union) => union
            .branches
            .iter()
            .map(|variant| kind(schema, *variant, side, open))
            .fold(Kind::never(), |all, one| all.union(one)),
        // Fields are compared one by one, so that the message can name them.
        Node::Record(_) if accepts => Kind::any_object(),
        // A type that contains itself has no finite kind: the inner one is anything.
        Node::Record(_) if open.contains(&node) => Kind::any(),
        Node::Record(record) => {
            open.push(node);
            let fields = record.fields.iter();
            let known = fields.map(|field| {
                (KindField::from(field.name.as_str()), kind(schema, field.node, side, open))
            });
            let known = known.collect::<std::collections::BTreeMap<_, _>>();
            open.pop();
            Kind::object(Collection::from_parts(known, Kind::undefined()))
        }
    }
}
