//! Holds a schema as a graph with everything that serde does not see: names, defaults, aliases.
//!
//! apache-avro parses and checks the text; the graph is flat, so recursive schemas need no care.

use std::collections::HashMap;
use std::fmt;

use apache_avro::Schema as Avro;
use apache_avro::schema::{Aliases, Name, RecordSchema, UuidSchema};

use super::schema::SchemaError;
use super::value::{Fields, Value};

/// Indexes a node of a [`Tree`].
pub(super) type NodeId = usize;

#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Node {
    /// The name by which serde_avro_fast knows this type inside a union.
    pub(super) tag: String,
    pub(super) kind: Kind,
}

/// Names a type by how its data is written. Logical types that do not change that are left out.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Record(Record),
    Enum(Symbols),
    Fixed { size: usize },
    Decimal { scale: usize },
    BigDecimal,
    Duration,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) names: Names,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) node: NodeId,
    pub(super) default: Option<Value>,
}

#[derive(Debug)]
pub(super) struct Symbols {
    pub(super) names: Names,
    pub(super) symbols: Vec<String>,
    pub(super) default: Option<String>,
}

/// Holds the unqualified name and aliases of a record or enum.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
}

impl Names {
    fn new(name: &Name, aliases: &Aliases) -> Self {
        let aliases = aliases.iter().flatten().map(|alias| alias.name().into()).collect();
        Self { name: name.name().into(), aliases }
    }

    /// Tells whether data written under `writer` may be read under this name; Avro specification,
    /// "Schema Resolution": unqualified names match, or one of the reader's aliases does.
    pub(super) fn reads(&self, writer: &Self) -> bool {
        self.name == writer.name || self.aliases.contains(&writer.name)
    }
}

impl Tree {
    /// The node of the whole datum.
    pub(super) const ROOT: NodeId = 0;

    /// Parses a schema whose named types may be defined in `references`.
    pub(super) fn parse(text: &str, references: &[String]) -> Result<Self, SchemaError> {
        let (root, others) =
            Avro::parse_str_with_list(text, references).map_err(SchemaError::new)?;
        let mut builder = Builder::default();
        for schema in others.iter().chain([&root]) {
            builder.define(schema);
        }
        builder.add(&root)?;
        let mut tree = Self { nodes: builder.nodes };
        for (record, index, json) in builder.defaults {
            tree.set_default(record, index, &json)?;
        }
        Ok(tree)
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn kind(&self, id: NodeId) -> &Kind {
        &self.nodes[id].kind
    }

    /// Names a type for error messages.
    pub(super) fn describe(&self, id: NodeId) -> impl fmt::Display {
        match self.kind(id) {
            Kind::Union(branches) => {
                let tags: Vec<&str> = branches.iter().map(|b| self.node(*b).tag.as_str()).collect();
                format!("one of {}", tags.join(", "))
            }
            Kind::Record(_) => format!("record {}", self.node(id).tag),
            Kind::Enum(symbols) => {
                format!("enum {} ({})", self.node(id).tag, symbols.symbols.join(", "))
            }
            Kind::Fixed { size } => format!("fixed {} of {size} bytes", self.node(id).tag),
            _ => self.node(id).tag.to_lowercase(),
        }
    }

    /// Tells whether `null` fits the type.
    pub(super) fn is_nullable(&self, id: NodeId) -> bool {
        match self.kind(id) {
            Kind::Null => true,
            Kind::Union(branches) => branches.iter().any(|b| matches!(self.kind(*b), Kind::Null)),
            _ => false,
        }
    }

    fn set_default(
        &mut self,
        record: NodeId,
        index: usize,
        json: &serde_json::Value,
    ) -> Result<(), SchemaError> {
        let Kind::Record(found) = &self.nodes[record].kind else { return Ok(()) };
        let field = &found.fields[index];
        let value = self.default(field.node, json).ok_or_else(|| {
            let tag = &self.nodes[record].tag;
            SchemaError::new(format!("the default of {tag}.{} does not fit its type", field.name))
        })?;
        if let Kind::Record(found) = &mut self.nodes[record].kind {
            found.fields[index].default = Some(value);
        }
        Ok(())
    }

    /// Reads a default; Avro specification, "Complex Types", table "field default values".
    fn default(&self, id: NodeId, json: &serde_json::Value) -> Option<Value> {
        use serde_json::Value as Json;
        Some(match (self.kind(id), json) {
            (Kind::Null, Json::Null) => Value::Null,
            (Kind::Boolean, Json::Bool(value)) => Value::Bool(*value),
            (Kind::Int, Json::Number(n)) => Value::Int(i32::try_from(n.as_i64()?).ok()?),
            (Kind::Long, Json::Number(n)) => Value::Long(n.as_i64()?),
            (Kind::Float, Json::Number(n)) => Value::Float(n.as_f64()? as f32),
            (Kind::Double, Json::Number(n)) => Value::Double(n.as_f64()?),
            (Kind::String, Json::String(text)) => Value::String(text.clone()),
            (Kind::Enum(symbols), Json::String(text)) if symbols.symbols.contains(text) => {
                Value::String(text.clone())
            }
            (Kind::Bytes | Kind::Fixed { .. } | Kind::Duration, Json::String(text)) => {
                Value::Bytes(latin_1(text)?)
            }
            (Kind::Decimal { scale }, Json::String(text)) => {
                Value::String(decimal_text(&latin_1(text)?, *scale)?)
            }
            (Kind::Array(item), Json::Array(items)) => {
                let items = items.iter().map(|json| self.default(*item, json));
                Value::Array(items.collect::<Option<_>>()?)
            }
            (Kind::Map(values), Json::Object(entries)) => {
                let entry = |(name, json): (&String, &Json)| {
                    Some((name.clone(), self.default(*values, json)?))
                };
                Value::Map(entries.iter().map(entry).collect::<Option<Fields>>()?)
            }
            (Kind::Record(record), Json::Object(entries)) => {
                let mut fields = Fields::with_capacity(record.fields.len());
                for field in &record.fields {
                    // A field that the default leaves out has its own default, filled when encoded.
                    if let Some(json) = entries.get(&field.name) {
                        fields.push(field.name.clone(), self.default(field.node, json)?);
                    }
                }
                Value::Map(fields)
            }
            (Kind::Union(branches), json) => {
                branches.iter().find_map(|b| self.default(*b, json))?
            }
            _ => return None,
        })
    }
}

#[derive(Default)]
struct Builder<'s> {
    definitions: HashMap<String, &'s Avro>,
    known: HashMap<String, NodeId>,
    nodes: Vec<Node>,
    defaults: Vec<(NodeId, usize, serde_json::Value)>,
}

impl<'s> Builder<'s> {
    /// Notes where named types are defined, so that references in any order are found.
    fn define(&mut self, schema: &'s Avro) {
        match schema {
            Avro::Array(array) => self.define(&array.items),
            Avro::Map(map) => self.define(&map.types),
            Avro::Union(union) => union.variants().iter().for_each(|s| self.define(s)),
            Avro::Record(record) => {
                self.definitions.insert(record.name.fullname(None), schema);
                record.fields.iter().for_each(|field| self.define(&field.schema));
            }
            _ => {
                if let Some(name) = schema.name() {
                    self.definitions.entry(name.fullname(None)).or_insert(schema);
                }
            }
        }
    }

    fn add(&mut self, schema: &'s Avro) -> Result<NodeId, SchemaError> {
        let name = schema.name().map(|name| name.fullname(None));
        if let Some(id) = name.as_ref().and_then(|name| self.known.get(name)) {
            return Ok(*id);
        }
        if let (Avro::Ref { .. }, Some(name)) = (schema, &name) {
            let missing = || SchemaError::new(format!("the type {name} is defined nowhere"));
            let definition = *self.definitions.get(name).ok_or_else(missing)?;
            return self.add(definition);
        }
        let id = self.nodes.len();
        let tag = name.clone().unwrap_or_else(|| tag(schema).into());
        self.nodes.push(Node { tag, kind: Kind::Null });
        if let Some(name) = name {
            self.known.insert(name, id);
        }
        self.nodes[id].kind = self.kind(id, schema)?;
        Ok(id)
    }

    fn kind(&mut self, id: NodeId, schema: &'s Avro) -> Result<Kind, SchemaError> {
        Ok(match schema {
            Avro::Null | Avro::Ref { .. } => Kind::Null,
            Avro::Boolean => Kind::Boolean,
            Avro::Int | Avro::Date | Avro::TimeMillis => Kind::Int,
            Avro::Long
            | Avro::TimeMicros
            | Avro::TimestampMillis
            | Avro::TimestampMicros
            | Avro::TimestampNanos
            | Avro::LocalTimestampMillis
            | Avro::LocalTimestampMicros
            | Avro::LocalTimestampNanos => Kind::Long,
            Avro::Float => Kind::Float,
            Avro::Double => Kind::Double,
            Avro::Bytes | Avro::Uuid(UuidSchema::Bytes) => Kind::Bytes,
            Avro::String | Avro::Uuid(UuidSchema::String) => Kind::String,
            Avro::Fixed(fixed) | Avro::Uuid(UuidSchema::Fixed(fixed)) => {
                Kind::Fixed { size: fixed.size }
            }
            Avro::Duration(_) => Kind::Duration,
            Avro::Decimal(decimal) => Kind::Decimal { scale: decimal.scale },
            Avro::BigDecimal => Kind::BigDecimal,
            Avro::Array(array) => Kind::Array(self.add(&array.items)?),
            Avro::Map(map) => Kind::Map(self.add(&map.types)?),
            Avro::Union(union) => {
                let branches = union.variants().iter().map(|schema| self.add(schema));
                Kind::Union(branches.collect::<Result<_, _>>()?)
            }
            Avro::Enum(found) => Kind::Enum(Symbols {
                names: Names::new(&found.name, &found.aliases),
                symbols: found.symbols.clone(),
                default: found.default.clone(),
            }),
            Avro::Record(record) => self.record(id, record)?,
        })
    }

    fn record(&mut self, id: NodeId, record: &'s RecordSchema) -> Result<Kind, SchemaError> {
        let mut fields = Vec::with_capacity(record.fields.len());
        for (index, field) in record.fields.iter().enumerate() {
            if let Some(json) = &field.default {
                self.defaults.push((id, index, json.clone()));
            }
            fields.push(Field {
                name: field.name.clone(),
                aliases: field.aliases.clone(),
                node: self.add(&field.schema)?,
                default: None,
            });
        }
        Ok(Kind::Record(Record { names: Names::new(&record.name, &record.aliases), fields }))
    }
}

/// Names an unnamed type as serde_avro_fast does when it offers a union as an enum.
fn tag(schema: &Avro) -> &'static str {
    match schema {
        Avro::Null | Avro::Ref { .. } => "Null",
        Avro::Boolean => "Boolean",
        Avro::Int => "Int",
        Avro::Float => "Float",
        Avro::Double => "Double",
        Avro::String => "String",
        Avro::Array(_) => "Array",
        Avro::Map(_) => "Map",
        Avro::Union(_) => "Union",
        Avro::Decimal(_) => "Decimal",
        Avro::BigDecimal => "BigDecimal",
        Avro::Uuid(UuidSchema::String) => "Uuid",
        Avro::Date => "Date",
        Avro::TimeMillis => "TimeMillis",
        Avro::TimeMicros => "TimeMicros",
        Avro::TimestampMillis => "TimestampMillis",
        Avro::TimestampMicros => "TimestampMicros",
        Avro::Duration(_) => "Duration",
        Avro::Long
        | Avro::TimestampNanos
        | Avro::LocalTimestampMillis
        | Avro::LocalTimestampMicros
        | Avro::LocalTimestampNanos => "Long",
        Avro::Bytes | Avro::Uuid(_) | Avro::Record(_) | Avro::Enum(_) | Avro::Fixed(_) => "Bytes",
    }
}

/// Reads bytes written as characters U+0000 to U+00FF.
fn latin_1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// Writes an unscaled big-endian two's complement number as a decimal.
pub(super) fn decimal_text(unscaled: &[u8], scale: usize) -> Option<String> {
    if unscaled.len() > 16 {
        return None;
    }
    let negative = unscaled.first().is_some_and(|first| first & 0x80 != 0);
    let start = if negative { -1i128 } else { 0 };
    let number = unscaled.iter().fold(start, |number, byte| number << 8 | i128::from(*byte));
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if negative { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_out() {
        assert_eq!(decimal_text(&[], 2).as_deref(), Some("0.00"));
        assert_eq!(decimal_text(&[0x05], 2).as_deref(), Some("0.05"));
        assert_eq!(decimal_text(&[0x00, 0x80], 0).as_deref(), Some("128"));
        assert_eq!(decimal_text(&[0xff], 1).as_deref(), Some("-0.1"));
        assert_eq!(decimal_text(&[0; 17], 1), None);
    }

    #[test]
    fn recursion_references_and_defaults_are_kept() {
        let text = r#"{"type":"record","name":"Node","namespace":"x","fields":[
            {"name":"id","type":{"type":"fixed","name":"Id","size":2},"default":"\u0001\u00ff"},
            {"name":"next","type":["null","Node"],"default":null},
            {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2},
             "default":"\u0001\u0000"},
            {"name":"other","type":["null","Id"],"aliases":["second"]}]}"#;
        let tree = Tree::parse(text, &[]).unwrap();
        let Kind::Record(record) = tree.kind(Tree::ROOT) else { panic!("a record") };
        let Kind::Union(branches) = tree.kind(record.fields[1].node) else { panic!("a union") };
        assert_eq!(branches[1], Tree::ROOT);
        assert_eq!(record.fields[0].default, Some(Value::Bytes(vec![1, 255])));
        assert_eq!(record.fields[1].default, Some(Value::Null));
        assert_eq!(record.fields[2].default, Some(Value::from("2.56")));
        let Kind::Union(branches) = tree.kind(record.fields[3].node) else { panic!("a union") };
        assert_eq!(branches[1], record.fields[0].node);
        assert_eq!(tree.node(branches[1]).tag, "x.Id");
        assert_eq!(record.fields[3].aliases, ["second"]);
    }
}
