//! Unions whose branches plain JSON does not tell apart.

use std::collections::HashSet;

use crate::Graph;
use crate::node::{Node, NodeId};

/// What a branch looks like in JSON.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum Form {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

/// Marks the unions whose JSON has to name the branch, so that what is printed is read as what it
/// was: two branches look alike, or an entry of a map could be taken for a branch's name.
pub(crate) fn mark(graph: &mut Graph) {
    for id in 0..graph.nodes.len() {
        let Node::Union(union) = &graph.nodes[id] else { continue };
        let tagged = is_ambiguous(graph, &union.branches);
        if let Node::Union(union) = &mut graph.nodes[id] {
            union.tagged = tagged;
        }
    }
}

fn is_ambiguous(graph: &Graph, branches: &[NodeId]) -> bool {
    let mut seen = HashSet::new();
    let distinct = branches.iter().all(|branch| seen.insert(form(graph.node(*branch))));
    !distinct || branches.iter().any(|branch| may_look_named(graph, *branch, branches))
}

fn form(node: &Node) -> Form {
    match node {
        Node::Null => Form::Null,
        Node::Boolean => Form::Boolean,
        Node::Int | Node::Long | Node::Float | Node::Double => Form::Number,
        Node::Array(_) => Form::Array,
        Node::Map(_) | Node::Record(_) | Node::Duration(_) => Form::Object,
        _ => Form::Text,
    }
}

/// Tells whether a branch's plain JSON may be an object with the name of a branch as its one entry.
fn may_look_named(graph: &Graph, branch: NodeId, branches: &[NodeId]) -> bool {
    let named = |name: &str| branches.iter().any(|b| graph.branch_name(*b) == name);
    match graph.node(branch) {
        Node::Map(values) => branches.len() > 2 || may_be_object(graph, *values),
        Node::Record(record) => record.fields.len() == 1 && named(&record.fields[0].name),
        _ => false,
    }
}

fn may_be_object(graph: &Graph, node: NodeId) -> bool {
    match graph.node(node) {
        Node::Union(union) => union.branches.iter().any(|b| form(graph.node(*b)) == Form::Object),
        node => form(node) == Form::Object,
    }
}
