//! Other implementations' bytes: `core/avro/vectors/` has how they were made.

use serde_json::Value as Json;

use super::{schema, shown, written};
use crate::Rules;

/// One value as another implementation wrote or refused it.
#[derive(serde::Deserialize)]
struct Vector {
    schema: Json,
    /// In our JSON form.
    json: Json,
    /// What it wrote; `None` when it refused the value.
    hex: Option<String>,
}

/// Checks that values are refused alike, and that what either writes reads the same.
fn check(name: &str, text: &str, same_bytes: bool) -> usize {
    let vectors: Vec<Vector> = serde_json::from_str(text).unwrap();
    for Vector { schema: avro, json, hex } in &vectors {
        let schema = schema(avro);
        let ours = written(schema, &json.to_string(), Rules::JSON);
        let Some(hex) = hex else {
            assert!(ours.is_err(), "{name} refuses {avro} <- {json}, and we do not");
            continue;
        };
        let theirs: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let back = shown(schema, &theirs).unwrap_or_else(|e| panic!("{name}, {avro}: {e}"));
        let back: Json = serde_json::from_str(&back).unwrap();
        assert_eq!(&back, json, "{name} wrote it as {hex} of {avro}");
        let ours = ours.unwrap_or_else(|misfit| panic!("{name}: {avro} <- {json}: {misfit}"));
        if same_bytes {
            assert_eq!(ours, theirs, "{name}: {avro} <- {json}");
        }
        let ours: Json = serde_json::from_str(&shown(schema, &ours).unwrap()).unwrap();
        assert_eq!(&ours, json, "{avro}");
    }
    vectors.len()
}

#[test]
fn fastavro_writes_and_refuses_what_we_do() {
    // It writes some negative decimals with a byte more than they need.
    assert!(check("fastavro", include_str!("../../vectors/fastavro.json"), false) >= 40);
}

#[test]
fn apache_avro_for_java_writes_and_refuses_what_we_do() {
    assert!(check("Java", include_str!("../../vectors/java.json"), true) >= 30);
}
