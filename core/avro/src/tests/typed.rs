//! Types known when the program is compiled, where the schema has decimals and UUIDs.

use serde::Serialize;
use serde_json::json;

use super::{schema, shown};
use crate::{Body, Encode, Typed};

#[derive(Serialize)]
struct Line<T> {
    price: T,
    more: Vec<Option<T>>,
    id: &'static str,
}

fn line<T: Serialize + Clone>(price: T, id: &'static str) -> Result<String, String> {
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2});
    let schema = schema(&json!({"type": "record", "name": "Line", "fields": [
        {"name": "price", "type": decimal},
        {"name": "more", "type": {"type": "array", "items": ["null", decimal]}},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}}]}));
    let more = vec![None, Some(price.clone())];
    let mut out = Vec::new();
    Line { price, more, id }.encode(Body::new(&mut Typed::new(schema), &mut out))?;
    shown(schema, &out)
}

const ID: &str = "0f3a1c1e-8a9b-4c56-9d5e-0123456789ab";

#[test]
fn typed_decimals_are_exact() {
    let form = |text: &str| format!(r#"{{"price":"{text}","more":[null,"{text}"],"id":"{ID}"}}"#);
    assert_eq!(line("1.23", ID).unwrap(), form("1.23"));
    assert_eq!(line(200_i64, ID).unwrap(), form("200.00"));
    assert_eq!(line(-128_i32, ID).unwrap(), form("-128.00"));
    assert_eq!(line(40_000_u32, ID).unwrap(), form("40000.00"));
    assert_eq!(line(0.07, ID).unwrap(), form("0.07"));
    for (error, what) in [
        (line("1.234", ID), "at `price`: text \"1.234\" does not fit the decimal"),
        (line(1.234, ID), "at `price`: 1.234 does not fit the decimal"),
        (line("12345678.00", ID), "at most 9 digits"),
        (line("1", "nope"), "at `id`: uuid is wanted, not text \"nope\""),
    ] {
        let error = error.unwrap_err();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn branches_beside_a_decimal_keep_their_place() {
    let decimal = json!({"type": "fixed", "name": "D", "size": 20, "logicalType": "decimal",
        "precision": 38, "scale": 2});
    let schema = schema(&json!(["null", "string", decimal, {"type": "record", "name": "R",
        "fields": [{"name": "n", "type": "int"}]}]));
    #[derive(Serialize)]
    struct R {
        n: i32,
    }
    let through = |value: &dyn Fn(Body<'_>) -> Result<(), String>| {
        let mut out = Vec::new();
        value(Body::new(&mut Typed::new(schema), &mut out)).unwrap();
        shown(schema, &out).unwrap()
    };
    assert_eq!(through(&|body| ().encode(body)), "null");
    assert_eq!(through(&|body| "x".encode(body)), r#"{"string":"x"}"#);
    assert_eq!(through(&|body| 5_i64.encode(body)), r#"{"D":"5.00"}"#);
    assert_eq!(through(&|body| R { n: 1 }.encode(body)), r#"{"R":{"n":1}}"#);
}
