//! Cells of CSV and command lines as JSON values, by the field of the schema that they are for.

use nubium_avro::{Graph, Node, NodeId};
use serde_json::{Map, Value};

/// What a cell's text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    /// Text, or a number.
    Time,
    Flag,
    /// Arrays, records and maps: the cell holds JSON.
    Json,
}

/// Reads the cells of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    name: String,
    kind: Kind,
    nullable: bool,
}

impl Column {
    /// Finds the record's field of this name.
    ///
    /// # Errors
    /// The schema is no record, or has no such field.
    pub fn of(schema: &Graph, name: &str) -> Result<Self, String> {
        let fields = &schema.record().ok_or("CSV needs a schema that is a record")?.fields;
        let field = fields.iter().find(|field| field.name == name).ok_or_else(|| {
            let known: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
            format!("column {name:?} is no field of the schema, which has {}", known.join(", "))
        })?;
        let (kind, nullable) = kind_of(schema, field.node);
        Ok(Self { name: name.into(), kind, nullable })
    }

    /// Reads a cell. An empty one is null where the field may be null, and nothing where it cannot
    /// be text, so that the field's default holds.
    ///
    /// # Errors
    /// It is not of the field's type.
    pub fn read(&self, cell: &str, into: &mut Map<String, Value>) -> Result<(), String> {
        let wrong = |what: &str| format!("column {:?}: {cell:?} is not {what}", self.name);
        let value = match self.kind {
            _ if cell.is_empty() && self.nullable => Value::Null,
            Kind::Text => Value::String(cell.into()),
            _ if cell.is_empty() => return Ok(()),
            Kind::Number => {
                let number = serde_json::from_str(cell.trim());
                Value::Number(number.map_err(|_| wrong("a number"))?)
            }
            Kind::Time => match cell.trim().parse::<i64>() {
                Ok(count) => count.into(),
                Err(_) => Value::String(cell.trim().into()),
            },
            Kind::Flag => match cell.trim().to_lowercase().as_str() {
                "true" | "1" | "yes" => Value::Bool(true),
                "false" | "0" | "no" => Value::Bool(false),
                _ => return Err(wrong("true or false")),
            },
            Kind::Json => serde_json::from_str(cell).map_err(|e| wrong(&format!("JSON ({e})")))?,
        };
        into.insert(self.name.clone(), value);
        Ok(())
    }
}

fn kind_of(schema: &Graph, node: NodeId) -> (Kind, bool) {
    let kind = match schema.node(node) {
        Node::Int | Node::Long | Node::Float | Node::Double => Kind::Number,
        Node::Date | Node::Time(_) | Node::Timestamp(_) | Node::LocalTimestamp(_) => Kind::Time,
        Node::Boolean => Kind::Flag,
        Node::Null => return (Kind::Json, true),
        Node::Array(_) | Node::Map(_) | Node::Record(_) | Node::Duration(_) => Kind::Json,
        Node::Union(union) => {
            let null = |branch: &NodeId| matches!(schema.node(*branch), Node::Null);
            let mut kinds: Vec<_> = union.branches.iter().filter(|b| !null(b)).collect();
            kinds.dedup_by_key(|branch| kind_of(schema, **branch).0);
            // A choice of types is told by JSON's own.
            let kind = if let [one] = kinds[..] { kind_of(schema, *one).0 } else { Kind::Json };
            return (kind, union.branches.iter().any(null));
        }
        // Decimals are text, so that no digit is lost; the rest is text by nature.
        _ => Kind::Text,
    };
    (kind, false)
}

#[cfg(test)]
mod tests {
    use nubium_avro::Schema;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_read_as_its_field_is_typed() {
        let schema = Schema::parse(
            &json!({"type": "record", "name": "R", "fields": [
            {"name": "text", "type": "string"}, {"name": "n", "type": ["null", "long"]},
            {"name": "d", "type": "double"}, {"name": "flag", "type": "boolean"},
            {"name": "list", "type": {"type": "array", "items": "int"}},
            {"name": "when", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9,
             "scale": 2}},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
            {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A"]}},
            {"name": "any", "type": ["null", "int", "string"]}]})
            .to_string(),
        )
        .unwrap();
        let mut row = Map::new();
        for (column, cell) in [
            ("text", "007"),
            ("n", ""),
            ("d", "1.5"),
            ("flag", "Yes"),
            ("list", "[1, 2]"),
            ("when", "12"),
            ("price", "9.99"),
            ("day", "2026-01-31"),
            ("kind", "A"),
            ("any", "5"),
        ] {
            Column::of(schema, column).unwrap().read(cell, &mut row).unwrap();
        }
        let wanted = json!({"text": "007", "n": null, "d": 1.5, "flag": true, "list": [1, 2],
            "when": 12, "price": "9.99", "day": "2026-01-31", "kind": "A", "any": 5});
        assert_eq!(Value::Object(row), wanted);
        let mut row = Map::new();
        let error = Column::of(schema, "d").unwrap().read("x", &mut row).unwrap_err();
        assert_eq!(error, "column \"d\": \"x\" is not a number");
        Column::of(schema, "d").unwrap().read("", &mut row).unwrap();
        assert!(row.is_empty(), "an empty number leaves the field to its default");
        assert!(Column::of(schema, "nope").unwrap_err().contains("text, n, d"));
        assert!(Column::of(Schema::parse("string").unwrap(), "x").unwrap_err().contains("record"));
    }
}
