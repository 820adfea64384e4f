//! JSON Schema (2020-12, as OpenAPI 3.1 has it) of Avro schemas, as far as the receiver takes them.

use nubium_avro::{Decimal, Field, Graph, Node, NodeId, Record};
use serde_json::{Map, Value as Json, json};

/// How deep an example goes: a type that contains itself has no end.
const DEPTH: usize = 4;

/// Adds a schema's records to the components and gives what refers to the whole. Records of one
/// name that differ between schemas get names of their own, by `index`.
pub(super) fn add(
    components: &mut Map<String, Json>,
    schema: &Graph,
    open: bool,
    index: usize,
) -> Json {
    for suffix in [String::new(), format!("-{index}")] {
        let mut writer = Writer { schema, open, suffix, records: Map::new() };
        let whole = writer.node(schema.root());
        let differs = |(name, record): (&String, &Json)| {
            components.get(name).is_some_and(|known| known != record)
        };
        if !writer.records.iter().any(differs) {
            components.append(&mut writer.records);
            return whole;
        }
    }
    json!({})
}

struct Writer<'a> {
    schema: &'a Graph,
    /// Whether unknown fields are taken.
    open: bool,
    suffix: String,
    records: Map<String, Json>,
}

impl Writer<'_> {
    fn node(&mut self, node: NodeId) -> Json {
        match self.schema.node(node) {
            Node::Json(form) => form.map_or_else(|| json!({}), |form| form.shape().clone()),
            Node::Null => json!({ "type": "null" }),
            Node::Boolean => json!({ "type": "boolean" }),
            Node::Int => json!({ "type": "integer", "format": "int32",
                "minimum": i32::MIN, "maximum": i32::MAX }),
            Node::Long => json!({ "type": "integer", "format": "int64" }),
            Node::Float => json!({ "type": "number", "format": "float" }),
            Node::Double => json!({ "type": "number", "format": "double" }),
            Node::Bytes | Node::String => json!({ "type": "string" }),
            Node::Fixed(fixed) => json!({ "type": "string",
                "minLength": fixed.size, "maxLength": fixed.size,
                "description": "Bytes, as characters U+0000 to U+00FF." }),
            Node::Enum(symbols) => json!({ "enum": symbols.symbols }),
            Node::Array(items) => json!({ "type": "array", "items": self.node(*items) }),
            Node::Map(values) => {
                json!({ "type": "object", "additionalProperties": self.node(*values) })
            }
            Node::Union(union) => {
                let variants: Vec<_> = union.branches.iter().map(|id| self.node(*id)).collect();
                json!({ "anyOf": variants })
            }
            Node::Record(record) => self.record(record),
            Node::Date => json!({ "anyOf": [
                { "type": "string", "format": "date" },
                { "type": "integer", "description": "Days since 1970-01-01." }] }),
            Node::Timestamp(unit) => json!({ "anyOf": [
                { "type": "string", "format": "date-time" },
                { "type": "integer", "description": format!("{unit:?} since 1970.") }] }),
            Node::LocalTimestamp(unit) => json!({ "anyOf": [
                { "type": "string", "description": "YYYY-MM-DDTHH:MM:SS, without a zone." },
                { "type": "integer", "description": format!("{unit:?} since 1970.") }] }),
            Node::Time(unit) => json!({ "anyOf": [
                { "type": "string", "description": "HH:MM:SS" },
                { "type": "integer", "description": format!("{unit:?} since midnight.") }] }),
            Node::Decimal(Decimal { precision, scale, .. }) => {
                let description =
                    format!("A decimal of {precision} digits, {scale} of them after the point.");
                json!({ "type": ["string", "number"], "description": description })
            }
            Node::BigDecimal => json!({ "type": ["string", "number"] }),
            Node::Uuid(_) => json!({ "type": "string", "format": "uuid" }),
            Node::Duration(_) => {
                let part = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
                json!({ "type": "object", "additionalProperties": false,
                    "required": ["months", "days", "milliseconds"],
                    "properties": { "months": part, "days": part, "milliseconds": part } })
            }
        }
    }

    fn record(&mut self, record: &Record) -> Json {
        let name = format!("{}{}", record.name, self.suffix);
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        if self.records.contains_key(&name) {
            return reference;
        }
        // The place is taken first: a field may refer to the record that it is in.
        self.records.insert(name.clone(), Json::Null);
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in &record.fields {
            let mut property = self.node(field.node);
            match &field.default {
                Some(default) => property["default"] = default.clone(),
                None if self.schema.is_nullable(field.node) => {}
                None => required.push(field.name.as_str()),
            }
            properties.insert(field.name.to_string(), property);
        }
        let described = json!({ "type": "object", "properties": properties,
            "required": required, "additionalProperties": self.open });
        self.records.insert(name, described);
        reference
    }
}

/// Gives an item that fits the schema, to begin with.
#[must_use]
pub fn example(schema: &Graph) -> Json {
    of_node(schema, schema.root(), DEPTH)
}

fn of_node(schema: &Graph, node: NodeId, depth: usize) -> Json {
    match schema.node(node) {
        Node::Null => Json::Null,
        Node::Json(_) => json!({}),
        Node::Boolean => json!(true),
        Node::Int | Node::Long => json!(1),
        Node::Float | Node::Double => json!(1.5),
        Node::Bytes | Node::String => json!("text"),
        Node::Fixed(fixed) => json!("x".repeat(fixed.size)),
        Node::Enum(symbols) => json!(symbols.symbols.first()),
        Node::Array(items) if depth > 0 => json!([of_node(schema, *items, depth - 1)]),
        Node::Map(values) if depth > 0 => json!({ "name": of_node(schema, *values, depth - 1) }),
        Node::Array(_) => json!([]),
        Node::Map(_) => json!({}),
        Node::Union(union) => {
            let variants = &union.branches;
            let null = |id: &NodeId| matches!(schema.node(*id), Node::Null);
            let wanted = match depth {
                0 => variants.iter().find(|id| null(id)).or(variants.first()),
                _ => variants.iter().find(|id| !null(id)).or(variants.first()),
            };
            wanted.map_or(Json::Null, |id| of_node(schema, *id, depth.saturating_sub(1)))
        }
        // A record that contains itself without a way out has no example at all.
        Node::Record(_) if depth == 0 => json!({}),
        Node::Record(record) => {
            let field =
                |field: &Field| (field.name.to_string(), of_node(schema, field.node, depth - 1));
            Json::Object(record.fields.iter().map(field).collect())
        }
        Node::Date => json!("2026-01-31"),
        Node::Timestamp(_) => json!("2026-01-31T12:00:00Z"),
        Node::LocalTimestamp(_) => json!("2026-01-31T12:00:00"),
        Node::Time(_) => json!("12:00:00"),
        Node::Decimal(Decimal { precision, scale, .. }) => match (*scale, precision > scale) {
            (0, _) => json!("1"),
            (scale, whole) => {
                json!(format!("{}.{}", i32::from(whole), "0".repeat(scale)))
            }
        },
        Node::BigDecimal => json!("1.5"),
        Node::Uuid(_) => json!("6f1e7c1a-8e1f-4a53-9c67-3f2b1c5d7e90"),
        Node::Duration(_) => json!({ "months": 0, "days": 1, "milliseconds": 0 }),
    }
}
