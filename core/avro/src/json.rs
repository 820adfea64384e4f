//! The one JSON form of every Avro type.
//!
//! | type | printed | read |
//! | --- | --- | --- |
//! | `boolean`, `int`, `long`, `string`, enum | as JSON has them | the same; numbers in range |
//! | `float`, `double` | the shortest number that is it; `"NaN"`, `"Infinity"`, `"-Infinity"` | the same |
//! | `bytes`, `fixed` | a text of one character each, U+0000 to U+00FF | the same |
//! | `decimal`, `big-decimal` | exact text: `"12.50"` | text, or a number; no digit too many |
//! | `uuid` | 36 characters | the same |
//! | `date` | `"2026-01-31"` | the same, or days |
//! | `time-*` | `"09:30:00.000"` | the same, or their number |
//! | `timestamp-*` | `"2026-01-31T09:30:00.000Z"` | RFC 3339, or their number |
//! | `local-timestamp-*` | `"2026-01-31T09:30:00.000"` | the same, or their number |
//! | `duration` | `{"months", "days", "milliseconds"}` | the same |
//! | union | its value, or `{"branch": value}` where that would not tell the branch | both |
//!
//! A time that the text cannot show (a year of five digits) is printed as its number.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::bytes::{DecodeError, MAX_DEPTH, Reader};
use crate::node::{Node, NodeId};
use crate::scalar::{Scalar, blocks};
use crate::{Graph, decimal, time};

/// Appends one datum as JSON.
///
/// # Errors
/// The bytes are not of that type; what was appended is then of no use.
pub fn put(
    graph: &Graph,
    node: NodeId,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    put_at(graph, node, reader, out, MAX_DEPTH)
}

fn put_at(
    graph: &Graph,
    node: NodeId,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<(), DecodeError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(reader.error(format!("more than {MAX_DEPTH} levels")));
    };
    if let Some(scalar) = graph.scalar(node, reader)? {
        put_scalar(scalar, out);
        return Ok(());
    }
    match graph.node(node) {
        Node::Array(items) => {
            out.push(b'[');
            let mut between = Between::default();
            blocks(reader, |reader| {
                between.put(out);
                put_at(graph, *items, reader, out, depth)
            })?;
            out.push(b']');
        }
        Node::Map(values) => {
            out.push(b'{');
            let mut between = Between::default();
            blocks(reader, |reader| {
                between.put(out);
                put_text(reader.text()?, out);
                out.push(b':');
                put_at(graph, *values, reader, out, depth)
            })?;
            out.push(b'}');
        }
        Node::Record(record) => {
            out.push(b'{');
            let mut between = Between::default();
            for field in &record.fields {
                between.put(out);
                put_text(&field.name, out);
                out.push(b':');
                put_at(graph, field.node, reader, out, depth)?;
            }
            out.push(b'}');
        }
        Node::Union(union) => {
            let branch = *reader.variant(&union.branches)?;
            if !union.tagged || matches!(graph.node(branch), Node::Null) {
                return put_at(graph, branch, reader, out, depth);
            }
            out.push(b'{');
            put_text(graph.branch_name(branch), out);
            out.push(b':');
            put_at(graph, branch, reader, out, depth)?;
            out.push(b'}');
        }
        _ => return Err(reader.error("a type that is neither one value nor several")),
    }
    Ok(())
}

/// Puts commas between, and none before the first.
#[derive(Default)]
struct Between(bool);

impl Between {
    fn put(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.0, true) {
            out.push(b',');
        }
    }
}

/// Appends a text with its quotes.
pub fn put_text(text: &str, out: &mut Vec<u8>) {
    put_json(text, out);
}

fn put_json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Writing to memory does not fail, nor does any of these values.
    let _ = serde_json::to_writer(out, value);
}

fn put_scalar(scalar: Scalar<'_>, out: &mut Vec<u8>) {
    match scalar {
        Scalar::Null => out.extend_from_slice(b"null"),
        Scalar::Boolean(flag) => put_json(&flag, out),
        Scalar::Int(number) => put_json(&number, out),
        Scalar::Long(number) => put_json(&number, out),
        Scalar::Float(number) if number.is_finite() => put_json(&number, out),
        Scalar::Float(number) => put_text(not_finite(number.into()), out),
        Scalar::Double(number) if number.is_finite() => put_json(&number, out),
        Scalar::Double(number) => put_text(not_finite(number), out),
        Scalar::Bytes(bytes) => {
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            put_text(&text, out);
        }
        Scalar::Text(text) | Scalar::Symbol(text) => put_text(text, out),
        Scalar::Uuid(bytes) => put_text(&crate::uuid_text(bytes), out),
        Scalar::Decimal(unscaled, scale) => put_text(&decimal::text(unscaled, scale), out),
        Scalar::Date(days) => put_time(time::date_text(days), days.into(), out),
        Scalar::Time(count, unit) => put_time(time::time_text(count, unit), count, out),
        Scalar::Timestamp(count, unit) => put_time(time::instant_text(count, unit), count, out),
        Scalar::Local(count, unit) => put_time(time::local_text(count, unit), count, out),
        Scalar::Document(text) => crate::form::put_line(text, out),
        Scalar::Duration([months, days, milliseconds]) => {
            let text =
                format!("{{\"months\":{months},\"days\":{days},\"milliseconds\":{milliseconds}}}");
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn put_time(text: Option<String>, count: i64, out: &mut Vec<u8>) {
    match text {
        Some(text) => put_text(&text, out),
        None => put_json(&count, out),
    }
}

/// Names a number that JSON has none for, as Java's and Protobuf's JSON do.
#[must_use]
pub fn not_finite(number: f64) -> &'static str {
    match (number.is_nan(), number > 0.0) {
        (true, _) => "NaN",
        (false, true) => "Infinity",
        (false, false) => "-Infinity",
    }
}

/// Reads JSON that is to be a datum of `node`. Where a decimal is wanted, a number is kept as the
/// text that it was, for a double would lose its digits.
///
/// # Errors
/// It is no JSON.
pub fn parse(graph: &Graph, node: NodeId, json: &[u8]) -> Result<Json, serde_json::Error> {
    Exact::of(graph, node).parse(json)
}

/// Reads a JSON value as [`parse`] does, from any part of a document. The default knows of no
/// decimal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Exact<'g>(Option<(&'g Graph, NodeId)>);

impl<'g> Exact<'g> {
    /// Reads what is to be a datum of `node`.
    #[must_use]
    pub fn of(graph: &'g Graph, node: NodeId) -> Self {
        Self(graph.has_decimal().then_some((graph, node)))
    }

    /// Reads a whole document.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn parse(self, json: &[u8]) -> Result<Json, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let value = self.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    fn at(self, node: Option<NodeId>) -> Self {
        Self(self.0.and_then(|(graph, _)| Some((graph, node?))))
    }

    /// Asks the type that is wanted here, or each branch of a union.
    fn find<T>(self, of: impl Fn(&'g Graph, NodeId) -> Option<T>) -> Option<T> {
        let (graph, node) = self.0?;
        let branches = match graph.node(node) {
            Node::Union(union) => &union.branches[..],
            _ => &[],
        };
        of(graph, node).or_else(|| branches.iter().find_map(|branch| of(graph, *branch)))
    }

    /// Tells whether a number here can only be a decimal.
    fn wants_decimal(self) -> bool {
        let is = |wanted: fn(&Node) -> bool| {
            self.find(|graph, node| wanted(graph.node(node)).then_some(())).is_some()
        };
        is(|node| matches!(node, Node::Decimal(_) | Node::BigDecimal))
            && !is(|node| matches!(node, Node::Int | Node::Long | Node::Float | Node::Double))
    }

    fn field(self, name: &str) -> Self {
        let named = |graph: &'g Graph, node| match graph.node(node) {
            Node::Record(record) => record.fields.iter().find(|f| f.name == name).map(|f| f.node),
            Node::Map(values) => Some(*values),
            _ => None,
        };
        // A name may also be that of a union's branch.
        let tagged = |graph: &'g Graph, node| (graph.branch_name(node) == name).then_some(node);
        self.at(self.find(named).or_else(|| self.find(tagged)))
    }

    fn item(self) -> Self {
        let items = |graph: &'g Graph, node| match graph.node(node) {
            Node::Array(items) => Some(*items),
            _ => None,
        };
        self.at(self.find(items))
    }
}

impl<'de> DeserializeSeed<'de> for Exact<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        if !self.wants_decimal() {
            return deserializer.deserialize_any(self);
        }
        let raw: Box<RawValue> = serde::Deserialize::deserialize(deserializer)?;
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'-' | b'0'..=b'9') => Ok(Json::String(text.to_owned())),
            _ => serde_json::from_str(text).map_err(D::Error::custom),
        }
    }
}

macro_rules! visit {
    ($($method:ident: $source:ty),* $(,)?) => {$(
        fn $method<E: Error>(self, value: $source) -> Result<Json, E> {
            Ok(value.into())
        }
    )*};
}

impl<'de> Visitor<'de> for Exact<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    visit! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str,
        visit_string: String,
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self.item())? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut entries = serde_json::Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(self.field(&name))?;
            entries.insert(name, value);
        }
        Ok(Json::Object(entries))
    }
}
