//! Values and keys as they may lie on a topic, and what each of them is.

use nubium_test_kit::wire::Writer;
use serde_json::{Value, json};

use crate::world::Ids;

/// What a message is to every program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expect {
    /// This value, as JSON.
    Is(Value),
    /// A tombstone.
    Null,
    /// Bytes that cannot be read as the topic's format.
    Broken,
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) format: &'static str,
    pub(crate) name: String,
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) expect: Expect,
}

/// The formats, by the names that settings have for them.
pub(crate) const FORMATS: [&str; 6] = ["avro", "json", "json_schema", "protobuf", "text", "bytes"];

fn is(value: Value) -> Expect {
    Expect::Is(value)
}

/// Puts a schema's id before a body.
pub(crate) fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), body].concat()
}

/// All values.
pub(crate) fn values(ids: &Ids) -> Vec<Case> {
    let all = [
        ("avro", avro(ids)),
        ("json", json_plain(ids)),
        ("json_schema", json_schema(ids)),
        ("protobuf", protobuf(ids)),
        ("text", text(ids)),
        ("bytes", bytes(ids)),
    ];
    let cases = all.into_iter().flat_map(|(format, rows)| {
        let tombstone = ("tombstone", None, Expect::Null);
        let rows = rows.into_iter().map(|(name, bytes, expect)| (name, Some(bytes), expect));
        rows.chain([tombstone]).map(move |(name, bytes, expect)| {
            let name = format!("{format}: {name}");
            Case { format, name, bytes, expect }
        })
    });
    cases.collect()
}

type Row = (&'static str, Vec<u8>, Expect);

fn note(text: &str, count: i64) -> Expect {
    is(json!({"text": text, "count": count}))
}

fn avro(ids: &Ids) -> Vec<Row> {
    let note_bytes = |text: &str| Writer::framed(ids.avro).string(text).long(7).finish();
    let trailing = [note_bytes("x"), vec![0]].concat();
    vec![
        ("a record", note_bytes("a"), note("a", 7)),
        ("no ASCII", note_bytes("größer"), note("größer", 7)),
        ("an empty text", note_bytes(""), note("", 7)),
        ("a text of a zero", note_bytes("\0"), note("\0", 7)),
        ("bytes left over", trailing, Expect::Broken),
        ("cut off", framed(ids.avro, &[8, b'a']), Expect::Broken),
        ("a negative length", framed(ids.avro, &[1]), Expect::Broken),
        ("no UTF-8", framed(ids.avro, &[2, 0xff, 0]), Expect::Broken),
        ("an id that nobody knows", framed(999_999, &[0]), Expect::Broken),
        ("another magic byte", vec![1, 0, 0, 0, 1, 0], Expect::Broken),
        ("shorter than a header", vec![0, 0, 0], Expect::Broken),
        ("no byte", vec![], Expect::Broken),
        ("JSON without framing", b"{\"text\":\"a\"}".to_vec(), Expect::Broken),
        ("framed as JSON Schema", framed(ids.json, br#"{"text":"j","count":1}"#), note("j", 1)),
        ("framed as Protobuf", framed(ids.proto, &[0, 0x0a, 1, b'p']), rich(&[("text", "p")])),
    ]
}

fn json_plain(ids: &Ids) -> Vec<Row> {
    let row = |name, text: &str, value| (name, text.as_bytes().to_vec(), is(value));
    let broken = |name, text: &[u8]| (name, text.to_vec(), Expect::Broken);
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    vec![
        row("an object", r#"{"text":"a","count":1}"#, json!({"text": "a", "count": 1})),
        row("white space", "{\n  \"a\" :\t[ 1, 2 ]\r\n}\n", json!({"a": [1, 2]})),
        row("an array", "[1,null,true]", json!([1, null, true])),
        row("a text", "\"a\"", json!("a")),
        row("a number", "-0.5e3", json!(-500.0)),
        row("null", "null", json!(null)),
        row("escapes", r#""\u00e9\ud83d\ude00\n""#, json!("é😀\n")),
        row("the largest whole number", "9223372036854775807", json!(i64::MAX)),
        row("a name twice", r#"{"a":1,"a":2}"#, json!({"a": 2})),
        row("an empty name", r#"{"":0}"#, json!({"": 0})),
        broken("cut off", b"{\"a\":"),
        broken("two documents", b"{} {}"),
        broken("a single quote", b"{'a': 1}"),
        broken("NaN", b"NaN"),
        broken("half a surrogate", br#""\ud800""#),
        broken("no UTF-8", b"\"\xff\""),
        broken("nested too deeply", deep.as_bytes()),
        broken("no byte", b""),
        broken("framed", &framed(ids.json, b"{}")),
    ]
}

fn json_schema(ids: &Ids) -> Vec<Row> {
    let row = |name, text: &str, expect| (name, framed(ids.json, text.as_bytes()), expect);
    vec![
        row("an object", r#"{"text":"a","count":1}"#, note("a", 1)),
        row("white space", "{ \"text\": \"a\",\n\"count\": 1 }", note("a", 1)),
        row("no ASCII", r#"{"text":"größer","count":-1}"#, note("größer", -1)),
        row("a field too many", r#"{"text":"a","count":1,"x":1}"#, Expect::Broken),
        row("a field too few", r#"{"text":"a"}"#, Expect::Broken),
        row("another type", r#"{"text":"a","count":"1"}"#, Expect::Broken),
        row("a fraction", r#"{"text":"a","count":1.5}"#, Expect::Broken),
        row("another root", "[]", Expect::Broken),
        row("no JSON", "{", Expect::Broken),
        row("no body", "", Expect::Broken),
        ("without framing", br#"{"text":"a","count":1}"#.to_vec(), Expect::Broken),
        ("an id that nobody knows", framed(999_999, b"{}"), Expect::Broken),
        ("framed as Avro", Writer::framed(ids.avro).string("v").long(2).finish(), note("v", 2)),
    ]
}

/// What a message of Protobuf is with these texts, and all else as it is by default.
fn rich(texts: &[(&str, &str)]) -> Expect {
    let mut all = json!({"text": "", "count": 0, "list": [], "tags": {}, "kind": "A", "big": 0,
        "ratio": 0.0, "mark": ""});
    texts.iter().for_each(|(name, text)| all[*name] = json!(text));
    is(all)
}

fn rich_with(name: &str, value: Value) -> Expect {
    let Expect::Is(mut all) = rich(&[]) else { return Expect::Broken };
    all[name] = value;
    is(all)
}

fn protobuf(ids: &Ids) -> Vec<Row> {
    let row = |name, body: &[u8], expect| (name, framed(ids.proto, body), expect);
    let with = |name, value| rich_with(name, value);
    vec![
        row("a message", &[0, 0x0a, 1, b'a'], rich(&[("text", "a")])),
        row("nothing but defaults", &[0], rich(&[])),
        row("indexes written out", &[2, 0, 0x0a, 1, b'a'], rich(&[("text", "a")])),
        row("the second message", &[2, 2, 0x0a, 1, b'o'], is(json!({"name": "o"}))),
        row("a nested message", &[4, 0, 2, 0x0a, 1, b's'], is(json!({"sku": "s"}))),
        row("the same as Java counts", &[4, 0, 0, 0x0a, 1, b's'], is(json!({"sku": "s"}))),
        row("a field that nobody knows", &[0, 0x0a, 1, b'a', 0xf8, 7, 1], rich(&[("text", "a")])),
        row("a packed list", &[0, 0x1a, 2, 1, 2], with("list", json!([1, 2]))),
        row("a list, item by item", &[0, 0x18, 1, 0x18, 2], with("list", json!([1, 2]))),
        row("an entry of a map", &[0, 0x22, 6, 0x0a, 1, b'k', 0x12, 1, b'v'], {
            with("tags", json!({"k": "v"}))
        }),
        row("a symbol", &[0, 0x28, 1], with("kind", json!("B"))),
        row("a symbol that nobody knows", &[0, 0x28, 9], with("kind", json!(9))),
        row("an empty optional", &[0, 0x32, 0], with("note", json!(""))),
        row("a message in it", &[0, 0x3a, 3, 0x0a, 1, b's'], with("inner", json!({"sku": "s"}))),
        row("one of two", &[0, 0x60, 1], with("right", json!(true))),
        row("any bytes", &[0, 0x52, 2, 0, 0xff], with("mark", json!("AP8="))),
        row("a negative number", &[&[0, 0x10][..], &[0xff; 9], &[1]].concat(), {
            with("count", json!(-1))
        }),
        row("a field twice", &[0, 0x0a, 1, b'a', 0x0a, 1, b'b'], rich(&[("text", "b")])),
        row("cut off", &[0, 0x0a, 9, b'a'], Expect::Broken),
        row("no UTF-8", &[0, 0x0a, 1, 0xff], Expect::Broken),
        row("another wire type", &[0, 0x08, 1], Expect::Broken),
        row("a message too far", &[2, 8], Expect::Broken),
        row("no indexes", &[], Expect::Broken),
        row("a negative count of indexes", &[1], Expect::Broken),
        ("without framing", vec![0x0a, 1, b'a'], Expect::Broken),
        ("framed as Avro", Writer::framed(ids.avro).string("v").long(2).finish(), note("v", 2)),
    ]
}

fn text(ids: &Ids) -> Vec<Row> {
    let row = |name, text: &str| (name, text.as_bytes().to_vec(), is(json!(text)));
    vec![
        row("a word", "a"),
        row("no ASCII", "größer 😀"),
        row("several lines", "a\r\nb\n"),
        row("a zero first", "\0\0\0\0\u{1}a"),
        row("what looks like JSON", r#"{"a": 1}"#),
        row("no byte", ""),
        ("no UTF-8", vec![0xff], Expect::Broken),
        ("UTF-8 cut off", vec![0xc3], Expect::Broken),
        ("framed with an id in UTF-8", framed(5, b"a"), is(json!("\0\0\0\0\u{5}a"))),
        ("framed Protobuf", framed(ids.proto, &[0, 0x0a, 1, 0xff]), Expect::Broken),
    ]
}

fn bytes(ids: &Ids) -> Vec<Row> {
    let characters = |bytes: &[u8]| json!(bytes.iter().map(|b| char::from(*b)).collect::<String>());
    let row = |name, bytes: &[u8]| (name, bytes.to_vec(), is(characters(bytes)));
    vec![
        row("a word", b"a"),
        row("no UTF-8", &[0xff, 0xfe]),
        row("zeros", &[0; 8]),
        row("no byte", b""),
        row("framed, and left as it is", &framed(ids.avro, &[2, 0xff])),
        row("what looks like JSON", br#"{"a": 1}"#),
    ]
}

/// One key of a topic whose keys are of a format; its text, if it has one.
pub(crate) type Key = (&'static str, &'static str, Option<Vec<u8>>, Option<&'static str>);

/// All keys.
pub(crate) fn keys(ids: &Ids) -> Vec<Key> {
    let some = |bytes: &[u8]| Some(bytes.to_vec());
    vec![
        ("avro", "a string", Some(Writer::framed(ids.key).string("k1").finish()), Some("k1")),
        ("avro", "none", None, None),
        ("json", "a string", some(b"\"k2\""), Some("k2")),
        ("json", "a number", some(b"7"), Some("7")),
        ("json", "an object", some(b"{\"id\": 7}"), Some(r#"{"id":7}"#)),
        ("json", "none", None, None),
        ("json_schema", "a string", Some(framed(ids.json_key, b"\"k3\"")), Some("k3")),
        ("json_schema", "an object", Some(framed(ids.json, br#"{"text":"a","count":1}"#)), {
            Some(r#"{"text":"a","count":1}"#)
        }),
        ("protobuf", "a text", Some(framed(ids.proto_key, &[0, 0x0a, 2, b'k', b'4'])), Some("k4")),
        ("protobuf", "no text", Some(framed(ids.proto_key, &[0])), Some("")),
        ("protobuf", "two fields", Some(framed(ids.proto_note, &[0, 0x0a, 1, b'a', 0x10, 2])), {
            Some(r#"{"text":"a","count":2}"#)
        }),
        ("text", "a word", some(b"k5"), Some("k5")),
        ("text", "no ASCII", some("größer".as_bytes()), Some("größer")),
        ("bytes", "a word", some(b"k6"), Some("k6")),
        ("bytes", "none", None, None),
    ]
}
