//! Reads a schema's JSON into a graph.
//!
//! It follows the Avro 1.12 specification, "Schema Declaration", and takes what registries and other
//! clients take: a default that does not fit its type (an error only where it is needed), namespaces
//! with any characters, names that are used before they are defined, a named type that is defined
//! twice alike, and logical types that do not fit their type (which are then ignored, as the
//! specification has it).

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

use crate::node::{Enum, Field, Node, NodeId, Record, Union};
use crate::{Graph, SchemaError, logical, union};

/// Deepest nesting of a schema's JSON; serde_json stops at 128 too.
const MAX_DEPTH: usize = 128;

/// Reads a schema whose named types may be defined in `references`.
pub(crate) fn graph(text: &str, references: &[String]) -> Result<Graph, SchemaError> {
    let root: Json = serde_json::from_str(text).map_err(SchemaError::new)?;
    let others: Vec<Json> = references
        .iter()
        .map(|text| serde_json::from_str(text).map_err(SchemaError::new))
        .collect::<Result<_, _>>()?;
    let mut definitions = Definitions::default();
    for document in others.iter().chain([&root]) {
        definitions.collect(document, "")?;
    }
    let mut builder = Builder { definitions: definitions.0, ..Builder::default() };
    let root = builder.node(&root, "")?;
    let decimal = |node: &Node| matches!(node, Node::Decimal(_) | Node::BigDecimal);
    let has_decimal = builder.nodes.iter().any(decimal);
    let mut graph = Graph { nodes: builder.nodes, root, has_decimal };
    union::mark(&mut graph);
    graph.encode_defaults();
    Ok(graph)
}

/// Where each named type is defined, by its full name.
#[derive(Default)]
struct Definitions<'j>(HashMap<String, Definition<'j>>);

#[derive(Clone)]
struct Definition<'j> {
    json: &'j Map<String, Json>,
    /// The namespace that the definition gives to what is inside it.
    namespace: String,
}

impl<'j> Definitions<'j> {
    fn collect(&mut self, json: &'j Json, namespace: &str) -> Result<(), SchemaError> {
        match json {
            Json::Array(branches) => branches.iter().try_for_each(|b| self.collect(b, namespace)),
            Json::Object(object) => self.collect_object(object, namespace),
            _ => Ok(()),
        }
    }

    fn collect_object(
        &mut self,
        object: &'j Map<String, Json>,
        namespace: &str,
    ) -> Result<(), SchemaError> {
        let kind = object.get("type").and_then(Json::as_str).unwrap_or_default();
        let mut inner = namespace.to_owned();
        if let "record" | "error" | "enum" | "fixed" = kind {
            let (name, own) = full_name(object, namespace)?;
            inner.clone_from(&own);
            let definition = Definition { json: object, namespace: own };
            if let Some(known) = self.0.get(&name) {
                if !alike(known.json, object) {
                    return Err(SchemaError::new(format!(
                        "the type `{name}` is defined twice, differently"
                    )));
                }
                return Ok(());
            }
            self.0.insert(name, definition);
        }
        for part in ["items", "values", "type"] {
            if let Some(json @ (Json::Object(_) | Json::Array(_))) = object.get(part) {
                self.collect(json, &inner)?;
            }
        }
        let fields = object.get("fields").and_then(Json::as_array).into_iter().flatten();
        for field in fields {
            if let Some(json) = field.get("type") {
                self.collect(json, &inner)?;
            }
        }
        Ok(())
    }
}

/// Compares two definitions of one name; what is only said about them may differ.
fn alike(one: &Map<String, Json>, other: &Map<String, Json>) -> bool {
    fn without_docs(json: &Json) -> Json {
        match json {
            Json::Object(object) => {
                let kept = object.iter().filter(|(name, _)| *name != "doc" && *name != "namespace");
                Json::Object(kept.map(|(name, json)| (name.clone(), without_docs(json))).collect())
            }
            Json::Array(items) => Json::Array(items.iter().map(without_docs).collect()),
            other => other.clone(),
        }
    }
    let unnamed = |object: &Map<String, Json>| {
        // The full names are equal, however they are spelled.
        let parts = object.iter().filter(|(name, _)| *name != "name").map(|(n, j)| (n.clone(), j));
        without_docs(&Json::Object(parts.map(|(name, json)| (name, json.clone())).collect()))
    };
    unnamed(one) == unnamed(other)
}

#[derive(Default)]
struct Builder<'j> {
    definitions: HashMap<String, Definition<'j>>,
    names: HashMap<String, NodeId>,
    nodes: Vec<Node>,
    depth: usize,
}

impl<'j> Builder<'j> {
    fn node(&mut self, json: &'j Json, namespace: &str) -> Result<NodeId, SchemaError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SchemaError::new(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let made = match json {
            Json::String(name) => self.named(name, namespace),
            Json::Array(branches) => self.union(branches, namespace),
            Json::Object(object) => self.object(object, namespace),
            other => Err(SchemaError::new(format!("{other} is no type"))),
        };
        self.depth -= 1;
        made
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// A primitive type, or a type that is defined somewhere.
    fn named(&mut self, name: &str, namespace: &str) -> Result<NodeId, SchemaError> {
        if let Some(node) = primitive(name) {
            return Ok(self.push(node));
        }
        let full = qualified(name, namespace);
        // A name without a namespace may also be that of a type without one.
        for name in [full.as_str(), name] {
            if let Some(id) = self.names.get(name) {
                return Ok(*id);
            }
            if let Some(definition) = self.definitions.get(name).cloned() {
                return self.define(name, &definition);
            }
        }
        let why = format!("`{full}` is no type, and nothing defines it");
        Err(SchemaError::new(why).missing())
    }

    fn union(&mut self, branches: &'j [Json], namespace: &str) -> Result<NodeId, SchemaError> {
        let id = self.push(Node::Null);
        let branches: Vec<NodeId> =
            branches.iter().map(|b| self.node(b, namespace)).collect::<Result<_, _>>()?;
        self.nodes[id] = Node::Union(Union { branches, tagged: false });
        Ok(id)
    }

    fn object(
        &mut self,
        object: &'j Map<String, Json>,
        namespace: &str,
    ) -> Result<NodeId, SchemaError> {
        let name = match object.get("type") {
            Some(Json::String(name)) => name,
            Some(inner) => return self.node(inner, namespace),
            None => return Err(SchemaError::new("an object without a \"type\" is no type")),
        };
        match name.as_str() {
            "record" | "error" | "enum" | "fixed" => {
                let (name, own) = full_name(object, namespace)?;
                match self.names.get(&name) {
                    Some(id) => Ok(*id),
                    None => self.define(&name, &Definition { json: object, namespace: own }),
                }
            }
            "array" | "map" => {
                let id = self.push(Node::Null);
                let part = if name == "array" { "items" } else { "values" };
                let inner = wanted(object, part, name)?;
                let inner = self.node(inner, namespace)?;
                let array = name == "array";
                self.nodes[id] = if array { Node::Array(inner) } else { Node::Map(inner) };
                Ok(id)
            }
            _ => {
                let id = self.named(name, namespace)?;
                if primitive(name).is_some() {
                    let node = std::mem::replace(&mut self.nodes[id], Node::Null);
                    self.nodes[id] = logical::apply(object, node);
                }
                Ok(id)
            }
        }
    }

    fn define(&mut self, name: &str, definition: &Definition<'j>) -> Result<NodeId, SchemaError> {
        let json = definition.json;
        // The place is taken first, so that a field can refer to the record that it is in.
        let id = self.push(Node::Null);
        self.names.insert(name.to_owned(), id);
        let node = match json.get("type").and_then(Json::as_str) {
            Some("enum") => enumeration(name, json)?,
            Some("fixed") => logical::apply(json, fixed(name, json)?),
            _ => self.record(name, definition)?,
        };
        self.nodes[id] = node;
        Ok(id)
    }

    fn record(&mut self, name: &str, definition: &Definition<'j>) -> Result<Node, SchemaError> {
        let listed = wanted(definition.json, "fields", name)?;
        let listed = listed.as_array().ok_or_else(|| {
            SchemaError::new(format!("the \"fields\" of record `{name}` are no list"))
        })?;
        let mut fields = Vec::with_capacity(listed.len());
        let mut seen = HashSet::new();
        for json in listed {
            let field = self.field(name, json, &definition.namespace)?;
            if !seen.insert(field.name.clone()) {
                let text = format!("record `{name}` has two fields `{}`", field.name);
                return Err(SchemaError::new(text));
            }
            fields.push(field);
        }
        let aliases = aliases(definition.json);
        Ok(Node::Record(Record { name: name.to_owned(), aliases, fields }))
    }

    fn field(
        &mut self,
        record: &str,
        json: &'j Json,
        namespace: &str,
    ) -> Result<Field, SchemaError> {
        let Json::Object(object) = json else {
            return Err(SchemaError::new(format!("record `{record}`: {json} is no field")));
        };
        let name = object.get("name").and_then(Json::as_str).unwrap_or_default();
        check_name(name, &format!("a field of record `{record}`"))?;
        let within = |error: SchemaError| error.within(format!("field `{name}` of `{record}`"));
        let kind = wanted(object, "type", name).map_err(within)?;
        let node = self.node(kind, namespace).map_err(within)?;
        let default = object.get("default").cloned();
        let (name, aliases) = (name.to_owned(), aliases(object));
        Ok(Field { name, aliases, node, default, encoded: None })
    }
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::String,
        _ => return None,
    })
}

fn enumeration(name: &str, json: &Map<String, Json>) -> Result<Node, SchemaError> {
    let listed = wanted(json, "symbols", name)?.as_array().into_iter().flatten();
    let mut symbols = Vec::new();
    for symbol in listed {
        let symbol = symbol.as_str().unwrap_or_default();
        check_name(symbol, &format!("a symbol of enum `{name}`"))?;
        if symbols.iter().any(|known| known == symbol) {
            return Err(SchemaError::new(format!("enum `{name}` has two symbols `{symbol}`")));
        }
        symbols.push(symbol.to_owned());
    }
    let default = json.get("default").and_then(Json::as_str);
    // One that is no symbol could be of no use: it is as if it were not there.
    let default = default.filter(|default| symbols.iter().any(|symbol| symbol == default));
    let (default, aliases) = (default.map(Into::into), aliases(json));
    Ok(Node::Enum(Enum { name: name.to_owned(), aliases, symbols, default }))
}

fn fixed(name: &str, json: &Map<String, Json>) -> Result<Node, SchemaError> {
    let size = wanted(json, "size", name)?.as_u64().and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or_else(|| SchemaError::new(format!("fixed `{name}` has no valid size")))?;
    Ok(Node::Fixed(crate::node::Fixed { name: name.to_owned(), size }))
}

fn wanted<'j>(
    object: &'j Map<String, Json>,
    part: &str,
    of: &str,
) -> Result<&'j Json, SchemaError> {
    object.get(part).ok_or_else(|| SchemaError::new(format!("`{of}` has no \"{part}\"")))
}

/// Gives a definition's full name, and the namespace of the names inside it.
fn full_name(object: &Map<String, Json>, namespace: &str) -> Result<(String, String), SchemaError> {
    let name = object.get("name").and_then(Json::as_str).unwrap_or_default();
    let own = object.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
    let (own, short) = name.rsplit_once('.').unwrap_or((own, name));
    let kind = object.get("type").and_then(Json::as_str).unwrap_or_default();
    check_name(short, &format!("the name of a type ({kind})"))?;
    Ok((qualified(short, own), own.to_owned()))
}

fn qualified(name: &str, namespace: &str) -> String {
    match name.rsplit_once('.') {
        Some(("", name)) => name.to_owned(),
        Some(_) => name.to_owned(),
        None if namespace.is_empty() => name.to_owned(),
        None => format!("{namespace}.{name}"),
    }
}

fn aliases(object: &Map<String, Json>) -> Vec<String> {
    let listed = object.get("aliases").and_then(Json::as_array).into_iter().flatten();
    listed.filter_map(Json::as_str).map(Into::into).collect()
}

/// Avro specification, "Names": letters, digits and `_`, no digit first.
fn check_name(name: &str, what: &str) -> Result<(), SchemaError> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(());
    }
    let text = format!("{what} is {name:?}; letters, digits and _ are allowed, no digit first");
    Err(SchemaError::new(text))
}
