//! Reads data of any writer's schema as dynamic values of one reader's schema.
//!
//! Source: Avro specification, "Schema Resolution". Typed values need none of this: there serde
//! drops, renames (`alias`), fills (`default`) and widens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bytes::{DecodeError, MAX_DEPTH, Reader};
use crate::node::{Enum, Field, Node, NodeId, Record, unqualified};
use crate::scalar::{blocks, build};
use crate::schema::{Schema, SchemaError};
use crate::value::{Fields, Value, Values};

/// Gives every datum the form of one schema, whatever schema it was written with.
///
/// Fields that the reader lacks are dropped, new ones get their default, names follow the reader's
/// aliases, numbers are widened, strings and bytes are converted, and symbols that the reader lacks
/// become the enum's default. Outside of unions the names of records are not compared, so a renamed
/// record is still read.
///
/// The way from a writer's schema to the reader's is worked out once and kept.
#[derive(Debug)]
pub struct Resolver {
    schema: &'static Schema,
    plans: Mutex<HashMap<usize, Arc<Plans>>>,
}

impl Resolver {
    /// Makes a resolver to the given schema.
    ///
    /// # Errors
    /// When a default does not fit its type.
    pub fn new(schema: &'static Schema) -> Result<Self, SchemaError> {
        schema.check_defaults()?;
        Ok(Self { schema, plans: Mutex::default() })
    }

    /// Returns the reader's schema.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Reads one datum of the writer's schema that takes up the whole of `bytes`.
    ///
    /// # Errors
    /// The bytes are not of the writer's schema, or cannot be read as the reader's.
    pub fn read(&self, writer: &'static Schema, bytes: &[u8]) -> Result<Value, DecodeError> {
        let mut reader = Reader::new(bytes);
        // Other forms than Avro know no defaults, aliases or wider numbers.
        if writer.is_document() || self.schema.is_document() {
            let value = build::<Values>(writer, writer.root(), &mut reader)?;
            reader.finish()?;
            return Ok(value);
        }
        let plans = self.plans(writer);
        let value = plans.read(plans.root, &mut reader, MAX_DEPTH)?;
        reader.finish()?;
        Ok(value)
    }

    fn plans(&self, writer: &'static Schema) -> Arc<Plans> {
        let key = std::ptr::from_ref(writer).addr();
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let made = plans.entry(key).or_insert_with(|| Arc::new(Plans::new(writer, self.schema)));
        Arc::clone(made)
    }
}

type PlanId = usize;

/// Says what to do with one writer's type to get the reader's.
#[derive(Debug)]
enum Plan {
    AsIs(NodeId),
    Widen(NodeId, Number),
    ToBytes(NodeId),
    ToString(NodeId),
    Array(PlanId),
    Map(PlanId),
    /// The writer's fields in order: its type, and the place and plan of the reader's field.
    Record {
        fields: Vec<(NodeId, Option<(usize, PlanId)>)>,
        reader: &'static Record,
    },
    Enum(NodeId, &'static Enum),
    Union(Vec<PlanId>),
    /// No datum of this writer's type can be read; an error only when one comes.
    Never(String),
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Long,
    Float,
    Double,
}

/// Holds the plan of every pair of types that meet in one pair of schemas.
#[derive(Debug)]
struct Plans {
    plans: Vec<Plan>,
    writer: &'static Schema,
    reader: &'static Schema,
    root: PlanId,
}

impl Plans {
    fn new(writer: &'static Schema, reader: &'static Schema) -> Self {
        let mut planner = Planner { writer, reader, plans: Vec::new(), known: HashMap::new() };
        let root = planner.plan(writer.root(), reader.root());
        Self { plans: planner.plans, writer, reader, root }
    }

    fn read(
        &self,
        plan: PlanId,
        reader: &mut Reader<'_>,
        depth: u32,
    ) -> Result<Value, DecodeError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(reader.error(format!("more than {MAX_DEPTH} levels")));
        };
        let as_is =
            |node: NodeId, reader: &mut Reader<'_>| build::<Values>(self.writer, node, reader);
        match &self.plans[plan] {
            Plan::AsIs(node) => as_is(*node, reader),
            Plan::Widen(node, to) => Ok(widen(as_is(*node, reader)?, *to)),
            Plan::ToBytes(node) => Ok(match as_is(*node, reader)? {
                Value::String(text) => Value::Bytes(text.into_bytes()),
                other => other,
            }),
            Plan::ToString(node) => match as_is(*node, reader)? {
                Value::Bytes(bytes) => String::from_utf8(bytes)
                    .map(Value::String)
                    .map_err(|_| reader.error("bytes that are to be a string and are not UTF-8")),
                other => Ok(other),
            },
            Plan::Enum(node, to) => match as_is(*node, reader)? {
                Value::String(symbol) => read_symbol(to, symbol).map_err(|why| reader.error(why)),
                other => Ok(other),
            },
            Plan::Array(inner) => {
                let mut items = Vec::new();
                blocks(reader, |reader| {
                    items.push(self.read(*inner, reader, depth)?);
                    Ok(())
                })?;
                Ok(Value::Array(items))
            }
            Plan::Map(inner) => {
                let mut fields = Fields::new();
                blocks(reader, |reader| {
                    let name = reader.text()?.to_owned();
                    fields.push(name, self.read(*inner, reader, depth)?);
                    Ok(())
                })?;
                Ok(Value::Map(fields))
            }
            Plan::Record { fields, reader: to } => self.record(fields, to, reader, depth),
            Plan::Union(branches) => {
                let branch = *reader.variant(branches)?;
                self.read(branch, reader, depth)
            }
            Plan::Never(why) => Err(reader.error(why.as_str())),
        }
    }

    /// Reads a record's fields, which come in the writer's order, into the reader's order.
    fn record(
        &self,
        from: &[(NodeId, Option<(usize, PlanId)>)],
        to: &Record,
        reader: &mut Reader<'_>,
        depth: u32,
    ) -> Result<Value, DecodeError> {
        let mut values: Vec<Option<Value>> = Vec::new();
        values.resize_with(to.fields.len(), || None);
        for (node, target) in from {
            match target {
                Some((place, plan)) => values[*place] = Some(self.read(*plan, reader, depth)?),
                None => crate::skip(self.writer, *node, reader)?,
            }
        }
        let mut fields = Fields::with_capacity(to.fields.len());
        for (field, value) in to.fields.iter().zip(values) {
            fields.push(field.name.clone(), self.filled(field, value)?);
        }
        Ok(Value::Map(fields))
    }
}

impl Plans {
    /// Takes what was read, or else the default.
    fn filled(&self, field: &Field, value: Option<Value>) -> Result<Value, DecodeError> {
        match (value, &field.encoded) {
            (Some(value), _) => Ok(value),
            (None, Some(Ok(bytes))) => {
                build::<Values>(self.reader, field.node, &mut Reader::new(bytes))
            }
            (None, _) => Ok(Value::Null),
        }
    }
}

struct Planner {
    writer: &'static Schema,
    reader: &'static Schema,
    plans: Vec<Plan>,
    known: HashMap<(NodeId, NodeId), PlanId>,
}

impl Planner {
    fn plan(&mut self, writer: NodeId, reader: NodeId) -> PlanId {
        if let Some(plan) = self.known.get(&(writer, reader)) {
            return *plan;
        }
        let id = self.plans.len();
        self.plans.push(Plan::AsIs(writer));
        self.known.insert((writer, reader), id);
        self.plans[id] = self.make(writer, reader);
        id
    }

    fn make(&mut self, writer: NodeId, reader: NodeId) -> Plan {
        let (writers, readers) = (self.writer, self.reader);
        match (writers.node(writer), readers.node(reader)) {
            (Node::Union(from), _) => {
                Plan::Union(from.branches.iter().map(|b| self.plan(*b, reader)).collect())
            }
            (_, Node::Union(to)) => match self.branch(writer, &to.branches) {
                Some(branch) => self.make(writer, branch),
                None => self.never(writer, reader),
            },
            (Node::Array(from), Node::Array(to)) => Plan::Array(self.plan(*from, *to)),
            (Node::Map(from), Node::Map(to)) => Plan::Map(self.plan(*from, *to)),
            (Node::Record(from), Node::Record(to)) => self.record(from, to),
            (Node::Enum(_), Node::Enum(to)) => Plan::Enum(writer, to),
            (from, to) => scalar(writer, from, to).unwrap_or_else(|| self.never(writer, reader)),
        }
    }

    fn record(&mut self, from: &'static Record, to: &'static Record) -> Plan {
        let mut fields: Vec<_> = from.fields.iter().map(|field| (field.node, None)).collect();
        for (place, field) in to.fields.iter().enumerate() {
            let by_name = from.fields.iter().position(|f| f.name == field.name);
            let by_alias = || from.fields.iter().position(|f| field.aliases.contains(&f.name));
            match by_name.or_else(by_alias) {
                Some(source) => {
                    let plan = self.plan(from.fields[source].node, field.node);
                    fields[source].1 = Some((place, plan));
                }
                None if field.default.is_none() => {
                    return Plan::Never(format!(
                        "the reader's field `{}` is not in the data and has no default,",
                        field.name
                    ));
                }
                None => {}
            }
        }
        Plan::Record { fields, reader: to }
    }

    /// Finds the reader's branch: one of the same type and name, else the first that can be read.
    fn branch(&self, writer: NodeId, branches: &[NodeId]) -> Option<NodeId> {
        let from = self.writer.node(writer);
        let named = |branch: &&NodeId| match (from, self.reader.node(**branch)) {
            (Node::Record(from), Node::Record(to)) => reads(&to.name, &to.aliases, &from.name),
            (Node::Enum(from), Node::Enum(to)) => reads(&to.name, &to.aliases, &from.name),
            (from, to) => std::mem::discriminant(from) == std::mem::discriminant(to),
        };
        let possible = |branch: &&NodeId| match (from, self.reader.node(**branch)) {
            (Node::Record(_), Node::Record(_)) | (Node::Enum(_), Node::Enum(_)) => true,
            (from, to) => scalar(writer, from, to).is_some(),
        };
        branches.iter().find(named).or_else(|| branches.iter().find(possible)).copied()
    }

    fn never(&self, writer: NodeId, reader: NodeId) -> Plan {
        let (from, to) = (self.writer.describe(writer), self.reader.describe(reader));
        Plan::Never(format!("{from} cannot be read as {to},"))
    }
}

/// Tells whether data written under one name may be read under another; Avro specification, "Schema
/// Resolution": unqualified names match, or one of the reader's aliases does.
fn reads(reader: &str, aliases: &[String], writer: &str) -> bool {
    let writer = unqualified(writer);
    unqualified(reader) == writer || aliases.iter().any(|alias| unqualified(alias) == writer)
}

/// Plans types without parts. Logical types count where both have them; a number that one side alone
/// takes for a time is still that number.
fn scalar(node: NodeId, from: &Node, to: &Node) -> Option<Plan> {
    use Primitive as P;
    match (from, to) {
        (Node::Decimal(from), Node::Decimal(to)) => {
            return (from.scale == to.scale).then_some(Plan::AsIs(node));
        }
        (Node::Fixed(from), Node::Fixed(to)) => {
            return (from.size == to.size).then_some(Plan::AsIs(node));
        }
        (from, to) if std::mem::discriminant(from) == std::mem::discriminant(to) => {
            let units = match (from, to) {
                (Node::Time(a), Node::Time(b))
                | (Node::Timestamp(a), Node::Timestamp(b))
                | (Node::LocalTimestamp(a), Node::LocalTimestamp(b)) => a == b,
                (Node::Uuid(a), Node::Uuid(b)) => a.is_some() == b.is_some(),
                (Node::Array(_) | Node::Map(_) | Node::Record(_) | Node::Union(_), _) => false,
                _ => true,
            };
            return units.then_some(Plan::AsIs(node));
        }
        _ => {}
    }
    Some(match (primitive(from)?, primitive(to)?) {
        (P::Int, P::Int) | (P::Long, P::Long) => Plan::AsIs(node),
        (P::String, P::String) | (P::Bytes, P::Bytes) => Plan::AsIs(node),
        (P::Int, P::Long) => Plan::Widen(node, Number::Long),
        (P::Int | P::Long, P::Float) => Plan::Widen(node, Number::Float),
        (P::Int | P::Long | P::Float, P::Double) => Plan::Widen(node, Number::Double),
        (P::String, P::Bytes) => Plan::ToBytes(node),
        (P::Bytes, P::String) => Plan::ToString(node),
        _ => return None,
    })
}

enum Primitive {
    Int,
    Long,
    Float,
    Double,
    String,
    Bytes,
}

fn primitive(node: &Node) -> Option<Primitive> {
    Some(match node {
        Node::Int | Node::Date | Node::Time(crate::Unit::Millis) => Primitive::Int,
        Node::Long | Node::Time(_) | Node::Timestamp(_) | Node::LocalTimestamp(_) => {
            Primitive::Long
        }
        Node::Float => Primitive::Float,
        Node::Double => Primitive::Double,
        Node::String | Node::Uuid(None) => Primitive::String,
        Node::Bytes => Primitive::Bytes,
        _ => return None,
    })
}

fn read_symbol(to: &Enum, symbol: String) -> Result<Value, String> {
    if to.index(&symbol).is_some() {
        return Ok(Value::String(symbol));
    }
    let none = || format!("the reader's enum {} has neither {symbol} nor a default,", to.name);
    to.default.clone().map(Value::String).ok_or_else(none)
}

fn widen(value: Value, to: Number) -> Value {
    match (value, to) {
        (Value::Int(value), Number::Long) => Value::Long(i64::from(value)),
        (Value::Int(value), Number::Float) => Value::Float(value as f32),
        (Value::Long(value), Number::Float) => Value::Float(value as f32),
        (Value::Int(value), Number::Double) => Value::Double(f64::from(value)),
        (Value::Long(value), Number::Double) => Value::Double(value as f64),
        (Value::Float(value), Number::Double) => Value::Double(f64::from(value)),
        (other, _) => other,
    }
}
