//! Fits dynamic values to a schema: defaults, union branches, numbers that are widened.

use std::fmt;

use serde::ser::{
    Error, Serialize, SerializeMap as _, SerializeSeq as _, SerializeStruct as _, Serializer,
};

use super::datum::{Datum, Shape};
use super::tree::{Kind, NodeId, Record, Tree, decimal_text};
use super::value::Value;

/// Leads from the root to a value, on the stack; for error messages.
enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Path::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Pairs a value with the part of the schema that it has to fit.
pub(super) struct Fitted<'p, D> {
    tree: &'static Tree,
    node: NodeId,
    datum: D,
    path: &'p Path<'p>,
}

impl<D> Fitted<'static, D> {
    pub(super) fn new(tree: &'static Tree, datum: D) -> Self {
        Self { tree, node: Tree::ROOT, datum, path: &Path::Root }
    }
}

impl<'a, D: Datum<'a>> Serialize for Fitted<'_, D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.tree.kind(self.node) {
            Kind::Union(branches) => self.union(branches, serializer),
            Kind::Record(record) => self.record(record, serializer),
            Kind::Array(item) => self.array(*item, serializer),
            Kind::Map(values) => self.map(*values, serializer),
            kind => self.scalar(kind, serializer),
        }
    }
}

impl<'p, 'a, D: Datum<'a>> Fitted<'p, D> {
    fn at<'q, E>(&self, node: NodeId, datum: E, path: &'q Path<'q>) -> Fitted<'q, E> {
        Fitted { tree: self.tree, node, datum, path }
    }

    fn error<E: Error>(&self, what: impl fmt::Display) -> E {
        match self.path {
            Path::Root => E::custom(what),
            path => E::custom(format_args!("at `{path}`: {what}")),
        }
    }

    fn mismatch<E: Error>(&self) -> E {
        let expected = self.tree.describe(self.node);
        self.error(format_args!("expected {expected}, got {}", self.datum.shape().describe()))
    }

    fn union<S: Serializer>(&self, branches: &[NodeId], s: S) -> Result<S::Ok, S::Error> {
        if let Some((branch, inner)) = self.tagged(branches) {
            let tag = &self.tree.node(branch).tag;
            return s.serialize_newtype_variant("", 0, tag, &self.at(branch, inner, self.path));
        }
        let branch = self.choose(branches).ok_or_else(|| self.mismatch())?;
        let tag = &self.tree.node(branch).tag;
        s.serialize_newtype_variant("", 0, tag, &self.at(branch, self.datum, self.path))
    }

    /// Finds a branch named explicitly, as Avro's JSON encoding does: `{"full.Name": {…}}`.
    fn tagged(&self, branches: &[NodeId]) -> Option<(NodeId, D)> {
        let Shape::Map(1) = self.datum.shape() else { return None };
        let (name, inner) = self.datum.entries().next()?;
        let named = |branch: &&NodeId| {
            let node = self.tree.node(**branch);
            matches!(node.kind, Kind::Record(_) | Kind::Enum(_) | Kind::Fixed { .. })
                && node.tag == name
        };
        let branch = *branches.iter().find(named)?;
        rank(self.tree, branch, inner).map(|_| (branch, inner))
    }

    /// Picks the branch that fits best; of equals the first. When none fits but only one is of the
    /// value's family, picks that one, so that the error names the field inside it.
    fn choose(&self, branches: &[NodeId]) -> Option<NodeId> {
        let ranked = branches.iter().filter_map(|b| Some((rank(self.tree, *b, self.datum)?, *b)));
        if let Some((_, best)) = ranked.min_by_key(|(rank, _)| *rank) {
            return Some(best);
        }
        let family = |branch: &&NodeId| {
            matches!(
                (self.tree.kind(**branch), self.datum.shape()),
                (Kind::Record(_) | Kind::Map(_), Shape::Map(_)) | (Kind::Enum(_), Shape::Str(_))
            )
        };
        let mut relatives = branches.iter().filter(family);
        relatives.next().filter(|_| relatives.next().is_none()).copied()
    }

    fn record<S: Serializer>(&self, record: &'static Record, s: S) -> Result<S::Ok, S::Error> {
        let Shape::Map(given) = self.datum.shape() else { return Err(self.mismatch()) };
        let mut out = s.serialize_struct("", record.fields.len())?;
        let mut used = 0;
        for (place, field) in record.fields.iter().enumerate() {
            let path = Path::Field(self.path, &field.name);
            if let Some(datum) = self.datum.field(&field.name, place) {
                used += 1;
                out.serialize_field(&field.name, &self.at(field.node, datum, &path))?;
            } else if let Some(default) = &field.default {
                out.serialize_field(&field.name, &self.at(field.node, default, &path))?;
            } else if self.tree.is_nullable(field.node) {
                out.serialize_field(&field.name, &self.at(field.node, &Value::Null, &path))?;
            } else {
                let expected = self.tree.describe(field.node);
                return Err(self.error(format_args!(
                    "field `{}` ({expected}) is missing and has no default",
                    field.name
                )));
            }
        }
        if used < given {
            return Err(self.unknown_field(record));
        }
        out.end()
    }

    fn unknown_field<E: Error>(&self, record: &Record) -> E {
        let known: Vec<&str> = record.fields.iter().map(|field| field.name.as_str()).collect();
        let unknown = self.datum.entries().map(|(name, _)| name).find(|name| !known.contains(name));
        self.error(format_args!(
            "field `{}` is not in {}, which has {}",
            unknown.unwrap_or_default(),
            self.tree.describe(self.node),
            known.join(", ")
        ))
    }

    fn array<S: Serializer>(&self, item: NodeId, s: S) -> Result<S::Ok, S::Error> {
        let Shape::Array(length) = self.datum.shape() else { return Err(self.mismatch()) };
        let mut out = s.serialize_seq(Some(length))?;
        for (index, datum) in self.datum.items().enumerate() {
            out.serialize_element(&self.at(item, datum, &Path::Item(self.path, index)))?;
        }
        out.end()
    }

    fn map<S: Serializer>(&self, values: NodeId, s: S) -> Result<S::Ok, S::Error> {
        let Shape::Map(length) = self.datum.shape() else { return Err(self.mismatch()) };
        let mut out = s.serialize_map(Some(length))?;
        for (name, datum) in self.datum.entries() {
            let path = Path::Field(self.path, name);
            out.serialize_entry(name, &self.at(values, datum, &path))?;
        }
        out.end()
    }

    fn scalar<S: Serializer>(&self, kind: &Kind, s: S) -> Result<S::Ok, S::Error> {
        let shape = self.datum.shape();
        match (kind, shape) {
            (Kind::Null, Shape::Null) => s.serialize_unit(),
            (Kind::Boolean, Shape::Bool(value)) => s.serialize_bool(value),
            (Kind::Int, Shape::Int(value)) => s.serialize_i32(value),
            (Kind::Int, Shape::Long(value)) => match i32::try_from(value) {
                Ok(value) => s.serialize_i32(value),
                Err(_) => Err(self.error(format_args!("{value} does not fit an int of 32 bits"))),
            },
            (Kind::Long, Shape::Int(value)) => s.serialize_i64(i64::from(value)),
            (Kind::Long, Shape::Long(value)) => s.serialize_i64(value),
            (Kind::Float, _) => match number(shape) {
                Some(value) => s.serialize_f32(value as f32),
                None => Err(self.mismatch()),
            },
            (Kind::Double, _) => match number(shape) {
                Some(value) => s.serialize_f64(value),
                None => Err(self.mismatch()),
            },
            (Kind::String, Shape::Str(text)) => s.serialize_str(text),
            (Kind::String, Shape::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => s.serialize_str(text),
                Err(_) => Err(self.error("expected a string, got bytes that are not UTF-8")),
            },
            (Kind::Bytes, Shape::Bytes(bytes)) => s.serialize_bytes(bytes),
            (Kind::Bytes, Shape::Str(text)) => match self.datum.bytes_of(text) {
                Some(bytes) => s.serialize_bytes(&bytes),
                None => Err(self.error("expected bytes, got text with a character above U+00FF")),
            },
            (Kind::Fixed { size }, Shape::Str(text)) => match self.datum.bytes_of(text) {
                Some(bytes) if bytes.len() == *size => s.serialize_bytes(&bytes),
                _ => Err(self.mismatch()),
            },
            (Kind::Fixed { size }, Shape::Bytes(bytes)) if bytes.len() == *size => {
                s.serialize_bytes(bytes)
            }
            (Kind::Enum(symbols), Shape::Str(text)) if has(&symbols.symbols, text) => {
                s.serialize_str(text)
            }
            (Kind::Decimal { .. } | Kind::BigDecimal, _) => self.decimal(kind, s),
            (Kind::Duration, _) => match duration(self.datum) {
                Some(bytes) => s.serialize_bytes(&bytes),
                None => Err(self.error("expected a duration: months, days and milliseconds")),
            },
            (Kind::Enum(_), Shape::Str(text)) => Err(self
                .error(format_args!("expected {}, got \"{text}\"", self.tree.describe(self.node)))),
            _ => Err(self.mismatch()),
        }
    }

    /// Writes a decimal by way of its text: serde_avro_fast 2.1 writes a whole number whose highest
    /// bit is set (128, 200, 40000…) as a negative one.
    fn decimal<S: Serializer>(&self, kind: &Kind, s: S) -> Result<S::Ok, S::Error> {
        let written = match (kind, self.datum.shape()) {
            (_, Shape::Str(text)) => s.serialize_str(text),
            (_, Shape::Int(value)) => s.serialize_str(&value.to_string()),
            (_, Shape::Long(value)) => s.serialize_str(&value.to_string()),
            (_, Shape::Float(value)) => s.serialize_f64(f64::from(value)),
            (_, Shape::Double(value)) => s.serialize_f64(value),
            (Kind::Decimal { scale }, Shape::Bytes(bytes)) => match decimal_text(bytes, *scale) {
                Some(text) => s.serialize_str(&text),
                None => return Err(self.error("expected a decimal of at most 16 bytes")),
            },
            _ => return Err(self.mismatch()),
        };
        written.map_err(|error| self.error(error))
    }
}

fn has(symbols: &[String], text: &str) -> bool {
    symbols.iter().any(|symbol| symbol == text)
}

fn number(shape: Shape<'_>) -> Option<f64> {
    match shape {
        Shape::Int(value) => Some(f64::from(value)),
        Shape::Long(value) => Some(value as f64),
        Shape::Float(value) => Some(f64::from(value)),
        Shape::Double(value) => Some(value),
        _ => None,
    }
}

/// Lays a duration out as three little-endian numbers; Avro specification, "Duration".
fn duration<'a>(datum: impl Datum<'a>) -> Option<[u8; 12]> {
    if let Shape::Bytes(bytes) = datum.shape() {
        return bytes.try_into().ok();
    }
    let Shape::Map(3) = datum.shape() else { return None };
    let mut bytes = [0; 12];
    for (place, name) in ["months", "days", "milliseconds"].into_iter().enumerate() {
        let part = match datum.field(name, place)?.shape() {
            Shape::Int(value) => u32::try_from(value).ok()?,
            Shape::Long(value) => u32::try_from(value).ok()?,
            _ => return None,
        };
        bytes[4 * place..4 * place + 4].copy_from_slice(&part.to_le_bytes());
    }
    Some(bytes)
}

/// Tells how well a value fits a branch of a union, the lower the better, or that it does not. For
/// records only the field names count: all that must be there are, and there is none besides.
fn rank<'a>(tree: &Tree, branch: NodeId, datum: impl Datum<'a>) -> Option<usize> {
    let shape = datum.shape();
    Some(match (tree.kind(branch), shape) {
        (Kind::Null, Shape::Null) | (Kind::Boolean, Shape::Bool(_)) => 0,
        (Kind::Int, Shape::Int(_)) | (Kind::Long, Shape::Long(_)) => 0,
        (Kind::Long, Shape::Int(_)) => 1,
        (Kind::Int, Shape::Long(value)) if i32::try_from(value).is_ok() => 1,
        (Kind::Float, Shape::Float(_)) | (Kind::Double, Shape::Double(_)) => 0,
        (Kind::Double, Shape::Float(_)) | (Kind::Float, Shape::Double(_)) => 1,
        (Kind::Double, Shape::Int(_) | Shape::Long(_)) => 2,
        (Kind::Float, Shape::Int(_) | Shape::Long(_)) => 3,
        (Kind::String, Shape::Str(_)) | (Kind::Bytes, Shape::Bytes(_)) => 0,
        (Kind::Enum(symbols), Shape::Str(text)) if has(&symbols.symbols, text) => 1,
        (Kind::Fixed { size }, Shape::Bytes(bytes)) if bytes.len() == *size => 1,
        (Kind::Duration, Shape::Map(_) | Shape::Bytes(_)) => duration(datum).map(|_| 2)?,
        (
            Kind::Decimal { .. } | Kind::BigDecimal,
            Shape::Int(_) | Shape::Long(_) | Shape::Float(_) | Shape::Double(_),
        ) => 4,
        (Kind::Decimal { .. } | Kind::BigDecimal, Shape::Str(text))
            if text.parse::<f64>().is_ok_and(f64::is_finite) =>
        {
            4
        }
        (Kind::String, Shape::Bytes(bytes)) if std::str::from_utf8(bytes).is_ok() => 5,
        (Kind::Bytes, Shape::Str(_)) => 5,
        (Kind::Fixed { size }, Shape::Str(text)) if datum.bytes_of(text)?.len() == *size => 6,
        (Kind::Array(_), Shape::Array(_)) => 0,
        (Kind::Record(record), Shape::Map(given)) => 10 + unset(tree, record, datum, given)?,
        (Kind::Map(_), Shape::Map(_)) => usize::MAX,
        _ => return None,
    })
}

/// Counts the fields that a map leaves to their defaults, if it fits the record.
fn unset<'a>(tree: &Tree, record: &Record, datum: impl Datum<'a>, given: usize) -> Option<usize> {
    let mut unset = 0;
    for (place, field) in record.fields.iter().enumerate() {
        if datum.field(&field.name, place).is_none() {
            if field.default.is_none() && !tree.is_nullable(field.node) {
                return None;
            }
            unset += 1;
        }
    }
    (record.fields.len() - unset == given).then_some(unset)
}
