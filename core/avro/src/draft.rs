//! Types that are known when the program is compiled, written where a schema has decimals or UUIDs.
//!
//! serde_avro_fast rounds a decimal to its scale without a word, minds no precision, takes any text
//! for a UUID, and gives whole numbers whose highest bit is set the wrong sign. So such a schema is
//! written twice: first with a draft of it, in which a decimal may be a text, a whole number, a
//! double or bytes, then from that, with this crate's own rules. Schemas without them pay nothing.

use std::collections::HashMap;

use crate::bytes::{DecodeError, MAX_DEPTH, Reader, put_bytes, put_long};
use crate::misfit::Path;
use crate::node::{Node, NodeId, Union};
use crate::write::{self, Wrong};
use crate::{Graph, Rules, SchemaError, Value, fast, skip};

/// What a decimal was given as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Given {
    Text,
    Whole,
    Double,
    Bytes,
}

impl Given {
    pub(crate) const ALL: [Self; 4] = [Self::Text, Self::Whole, Self::Double, Self::Bytes];

    /// The type that it has in the draft.
    pub(crate) fn node(self) -> Node {
        match self {
            Self::Text => Node::String,
            Self::Whole => Node::Long,
            Self::Double => Node::Double,
            Self::Bytes => Node::Bytes,
        }
    }

    fn read(self, reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
        Ok(match self {
            Self::Text => reader.text()?.into(),
            Self::Whole => reader.long()?.into(),
            Self::Double => f64::from_le_bytes(reader.array()?).into(),
            Self::Bytes => reader.bytes()?.into(),
        })
    }
}

/// What a branch of a draft's union stands for: a branch of the schema's, and how a decimal came.
pub(crate) type Way = (usize, Option<Given>);

/// Holds the draft of a schema.
pub(crate) struct Draft {
    pub(crate) fast: serde_avro_fast::Schema,
    ways: HashMap<NodeId, Vec<Way>>,
    /// By node: whether it has a decimal or a UUID in it.
    checked: Vec<bool>,
}

impl Draft {
    /// Makes the draft of a schema; `None` when the schema needs none.
    pub(crate) fn new(graph: &Graph) -> Option<Result<Self, SchemaError>> {
        let checked = checked(graph);
        if !checked[graph.root] {
            return None;
        }
        let of_union = |union: &Union| ways(graph, union);
        let unions = graph.nodes.iter().enumerate().filter_map(|(id, node)| match node {
            Node::Union(union) => Some((id, of_union(union))),
            _ => None,
        });
        let ways: HashMap<_, _> = unions.collect();
        Some(fast::draft(graph, &ways).map(|fast| Self { fast, ways, checked }))
    }

    /// Writes from a datum of the draft the schema's own.
    pub(crate) fn finish(
        &self,
        graph: &Graph,
        draft: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let mut reader = Reader::new(draft);
        let mut copier = Copier { draft: self, graph, out };
        copier.node(graph.root, &mut reader, &Path::Root, MAX_DEPTH)
    }
}

/// Finds the nodes that have something to check in them.
fn checked(graph: &Graph) -> Vec<bool> {
    let mut checked: Vec<bool> = graph
        .nodes
        .iter()
        .map(|node| matches!(node, Node::Decimal(_) | Node::Uuid(None)))
        .collect();
    loop {
        let before = checked.clone();
        for (id, node) in graph.nodes.iter().enumerate() {
            checked[id] |= match node {
                Node::Array(inner) | Node::Map(inner) => checked[*inner],
                Node::Union(union) => union.branches.iter().any(|branch| checked[*branch]),
                Node::Record(record) => record.fields.iter().any(|field| checked[field.node]),
                _ => false,
            };
        }
        if checked == before {
            return checked;
        }
    }
}

/// Lays a union out for the draft: a decimal becomes what it may be given as, apart from what other
/// branches are anyway.
fn ways(graph: &Graph, union: &Union) -> Vec<Way> {
    let mut ways = Vec::new();
    for (place, branch) in union.branches.iter().enumerate() {
        if !matches!(graph.node(*branch), Node::Decimal(_)) {
            ways.push((place, None));
            continue;
        }
        let free = |given: &Given| {
            let kind = std::mem::discriminant(&given.node());
            let mut others = union.branches.iter();
            !others.any(|other| std::mem::discriminant(graph.node(*other)) == kind)
        };
        ways.extend(Given::ALL.into_iter().filter(free).map(|given| (place, Some(given))));
    }
    ways
}

struct Copier<'c> {
    draft: &'c Draft,
    graph: &'c Graph,
    out: &'c mut Vec<u8>,
}

impl Copier<'_> {
    fn node(
        &mut self,
        node: NodeId,
        reader: &mut Reader<'_>,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), String> {
        let graph = self.graph;
        if !self.draft.checked[node] {
            let rest = reader.rest();
            let start = reader.at();
            skip(graph, node, reader).map_err(|error| error.to_string())?;
            self.out.extend_from_slice(&rest[..reader.at() - start]);
            return Ok(());
        }
        let depth = depth.checked_sub(1).ok_or("nested too deeply")?;
        let wrong = |error: DecodeError| error.to_string();
        match graph.node(node) {
            Node::Decimal(_) => {
                let given = *reader.variant(&Given::ALL).map_err(wrong)?;
                self.scalar(node, &given.read(reader).map_err(wrong)?, path)
            }
            Node::Uuid(_) => {
                let text = Given::Text.read(reader).map_err(wrong)?;
                self.scalar(node, &text, path)
            }
            Node::Union(union) => {
                let (place, given) = *reader.variant(&self.draft.ways[&node]).map_err(wrong)?;
                put_long(place as i64, self.out);
                let branch = union.branches[place];
                match given {
                    Some(given) => self.scalar(branch, &given.read(reader).map_err(wrong)?, path),
                    None => self.node(branch, reader, path, depth),
                }
            }
            Node::Record(record) => record.fields.iter().try_for_each(|field| {
                self.node(field.node, reader, &Path::Field(path, &field.name), depth)
            }),
            Node::Array(inner) | Node::Map(inner) => {
                let keyed = matches!(graph.node(node), Node::Map(_));
                self.blocks(*inner, keyed, reader, path, depth)
            }
            _ => Err("a type that has nothing to check".into()),
        }
    }

    fn blocks(
        &mut self,
        inner: NodeId,
        keyed: bool,
        reader: &mut Reader<'_>,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), String> {
        let mut index = 0;
        loop {
            let (count, _) = reader.block().map_err(|error| error.to_string())?;
            put_long(count as i64, self.out);
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                if keyed {
                    let key = reader.text().map_err(|error| error.to_string())?;
                    put_bytes(key.as_bytes(), self.out);
                    self.node(inner, reader, &Path::Field(path, key), depth)?;
                } else {
                    self.node(inner, reader, &Path::Item(path, index), depth)?;
                }
                index += 1;
            }
        }
    }

    fn scalar(&mut self, node: NodeId, value: &Value, path: &Path<'_>) -> Result<(), String> {
        let written = write::scalar(self.graph.node(node), value, Rules::JSON, self.out);
        written.map_err(|wrong| {
            let reason = match wrong {
                Wrong::Because(why) => why,
                Wrong::Type => {
                    let shown = crate::fit::shown(crate::Datum::shape(value));
                    format!("{} is wanted, not {shown}", self.graph.describe(node))
                }
            };
            path.misfit(reason).to_string()
        })
    }
}
