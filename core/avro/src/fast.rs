//! The graph as serde_avro_fast wants it, for types that are known when the program is compiled.

use std::collections::HashMap;

use serde_avro_fast::schema as fast;
use serde_avro_fast::schema::{LogicalType, Name, RegularType, SchemaKey, SchemaMut, SchemaNode};

use crate::draft::{Given, Way};
use crate::node::{Decimal, Node, Unit};
use crate::{Graph, SchemaError};

/// serde_avro_fast holds decimals in 16 bytes and 28 digits; larger ones stay bytes to it.
const MOST_BYTES: usize = 16;
const MOST_SCALE: usize = 28;

/// Puts the root first, where serde_avro_fast begins; ours may lie elsewhere when the whole schema is
/// a reference.
fn swapped(graph: &Graph, id: usize) -> usize {
    match id {
        0 => graph.root,
        id if id == graph.root => 0,
        id => id,
    }
}

pub(crate) fn schema(graph: &Graph) -> Result<serde_avro_fast::Schema, SchemaError> {
    let swap = |id: usize| swapped(graph, id);
    let nodes = (0..graph.nodes.len()).map(|id| node(graph.node(swap(id)), &swap)).collect();
    SchemaMut::from_nodes(nodes).freeze().map_err(SchemaError::new)
}

/// Makes the draft of a schema: decimals as unions of what they may be given as.
pub(crate) fn draft(
    graph: &Graph,
    ways: &HashMap<usize, Vec<Way>>,
) -> Result<serde_avro_fast::Schema, SchemaError> {
    let swap = |id: usize| swapped(graph, id);
    let given = |given: Given| {
        let place = Given::ALL.iter().position(|one| *one == given).unwrap_or(0);
        SchemaKey::from_idx(graph.nodes.len() + place)
    };
    let union = |variants: Vec<SchemaKey>| SchemaNode::from(fast::Union::new(variants));
    let drafted = |id: usize| match graph.node(id) {
        Node::Decimal(_) => union(Given::ALL.into_iter().map(given).collect()),
        Node::Union(of) => {
            let way = |(place, as_given): &Way| match as_given {
                Some(one) => given(*one),
                None => SchemaKey::from_idx(swap(of.branches[*place])),
            };
            union(ways[&id].iter().map(way).collect())
        }
        other => node(other, &swap),
    };
    let nodes = (0..graph.nodes.len()).map(|id| drafted(swap(id)));
    let given = Given::ALL.into_iter().map(|given| node(&given.node(), &swap));
    SchemaMut::from_nodes(nodes.chain(given).collect()).freeze().map_err(SchemaError::new)
}

fn node(node: &Node, swap: &impl Fn(usize) -> usize) -> SchemaNode {
    let key = |id: usize| SchemaKey::from_idx(swap(id));
    let with = SchemaNode::with_logical_type;
    match node {
        Node::Null => RegularType::Null.into(),
        Node::Boolean => RegularType::Boolean.into(),
        Node::Int => RegularType::Int.into(),
        Node::Long | Node::LocalTimestamp(_) | Node::Timestamp(Unit::Nanos) => {
            RegularType::Long.into()
        }
        Node::Float => RegularType::Float.into(),
        Node::Double => RegularType::Double.into(),
        Node::Bytes => RegularType::Bytes.into(),
        Node::String | Node::Json(_) => RegularType::String.into(),
        Node::Fixed(fixed) | Node::Uuid(Some(fixed)) => named(fixed).into(),
        Node::Enum(symbols) => fast::Enum::new(name(&symbols.name), symbols.symbols.clone()).into(),
        Node::Array(items) => fast::Array::new(key(*items)).into(),
        Node::Map(values) => fast::Map::new(key(*values)).into(),
        Node::Union(union) => {
            fast::Union::new(union.branches.iter().map(|id| key(*id)).collect()).into()
        }
        Node::Record(record) => {
            let field = |f: &crate::Field| fast::RecordField::new(f.name.clone(), key(f.node));
            let fields = record.fields.iter().map(field).collect();
            fast::Record::new(name(&record.name), fields).into()
        }
        Node::Date => with(RegularType::Int, LogicalType::Date),
        Node::Time(Unit::Millis) => with(RegularType::Int, LogicalType::TimeMillis),
        Node::Time(_) => with(RegularType::Long, LogicalType::TimeMicros),
        Node::Timestamp(Unit::Millis) => with(RegularType::Long, LogicalType::TimestampMillis),
        Node::Timestamp(_) => with(RegularType::Long, LogicalType::TimestampMicros),
        Node::Decimal(decimal) => self::decimal(decimal),
        Node::BigDecimal => with(RegularType::Bytes, LogicalType::BigDecimal),
        Node::Uuid(None) => with(RegularType::String, LogicalType::Uuid),
        Node::Duration(fixed) => with(named(fixed).into(), LogicalType::Duration),
    }
}

fn decimal(decimal: &Decimal) -> SchemaNode {
    let size = decimal.fixed.as_ref().map_or(0, |fixed| fixed.size);
    let regular: RegularType = match &decimal.fixed {
        Some(fixed) => named(fixed).into(),
        None => RegularType::Bytes,
    };
    let scale = u32::try_from(decimal.scale).ok().filter(|_| decimal.scale <= MOST_SCALE);
    match scale {
        Some(scale) if size <= MOST_BYTES => {
            let logical = LogicalType::Decimal(fast::Decimal::new(scale, decimal.precision));
            SchemaNode::with_logical_type(regular, logical)
        }
        _ => regular.into(),
    }
}

fn named(fixed: &crate::Fixed) -> fast::Fixed {
    fast::Fixed::new(name(&fixed.name), fixed.size)
}

fn name(full: &str) -> Name {
    Name::from_fully_qualified_name(full)
}
