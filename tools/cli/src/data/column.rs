//! Cells of CSV and command lines as JSON values, by the field of the schema that they are for.

use serde_json::{Map, Value};

/// What a cell's text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
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
    pub fn of(schema: &Value, name: &str) -> Result<Self, String> {
        let fields = schema["fields"].as_array().ok_or("CSV needs a schema that is a record")?;
        let field = fields.iter().find(|field| field["name"] == name).ok_or_else(|| {
            let known: Vec<_> = fields.iter().filter_map(|field| field["name"].as_str()).collect();
            format!("column {name:?} is no field of the schema, which has {}", known.join(", "))
        })?;
        let (kind, nullable) = kind_of(&field["type"]);
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

fn kind_of(schema: &Value) -> (Kind, bool) {
    match schema {
        Value::String(name) => (named(name), name == "null"),
        Value::Object(object) if object.get("logicalType").is_some_and(|l| l == "decimal") => {
            (Kind::Text, false)
        }
        Value::Object(object) => match object.get("type") {
            Some(Value::String(name)) => (named(name), false),
            Some(inner) => kind_of(inner),
            None => (Kind::Json, false),
        },
        Value::Array(branches) => {
            let is_null = |branch: &&Value| **branch == "null";
            let nullable = branches.iter().any(|branch| is_null(&branch));
            let kinds = branches.iter().filter(|branch| !is_null(branch)).map(|b| kind_of(b).0);
            let mut kinds = kinds.collect::<Vec<_>>();
            kinds.dedup();
            // A choice of types is told by JSON's own.
            (if let [kind] = kinds[..] { kind } else { Kind::Json }, nullable)
        }
        _ => (Kind::Json, false),
    }
}

fn named(name: &str) -> Kind {
    match name {
        "int" | "long" | "float" | "double" => Kind::Number,
        "boolean" => Kind::Flag,
        "array" | "map" | "record" | "null" => Kind::Json,
        // Strings, bytes, enums, and names of types, of which enums are what a cell can hold.
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_read_as_its_field_is_typed() {
        let schema = json!({"type": "record", "name": "R", "fields": [
            {"name": "text", "type": "string"}, {"name": "n", "type": ["null", "long"]},
            {"name": "d", "type": "double"}, {"name": "flag", "type": "boolean"},
            {"name": "list", "type": {"type": "array", "items": "int"}},
            {"name": "when", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "price", "type": {"type": "bytes", "logicalType": "decimal"}},
            {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A"]}},
            {"name": "any", "type": ["null", "int", "string"]}]});
        let mut row = Map::new();
        for (column, cell) in [
            ("text", "007"),
            ("n", ""),
            ("d", "1.5"),
            ("flag", "Yes"),
            ("list", "[1, 2]"),
            ("when", "12"),
            ("price", "9.99"),
            ("kind", "A"),
            ("any", "5"),
        ] {
            Column::of(&schema, column).unwrap().read(cell, &mut row).unwrap();
        }
        let wanted = json!({"text": "007", "n": null, "d": 1.5, "flag": true, "list": [1, 2],
            "when": 12, "price": "9.99", "kind": "A", "any": 5});
        assert_eq!(Value::Object(row), wanted);
        let mut row = Map::new();
        let error = Column::of(&schema, "d").unwrap().read("x", &mut row).unwrap_err();
        assert_eq!(error, "column \"d\": \"x\" is not a number");
        Column::of(&schema, "d").unwrap().read("", &mut row).unwrap();
        assert!(row.is_empty(), "an empty number leaves the field to its default");
        assert!(Column::of(&schema, "nope").unwrap_err().contains("text, n, d"));
        assert!(Column::of(&json!("string"), "x").unwrap_err().contains("record"));
    }
}
