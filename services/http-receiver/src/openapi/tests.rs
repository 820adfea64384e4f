use super::*;
use crate::settings::Settings;

const TREE: &str = r#"{"type": "record", "name": "x.Tree", "fields": [
    {"name": "name", "type": "string"},
    {"name": "children", "type": {"type": "array", "items": "x.Tree"}},
    {"name": "size", "type": "int", "default": 7},
    {"name": "note", "type": ["null", "string"]}]}"#;
const SETTINGS: &str = "
credentials: {crm: {api_key_file: keys}, shop: {hmac_file: keys, header: X-Sig}}
routes:
  - {path: /trees, topic: trees, schema: tree.avsc, auth: [crm, shop]}
  - {path: /loose, topic: trees, schema: tree.avsc, ignore_unknown_fields: true}
  - {path: /any, topic: trees, schema: tree.avsc, program: p.vrl}
";

fn settings() -> Settings {
    Settings::parse("f", SETTINGS, &|name| {
        Ok(match name {
            "tree.avsc" => TREE,
            "keys" => "0123456789abcdef",
            _ => ".",
        }
        .to_owned())
    })
    .unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn a_route_is_described_with_its_schema_and_its_callers() {
    let described = describe("trees", &settings());
    assert_eq!(described["openapi"], "3.1.0");
    let post = &described["paths"]["/trees"]["post"];
    let item = &post["requestBody"]["content"]["application/x-ndjson"]["schema"];
    assert_eq!(item["$ref"], "#/components/schemas/x.Tree");
    let tree = &described["components"]["schemas"]["x.Tree"];
    assert_eq!(tree["required"], json!(["name", "children"]));
    assert_eq!(tree["properties"]["size"]["default"], 7);
    assert_eq!(tree["properties"]["children"]["items"]["$ref"], "#/components/schemas/x.Tree");
    assert_eq!(tree["additionalProperties"], false);
    assert_eq!(post["security"], json!([{"crm": []}, {"crm-bearer": []}, {"shop": []}]));
    assert_eq!(described["components"]["securitySchemes"]["shop"]["name"], "x-sig");
    assert!(post["responses"]["401"].is_object());
    assert!(!described.to_string().contains("0123456789abcdef"));
}

#[test]
fn a_record_that_differs_between_routes_gets_a_name_of_its_own() {
    let described = describe("trees", &settings());
    let schemas = &described["components"]["schemas"];
    assert_eq!(schemas["x.Tree"]["additionalProperties"], false);
    assert_eq!(schemas["x.Tree-1"]["additionalProperties"], true);
    let loose = &described["paths"]["/loose"]["post"]["requestBody"]["content"];
    let item = &loose["application/x-ndjson"]["schema"]["$ref"];
    assert_eq!(item, "#/components/schemas/x.Tree-1");
    assert!(described["paths"]["/any"]["post"]["responses"]["401"].is_null());
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'j>(json: &'j Json, found: &mut Vec<&'j str>) {
        match json {
            Json::Object(map) => {
                found.extend(map.get("$ref").and_then(Json::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Json::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let described = describe("trees", &settings());
    let mut found = Vec::new();
    references(&described, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("local");
        assert!(described.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn the_example_fits_its_schema() {
    let settings = settings();
    let schema = item_schema(&settings.routes[0]).expect("schema");
    let (example, mut problems) = (example(schema), Vec::new());
    let rules = crate::fit::Rules::default();
    crate::fit::fit(schema, rules, &example, ("", &mut problems), &mut Vec::new());
    // A tree within a tree within… ends with one that is cut off.
    let cut = |problem: &crate::fit::Problem| problem.pointer.starts_with("/children/0/children/0");
    assert!(problems.iter().all(cut), "{problems:?}");
}
