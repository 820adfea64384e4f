//! A parsed schema as a flat list of nodes.

use std::collections::{HashMap, HashSet};

use apache_avro::schema as avro;
use vrl::value::KeyString;

/// Names a node of one [`Schema`].
pub type NodeId = usize;

/// Holds the nodes of a schema; a named type that refers to itself is a cycle of ids.
#[derive(Debug)]
pub struct Schema {
    nodes: Vec<Node>,
    root: NodeId,
}

/// Says how one datum is laid out and which value of the mapping language it is.
#[derive(Debug)]
pub enum Node {
    /// Nothing.
    Null,
    /// One byte, 0 or 1.
    Boolean,
    /// 32 bits; also `time-millis`.
    Int,
    /// 64 bits; also `time-micros` and the local timestamps, which name no instant.
    Long,
    /// IEEE 754, 32 bits.
    Float,
    /// IEEE 754, 64 bits.
    Double,
    /// Bytes, which may be no text.
    Bytes,
    /// UTF-8 text; also `uuid`.
    String,
    /// So many bytes; also `duration` and a `uuid` of 16 bytes.
    Fixed(usize),
    /// One of a list of symbols.
    Enum(Enum),
    /// Any number of one type.
    Array(NodeId),
    /// Any number of one type, by a text key.
    Map(NodeId),
    /// One of several types.
    Union(Vec<NodeId>),
    /// Named fields.
    Record(Record),
    /// Days since 1970-01-01.
    Date,
    /// An instant, since 1970-01-01T00:00Z.
    Timestamp(Unit),
    /// An exact number: unscaled integer, big endian, times 10 to the minus scale.
    Decimal {
        /// Digits after the point.
        scale: u32,
        /// Bytes of a `fixed`; `None` when it lies in `bytes`.
        size: Option<usize>,
    },
}

/// Counts a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a second.
    Millis,
    /// Millionths of a second.
    Micros,
    /// Billionths of a second.
    Nanos,
}

/// Holds the symbols of an enum.
#[derive(Debug)]
pub struct Enum {
    /// Symbols by their index.
    pub symbols: Vec<String>,
    /// What a reader takes for a symbol that it does not know.
    pub default: Option<String>,
}

/// Holds the fields of a record.
#[derive(Debug)]
pub struct Record {
    /// Full name.
    pub name: String,
    /// Fields in the order of the bytes.
    pub fields: Vec<Field>,
}

/// Describes one field of a record.
#[derive(Debug)]
pub struct Field {
    /// Name.
    pub name: KeyString,
    /// Earlier names, which a writer may still use.
    pub aliases: Vec<String>,
    /// Type.
    pub node: NodeId,
    /// Default, as the schema's JSON has it.
    pub default: Option<serde_json::Value>,
}

/// Says why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Not an Avro schema.
    #[error("not an Avro schema: {0}")]
    Parse(String),
    /// A name without a definition.
    #[error("the schema refers to `{0}`, which it does not define")]
    UnknownName(String),
}

impl Schema {
    /// Parses a schema's JSON.
    ///
    /// # Errors
    /// When it is not Avro, or refers to a name that it does not define.
    pub fn parse(json: &str) -> Result<Self, SchemaError> {
        Self::parse_with(json, &[])
    }

    /// Parses a schema's JSON that refers to the named types of other schemas.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_with(json: &str, references: &[String]) -> Result<Self, SchemaError> {
        let wrong = |error: apache_avro::Error| SchemaError::Parse(error.to_string());
        let (parsed, others) =
            apache_avro::Schema::parse_str_with_list(json, references).map_err(wrong)?;
        let mut builder = Builder::default();
        for other in &others {
            if let Some(name) = other.name() {
                builder.others.insert(name.fullname(None), other);
            }
        }
        let root = builder.node(&parsed)?;
        Ok(Self { nodes: builder.nodes, root })
    }

    /// Gives the node of the whole datum.
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// Gives a node by its id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// Gives the record that the whole datum is, if it is one.
    pub fn record(&self) -> Option<&Record> {
        match self.node(self.root) {
            Node::Record(record) => Some(record),
            _ => None,
        }
    }

    /// Tells whether the bytes of `node` are those of `other_node` for every value, so that they
    /// can be copied.
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
            (Node::Null, Node::Null)
            | (Node::Boolean, Node::Boolean)
            | (Node::Int, Node::Int)
            | (Node::Long, Node::Long)
            | (Node::Float, Node::Float)
            | (Node::Double, Node::Double)
            | (Node::Bytes, Node::Bytes)
            | (Node::String, Node::String)
            | (Node::Date, Node::Date) => true,
            (Node::Fixed(a), Node::Fixed(b)) => a == b,
            (Node::Timestamp(a), Node::Timestamp(b)) => a == b,
            (Node::Decimal { scale: a, size: x }, Node::Decimal { scale: b, size: y }) => {
                a == b && x == y
            }
            (Node::Enum(a), Node::Enum(b)) => a.symbols == b.symbols,
            (Node::Array(a), Node::Array(b)) | (Node::Map(a), Node::Map(b)) => same(*a, *b),
            (Node::Union(a), Node::Union(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(*a, *b))
            }
            (Node::Record(a), Node::Record(b)) => {
                a.fields.len() == b.fields.len()
                    && a.fields
                        .iter()
                        .zip(&b.fields)
                        .all(|(a, b)| a.name == b.name && same(a.node, b.node))
            }
            _ => false,
        }
    }
}

#[derive(Default)]
struct Builder<'a> {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
    /// Definitions of other documents, built when a name refers to them.
    others: HashMap<String, &'a avro::Schema>,
}

impl Builder<'_> {
    fn node(&mut self, schema: &avro::Schema) -> Result<NodeId, SchemaError> {
        use apache_avro::Schema as S;
        let node = match schema {
            S::Null => Node::Null,
            S::Boolean => Node::Boolean,
            S::Int | S::TimeMillis => Node::Int,
            S::Long
            | S::TimeMicros
            | S::LocalTimestampMillis
            | S::LocalTimestampMicros
            | S::LocalTimestampNanos => Node::Long,
            S::Float => Node::Float,
            S::Double => Node::Double,
            S::Bytes | S::BigDecimal | S::Uuid(avro::UuidSchema::Bytes) => Node::Bytes,
            S::String | S::Uuid(avro::UuidSchema::String) => Node::String,
            S::Date => Node::Date,
            S::TimestampMillis => Node::Timestamp(Unit::Millis),
            S::TimestampMicros => Node::Timestamp(Unit::Micros),
            S::TimestampNanos => Node::Timestamp(Unit::Nanos),
            S::Fixed(fixed) | S::Duration(fixed) | S::Uuid(avro::UuidSchema::Fixed(fixed)) => {
                return Ok(self.named(&fixed.name, Node::Fixed(fixed.size)));
            }
            S::Decimal(decimal) => return Ok(self.decimal(decimal)),
            S::Enum(symbols) => {
                let node = Node::Enum(Enum {
                    symbols: symbols.symbols.clone(),
                    default: symbols.default.clone(),
                });
                return Ok(self.named(&symbols.name, node));
            }
            S::Array(array) => Node::Array(self.node(&array.items)?),
            S::Map(map) => Node::Map(self.node(&map.types)?),
            S::Union(union) => {
                let variants = union.variants().iter().map(|variant| self.node(variant));
                Node::Union(variants.collect::<Result<_, _>>()?)
            }
            S::Record(record) => return self.record(record),
            S::Ref { name } => {
                let name = name.fullname(None);
                return match (self.names.get(&name), self.others.get(&name)) {
                    (Some(id), _) => Ok(*id),
                    (None, Some(other)) => self.node(other),
                    (None, None) => Err(SchemaError::UnknownName(name)),
                };
            }
        };
        Ok(self.push(node))
    }

    fn record(&mut self, record: &avro::RecordSchema) -> Result<NodeId, SchemaError> {
        let name = record.name.fullname(None);
        // The place is taken first, so that a field can refer to the record that it is in.
        let id = self.push(Node::Null);
        self.names.insert(name.clone(), id);
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            fields.push(Field {
                name: field.name.as_str().into(),
                aliases: field.aliases.clone(),
                node: self.node(&field.schema)?,
                default: field.default.clone(),
            });
        }
        self.nodes[id] = Node::Record(Record { name, fields });
        Ok(id)
    }

    fn decimal(&mut self, decimal: &avro::DecimalSchema) -> NodeId {
        let scale = u32::try_from(decimal.scale).unwrap_or(u32::MAX);
        match &decimal.inner {
            avro::InnerDecimalSchema::Bytes => self.push(Node::Decimal { scale, size: None }),
            avro::InnerDecimalSchema::Fixed(fixed) => {
                self.named(&fixed.name, Node::Decimal { scale, size: Some(fixed.size) })
            }
        }
    }

    fn named(&mut self, name: &avro::Name, node: Node) -> NodeId {
        let id = self.push(node);
        self.names.insert(name.fullname(None), id);
        id
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}
