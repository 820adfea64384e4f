use super::*;
use serde_json::json;

fn read(format: Format, body: &[u8], most: usize) -> (Vec<Json>, Result<bool, BodyError>) {
    let mut items = Vec::new();
    let (body, exact) = (Bytes::copy_from_slice(body), Exact::default());
    let read = each(&format, &body, most, exact, &mut |index, _, item| {
        assert_eq!(index, items.len());
        items.push(item);
    });
    (items, read)
}

fn wrong(format: Format, body: &[u8]) -> (String, String) {
    match read(format, body, 10).1 {
        Err(BodyError::Syntax { pointer, reason }) => (pointer, reason),
        other => panic!("{}: {other:?}", String::from_utf8_lossy(body)),
    }
}

#[test]
fn an_object_is_one_item_and_a_list_or_lines_are_many() {
    let (items, list) = read(Format::Json, b" {\"a\": 1}\n", 10);
    assert_eq!((items, list), (vec![json!({"a": 1})], Ok(false)));
    let (items, list) = read(Format::Json, b"[1, {\"a\": [2]}, null]", 10);
    assert_eq!((items, list), (vec![json!(1), json!({"a": [2]}), json!(null)], Ok(true)));
    let (items, list) = read(Format::Lines, b"{\"a\":1}\r\n\n{\"a\":2}", 10);
    assert_eq!((items, list), (vec![json!({"a": 1}), json!({"a": 2})], Ok(true)));
}

#[test]
fn too_many_items_are_refused_whatever_comes_after() {
    for (format, body) in
        [(Format::Json, &b"[1,2,3]"[..]), (Format::Json, b"[1,2,3"), (Format::Lines, b"1\n2\n3\n")]
    {
        assert_eq!(read(format.clone(), body, 2).1, Err(BodyError::TooMany));
        assert!(!matches!(read(format, body, 3).1, Err(BodyError::TooMany)));
    }
}

#[test]
fn bad_bodies_are_refused_with_the_place() {
    let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    assert!(wrong(Format::Json, &deep).1.contains("recursion limit"));
    let deep = "{\"a\":".repeat(10_000);
    assert!(wrong(Format::Json, deep.as_bytes()).1.contains("recursion limit"));
    assert_eq!(wrong(Format::Json, b"[{}, {\"a\": tru}]").0, "/1");
    assert!(wrong(Format::Json, b"{\"a\": \"\xff\"}").1.contains("unicode"));
    assert!(wrong(Format::Json, b"{\"a\": 1} {").1.contains("trailing"));
    assert!(wrong(Format::Json, b"[1] 2").1.contains("trailing"));
    assert_eq!(wrong(Format::Json, b"[]").1, "the array is empty");
    assert_eq!(wrong(Format::Json, b" \n").1, "the body is empty");
    let (pointer, reason) = wrong(Format::Lines, b"{}\n\n{\"a\"}");
    assert_eq!(pointer, "/1");
    assert!(reason.starts_with("line 3 of the body: "), "{reason}");
    assert!(wrong(Format::Form, b"a=%ff").1.contains("not UTF-8"));
    assert!(wrong(Format::Form, b"a=1&%c3=2").1.contains("field 2"));
    assert_eq!(wrong(Format::Form, b"").1, "the form is empty");
    let many = "a=1&".repeat(1_001);
    assert!(wrong(Format::Form, many.as_bytes()).1.contains("more than"));
}

#[test]
fn a_form_is_an_object_of_texts_and_a_repeated_name_a_list() {
    let body = b"email=ada%40example.org&name=Ada+L.&tag=x&tag=y&empty=&flag&tag=%C3%A9";
    let (items, list) = read(Format::Form, body, 1);
    let expected = json!({"email": "ada@example.org", "name": "Ada L.",
        "tag": ["x", "y", "é"], "empty": "", "flag": ""});
    assert_eq!((items, list), (vec![expected], Ok(false)));
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let marked = |text: &str| format!("\u{feff}{text}").into_bytes();
    for (format, text) in [
        (Format::Json, "{\"a\": \"1\"}"),
        (Format::Json, " {\"a\": \"1\"}"),
        (Format::Lines, "{\"a\": \"1\"}\n"),
        (Format::Form, "a=1"),
    ] {
        let (items, read) = read(format.clone(), &marked(text), 10);
        assert_eq!(items, [json!({"a": "1"})], "{format:?}");
        assert!(read.is_ok(), "{read:?}");
    }
    let (items, _) = read(Format::Json, &marked("[1, 2]"), 10);
    assert_eq!(items, [json!(1), json!(2)]);
    assert_eq!(wrong(Format::Json, &marked("")).1, "the body is empty");
    assert_eq!(wrong(Format::Form, &marked("")).1, "the form is empty");
}
