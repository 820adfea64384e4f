//! A schema as a flat list of nodes; a type that contains itself is a cycle of ids.

use std::collections::HashSet;

use crate::node::{Node, NodeId, Record};
use crate::{Rules, fit};

/// Holds the nodes of a schema.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    /// Whether there are decimals, of which JSON's numbers lose digits.
    pub(crate) has_decimal: bool,
}

impl Graph {
    pub(crate) fn of_document(form: Option<crate::Formed>) -> Self {
        Self { nodes: vec![Node::Json(form)], root: 0, has_decimal: false }
    }

    /// Gives the node of the whole datum.
    #[must_use]
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// Gives a node by its id.
    #[must_use]
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// Tells whether there are decimals in it, for which [`Exact`](crate::json::Exact) is worth its
    /// price.
    #[must_use]
    pub fn has_decimal(&self) -> bool {
        self.has_decimal
    }

    /// Gives the record that the whole datum is, if it is one.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        match self.node(self.root) {
            Node::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Names a type as Avro's JSON encoding does in a union: the full name, or the type's.
    #[must_use]
    pub fn branch_name(&self, id: NodeId) -> &str {
        match self.node(id) {
            Node::Json(_) => "json",
            Node::Null => "null",
            Node::Boolean => "boolean",
            Node::Int | Node::Date | Node::Time(crate::Unit::Millis) => "int",
            Node::Long | Node::Time(_) | Node::Timestamp(_) | Node::LocalTimestamp(_) => "long",
            Node::Float => "float",
            Node::Double => "double",
            Node::Bytes | Node::BigDecimal => "bytes",
            Node::String | Node::Uuid(None) => "string",
            Node::Array(_) => "array",
            Node::Map(_) => "map",
            Node::Union(_) => "union",
            Node::Fixed(fixed) | Node::Duration(fixed) | Node::Uuid(Some(fixed)) => &fixed.name,
            Node::Decimal(decimal) => decimal.fixed.as_ref().map_or("bytes", |f| &f.name),
            Node::Enum(symbols) => &symbols.name,
            Node::Record(record) => &record.name,
        }
    }

    /// Names a type for people, as its schema does.
    #[must_use]
    pub fn describe(&self, id: NodeId) -> String {
        match self.node(id) {
            Node::Fixed(fixed) => format!("fixed of {} bytes", fixed.size),
            Node::Enum(symbols) => format!("one of {}", symbols.symbols.join(", ")),
            Node::Union(union) => {
                let names: Vec<_> = union.branches.iter().map(|id| self.describe(*id)).collect();
                names.join(" or ")
            }
            Node::Record(record) => format!("record {}", record.name),
            Node::Date => "date".into(),
            Node::Time(_) => "time of day".into(),
            Node::Timestamp(_) => "timestamp".into(),
            Node::LocalTimestamp(_) => "local timestamp".into(),
            Node::Decimal(decimal) => format!(
                "decimal of {} digits, {} of them after the point",
                decimal.precision, decimal.scale
            ),
            Node::BigDecimal => "big-decimal".into(),
            Node::Uuid(_) => "uuid".into(),
            Node::Duration(_) => "duration".into(),
            _ => self.branch_name(id).into(),
        }
    }

    /// Tells whether null fits the type.
    #[must_use]
    pub fn is_nullable(&self, id: NodeId) -> bool {
        match self.node(id) {
            Node::Null | Node::Json(None) => true,
            Node::Union(union) => union.branches.iter().any(|branch| self.is_nullable(*branch)),
            _ => false,
        }
    }

    /// Tells whether the bytes of `node` are those of `other_node` for every value, so that they
    /// can be copied.
    #[must_use]
    pub fn same(&self, node: NodeId, other: &Self, other_node: NodeId) -> bool {
        self.same_within(node, other, other_node, &mut HashSet::new())
    }

    fn same_within(
        &self,
        node: NodeId,
        other: &Self,
        other_node: NodeId,
        assumed: &mut HashSet<(NodeId, NodeId)>,
    ) -> bool {
        if !assumed.insert((node, other_node)) {
            return true;
        }
        let mut same = |a: NodeId, b: NodeId| self.same_within(a, other, b, assumed);
        match (self.node(node), other.node(other_node)) {
            (Node::Fixed(a), Node::Fixed(b)) | (Node::Uuid(Some(a)), Node::Uuid(Some(b))) => {
                a.size == b.size
            }
            (Node::Duration(_), Node::Duration(_)) => true,
            (Node::Decimal(a), Node::Decimal(b)) => {
                let size = |fixed: &Option<crate::Fixed>| fixed.as_ref().map(|f| f.size);
                a.scale == b.scale && a.precision == b.precision && size(&a.fixed) == size(&b.fixed)
            }
            (Node::Enum(a), Node::Enum(b)) => a.symbols == b.symbols,
            (Node::Array(a), Node::Array(b)) | (Node::Map(a), Node::Map(b)) => same(*a, *b),
            (Node::Union(a), Node::Union(b)) => {
                a.branches.len() == b.branches.len()
                    && a.branches.iter().zip(&b.branches).all(|(a, b)| same(*a, *b))
            }
            (Node::Record(a), Node::Record(b)) => {
                a.fields.len() == b.fields.len()
                    && a.fields
                        .iter()
                        .zip(&b.fields)
                        .all(|(a, b)| a.name == b.name && same(a.node, b.node))
            }
            (a, b) => a == b,
        }
    }

    /// Works out what stands for a field that is not there.
    pub(crate) fn encode_defaults(&mut self) {
        let mut made = Vec::new();
        for (id, node) in self.nodes.iter().enumerate() {
            let Node::Record(record) = node else { continue };
            for (place, field) in record.fields.iter().enumerate() {
                let Some(json) = &field.default else { continue };
                let mut bytes = Vec::new();
                let encoded = fit::encode(self, field.node, json, Rules::DEFAULT, &mut bytes);
                let encoded = encoded.map(|()| bytes.into_boxed_slice());
                made.push((id, place, encoded.map_err(|misfit| misfit.to_string())));
            }
        }
        for (id, place, encoded) in made {
            if let Node::Record(record) = &mut self.nodes[id] {
                record.fields[place].encoded = Some(encoded);
            }
        }
    }

    /// Says which default does not fit its type. Registries take such a schema, and data of it can
    /// be read; it fails only where that default would be needed.
    ///
    /// # Errors
    /// There is one.
    pub fn check_defaults(&self) -> Result<(), crate::SchemaError> {
        for node in &self.nodes {
            let Node::Record(record) = node else { continue };
            for field in &record.fields {
                if let Some(Err(why)) = &field.encoded {
                    return Err(crate::SchemaError::new(format!(
                        "the default of {}.{} does not fit its type: {why}",
                        record.name, field.name
                    )));
                }
            }
        }
        Ok(())
    }
}
