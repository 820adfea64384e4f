//! Reads data of any writer's schema as dynamic values of one reader's schema.
//!
//! Source: Avro specification, "Schema Resolution". Typed values need none of this: there serde
//! drops, renames (`alias`), fills (`default`) and widens.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::schema::{Schema, SchemaError};
use super::tree::{Kind, NodeId, Record, Symbols, Tree};
use super::value::{Fields, Value};

/// Gives every datum the form of one schema, whatever schema it was written with.
///
/// Fields that the reader lacks are dropped, new ones get their default, names follow the reader's
/// aliases, numbers are widened, strings and bytes are converted, and symbols that the reader lacks
/// become the enum's default. Outside of unions the names of records are not compared, so a renamed
/// record is still read.
///
/// The way from a writer's schema to the reader's is worked out once and kept.
#[derive(Debug)]
pub struct Reader {
    schema: &'static Schema,
    plans: Mutex<HashMap<usize, Arc<Plans>>>,
}

impl Reader {
    /// Makes a reader of the given schema.
    ///
    /// # Errors
    /// When apache-avro does not accept the schema, for instance for a default that does not fit.
    pub fn new(schema: &'static Schema) -> Result<Self, SchemaError> {
        schema.tree()?;
        Ok(Self { schema, plans: Mutex::default() })
    }

    /// Returns the reader's schema.
    #[must_use]
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    pub(super) fn plans(&self, writer: &'static Schema) -> Result<Arc<Plans>, SchemaError> {
        let key = std::ptr::from_ref(writer).addr();
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plans) = plans.get(&key) {
            return Ok(Arc::clone(plans));
        }
        let made = Arc::new(Plans::new(writer.tree()?, self.schema.tree()?));
        plans.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

type PlanId = usize;

/// Says what to do with one writer's type to get the reader's.
#[derive(Debug)]
enum Plan {
    AsIs,
    Widen(Number),
    ToBytes,
    ToString,
    Array(PlanId),
    Map(PlanId),
    Record {
        from_writer: Vec<Option<(usize, PlanId)>>,
        reader: NodeId,
    },
    Enum {
        reader: NodeId,
    },
    /// By the writer's branch, with the name that serde_avro_fast gives it.
    Union(Vec<(String, PlanId)>),
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
pub(super) struct Plans {
    plans: Vec<Plan>,
    reader: &'static Tree,
    root: PlanId,
}

impl Plans {
    fn new(writer: &'static Tree, reader: &'static Tree) -> Self {
        let mut planner = Planner { writer, reader, plans: Vec::new(), known: HashMap::new() };
        let root = planner.plan(Tree::ROOT, Tree::ROOT);
        Self { plans: planner.plans, reader, root }
    }

    /// Returns what serde needs to read a datum.
    pub(super) fn seed(&self) -> Seed<'_> {
        Seed { plans: self, plan: self.root }
    }
}

struct Planner {
    writer: &'static Tree,
    reader: &'static Tree,
    plans: Vec<Plan>,
    known: HashMap<(NodeId, NodeId), PlanId>,
}

impl Planner {
    fn plan(&mut self, writer: NodeId, reader: NodeId) -> PlanId {
        if let Some(plan) = self.known.get(&(writer, reader)) {
            return *plan;
        }
        let id = self.plans.len();
        self.plans.push(Plan::AsIs);
        self.known.insert((writer, reader), id);
        self.plans[id] = self.make(writer, reader);
        id
    }

    fn make(&mut self, writer: NodeId, reader: NodeId) -> Plan {
        match (self.writer.kind(writer), self.reader.kind(reader)) {
            (Kind::Union(branches), _) => {
                let branch = |b: &NodeId| (self.writer.node(*b).tag.clone(), self.plan(*b, reader));
                Plan::Union(branches.iter().map(branch).collect())
            }
            (_, Kind::Union(branches)) => match self.branch(writer, branches) {
                Some(branch) => self.make(writer, branch),
                None => self.never(writer, reader),
            },
            (Kind::Array(from), Kind::Array(to)) | (Kind::Map(from), Kind::Map(to)) => {
                let inner = self.plan(*from, *to);
                let array = matches!(self.writer.kind(writer), Kind::Array(_));
                if array { Plan::Array(inner) } else { Plan::Map(inner) }
            }
            (Kind::Record(from), Kind::Record(to)) => self.record(from, to, reader),
            (Kind::Enum(_), Kind::Enum(_)) => Plan::Enum { reader },
            (from, to) => primitive(from, to).unwrap_or_else(|| self.never(writer, reader)),
        }
    }

    fn record(&mut self, from: &'static Record, to: &'static Record, reader: NodeId) -> Plan {
        let mut from_writer: Vec<Option<(usize, PlanId)>> = vec![None; from.fields.len()];
        for (target, field) in to.fields.iter().enumerate() {
            let by_name = from.fields.iter().position(|f| f.name == field.name);
            let by_alias = || from.fields.iter().position(|f| field.aliases.contains(&f.name));
            match by_name.or_else(by_alias) {
                Some(source) => {
                    let plan = self.plan(from.fields[source].node, field.node);
                    from_writer[source] = Some((target, plan));
                }
                None if field.default.is_none() => {
                    return Plan::Never(format!(
                        "the reader's field `{}` is not in the data and has no default",
                        field.name
                    ));
                }
                None => {}
            }
        }
        Plan::Record { from_writer, reader }
    }

    /// Finds the reader's branch: one of the same type and name, else the first that can be read.
    fn branch(&self, writer: NodeId, branches: &[NodeId]) -> Option<NodeId> {
        let from = self.writer.kind(writer);
        let named = |branch: &&NodeId| match (from, self.reader.kind(**branch)) {
            (Kind::Record(from), Kind::Record(to)) => to.names.reads(&from.names),
            (Kind::Enum(from), Kind::Enum(to)) => to.names.reads(&from.names),
            (from, to) => std::mem::discriminant(from) == std::mem::discriminant(to),
        };
        let possible = |branch: &&NodeId| match (from, self.reader.kind(**branch)) {
            (Kind::Record(_), Kind::Record(_)) | (Kind::Enum(_), Kind::Enum(_)) => true,
            (from, to) => primitive(from, to).is_some(),
        };
        branches.iter().find(named).or_else(|| branches.iter().find(possible)).copied()
    }

    fn never(&self, writer: NodeId, reader: NodeId) -> Plan {
        let (from, to) = (self.writer.describe(writer), self.reader.describe(reader));
        Plan::Never(format!("{from} cannot be read as {to}"))
    }
}

fn primitive(from: &Kind, to: &Kind) -> Option<Plan> {
    Some(match (from, to) {
        (Kind::Null, Kind::Null)
        | (Kind::Boolean, Kind::Boolean)
        | (Kind::Int, Kind::Int)
        | (Kind::Long, Kind::Long)
        | (Kind::Float, Kind::Float)
        | (Kind::Double, Kind::Double)
        | (Kind::Bytes, Kind::Bytes)
        | (Kind::String, Kind::String)
        | (Kind::BigDecimal, Kind::BigDecimal)
        | (Kind::Duration, Kind::Duration) => Plan::AsIs,
        (Kind::Int, Kind::Long) => Plan::Widen(Number::Long),
        (Kind::Int | Kind::Long, Kind::Float) => Plan::Widen(Number::Float),
        (Kind::Int | Kind::Long | Kind::Float, Kind::Double) => Plan::Widen(Number::Double),
        (Kind::String, Kind::Bytes) => Plan::ToBytes,
        (Kind::Bytes, Kind::String) => Plan::ToString,
        (Kind::Fixed { size: from }, Kind::Fixed { size: to }) if from == to => Plan::AsIs,
        (Kind::Decimal { scale: from }, Kind::Decimal { scale: to }) if from == to => Plan::AsIs,
        _ => return None,
    })
}

/// Reads one datum by its plan.
#[derive(Clone, Copy)]
pub(super) struct Seed<'p> {
    plans: &'p Plans,
    plan: PlanId,
}

impl<'p> Seed<'p> {
    fn at(self, plan: PlanId) -> Self {
        Self { plan, ..self }
    }

    fn plan(self) -> &'p Plan {
        &self.plans.plans[self.plan]
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.plan() {
            Plan::AsIs => Value::deserialize(deserializer),
            Plan::Widen(to) => Ok(widen(Value::deserialize(deserializer)?, *to)),
            Plan::ToBytes => Ok(match Value::deserialize(deserializer)? {
                Value::String(text) => Value::Bytes(text.into_bytes()),
                other => other,
            }),
            Plan::ToString => match Value::deserialize(deserializer)? {
                Value::Bytes(bytes) => String::from_utf8(bytes)
                    .map(Value::String)
                    .map_err(|_| D::Error::custom("bytes that are to be a string are not UTF-8")),
                other => Ok(other),
            },
            Plan::Enum { reader } => {
                let symbol = String::deserialize(deserializer)?;
                let Kind::Enum(to) = self.plans.reader.kind(*reader) else {
                    return Ok(Value::String(symbol));
                };
                read_symbol(to, symbol).map_err(D::Error::custom)
            }
            Plan::Array(_) => deserializer.deserialize_seq(self),
            Plan::Map(_) | Plan::Record { .. } => deserializer.deserialize_map(self),
            Plan::Union(_) => deserializer.deserialize_enum("", &[], self),
            Plan::Never(why) => Err(D::Error::custom(why)),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Avro data of the writer's schema")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Plan::Array(inner) = self.plan() else { return Err(A::Error::custom("no array")) };
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self.at(*inner))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        match self.plan() {
            Plan::Record { from_writer, reader } => {
                let Kind::Record(to) = self.plans.reader.kind(*reader) else {
                    return Err(A::Error::custom("no record"));
                };
                self.read_record(from_writer, to, access)
            }
            Plan::Map(inner) => {
                let mut fields = Fields::new();
                while let Some(name) = access.next_key::<String>()? {
                    fields.push(name, access.next_value_seed(self.at(*inner))?);
                }
                Ok(Value::Map(fields))
            }
            _ => Err(A::Error::custom("no map")),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let Plan::Union(branches) = self.plan() else { return Err(A::Error::custom("no union")) };
        let (plan, datum) = access.variant_seed(Branch(branches))?;
        datum.newtype_variant_seed(self.at(plan))
    }
}

impl Seed<'_> {
    /// Reads a record's fields, which come in the writer's order, into the reader's order.
    fn read_record<'de, A: MapAccess<'de>>(
        self,
        from_writer: &[Option<(usize, PlanId)>],
        to: &Record,
        mut access: A,
    ) -> Result<Value, A::Error> {
        let mut values: Vec<Option<Value>> = Vec::new();
        values.resize_with(to.fields.len(), || None);
        for target in from_writer {
            if access.next_key::<IgnoredAny>()?.is_none() {
                return Err(A::Error::custom("the record ended early"));
            }
            match target {
                Some((target, plan)) => {
                    values[*target] = Some(access.next_value_seed(self.at(*plan))?);
                }
                None => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        // The end has to be read too.
        if access.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("the record has too many fields"));
        }
        let mut fields = Fields::with_capacity(to.fields.len());
        for (field, value) in to.fields.iter().zip(values) {
            let value = value.or_else(|| field.default.clone()).unwrap_or_default();
            fields.push(field.name.clone(), value);
        }
        Ok(Value::Map(fields))
    }
}

/// Finds the plan of a union's branch by its name.
struct Branch<'p>(&'p [(String, PlanId)]);

impl<'de> DeserializeSeed<'de> for Branch<'_> {
    type Value = PlanId;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<PlanId, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Branch<'_> {
    type Value = PlanId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a union's branch")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<PlanId, E> {
        let found = self.0.iter().find(|(tag, _)| tag == name).map(|(_, plan)| *plan);
        found.ok_or_else(|| E::custom(format_args!("the union has no branch {name}")))
    }
}

fn read_symbol(to: &Symbols, symbol: String) -> Result<Value, String> {
    if to.symbols.contains(&symbol) {
        return Ok(Value::String(symbol));
    }
    let none = || format!("the reader's enum {} has neither {symbol} nor a default", to.names.name);
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
