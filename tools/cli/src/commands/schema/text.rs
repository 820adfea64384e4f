//! Schemas as people write them: the attributes in their usual order, short things on one line.

use serde_json::Value;

/// The usual order of attributes; what is not among them follows by name.
const ORDER: [&str; 17] = [
    "type",
    "name",
    "namespace",
    "doc",
    "aliases",
    "size",
    "symbols",
    "items",
    "values",
    "fields",
    "logicalType",
    "precision",
    "scale",
    "default",
    "order",
    "subject",
    "version",
];
/// Fields begin with their name.
const FIELD_ORDER: [&str; 5] = ["name", "type", "default", "doc", "aliases"];
/// What is longer than this gets lines of its own.
const WIDTH: usize = 90;

/// Writes a schema.
pub(super) fn pretty(schema: &Value) -> String {
    let mut out = String::new();
    put(schema, &ORDER, 0, &mut out);
    out
}

fn put(value: &Value, order: &[&str], depth: usize, out: &mut String) {
    let flat = flat(value, order);
    // Of fields, each has its own line.
    let is_list_of_fields = value.is_array() && order == FIELD_ORDER;
    if flat.len() + 2 * depth <= WIDTH && !has_fields(value) && !is_list_of_fields {
        out.push_str(&flat);
        return;
    }
    let indent = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    match value {
        Value::Object(map) => {
            out.push('{');
            for (index, (name, value)) in ordered(map, order).into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                indent(out, depth + 1);
                out.push_str(&format!("{}: ", Value::from(name)));
                let order: &[&str] = if name == "fields" { &FIELD_ORDER } else { &ORDER };
                put(value, order, depth + 1, out);
            }
            indent(out, depth);
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                indent(out, depth + 1);
                put(item, order, depth + 1, out);
            }
            indent(out, depth);
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// A record is never written on one line, nor what has one in it.
fn has_fields(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("fields") || map.values().any(has_fields),
        Value::Array(items) => items.iter().any(has_fields),
        _ => false,
    }
}

fn flat(value: &Value, order: &[&str]) -> String {
    match value {
        Value::Object(map) => {
            let parts = ordered(map, order).into_iter();
            let parts = parts.map(|(n, v)| format!("{}: {}", Value::from(n), flat(v, &ORDER)));
            format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let parts = items.iter().map(|item| flat(item, order));
            format!("[{}]", parts.collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

fn ordered<'m>(
    map: &'m serde_json::Map<String, Value>,
    order: &[&str],
) -> Vec<(&'m str, &'m Value)> {
    let mut entries: Vec<_> = map.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let rank = |name: &str| order.iter().position(|known| *known == name).unwrap_or(order.len());
    entries.sort_by_key(|(name, _)| (rank(name), *name));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_reads_as_people_write_it_and_stays_the_same() {
        let schema = serde_json::json!({"name": "Order", "type": "record", "fields": [
            {"type": "long", "name": "id"},
            {"default": null, "type": ["null", "string"], "name": "note"},
            {"name": "line", "type": {"fields": [{"name": "sku", "type": "string"}],
                "name": "Line", "type": "record"}}]});
        let text = pretty(&schema);
        let wanted = r#"{
  "type": "record",
  "name": "Order",
  "fields": [
    {"name": "id", "type": "long"},
    {"name": "note", "type": ["null", "string"], "default": null},
    {
      "name": "line",
      "type": {
        "type": "record",
        "name": "Line",
        "fields": [
          {"name": "sku", "type": "string"}
        ]
      }
    }
  ]
}"#;
        assert_eq!(text, wanted);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), schema);
        assert_eq!(pretty(&Value::from("string")), "\"string\"");
    }
}
