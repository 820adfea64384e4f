//! A whole message as one line of JSON: what `consume` prints and `produce` reads again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nubium_avro::json;
use nubium_kafka::raw::NativeMessage;
use serde_json::Value;

use super::decode::{Decoder, put_base64};
use super::encode::Outgoing;

/// Appends a message as one line, without the line's end. What cannot be decoded is there as
/// base64, and why under `error`.
///
/// # Errors
/// The key or value could not be decoded; the line is complete all the same.
pub fn put(
    decoder: &mut Decoder,
    topic: &str,
    message: &NativeMessage,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    out.extend_from_slice(b"{\"topic\":");
    json::put_text(topic, out);
    number(",\"partition\":", message.partition().into(), out);
    number(",\"offset\":", message.offset(), out);
    if let Some(timestamp) = message.timestamp() {
        number(",\"timestamp\":", timestamp, out);
    }
    out.extend_from_slice(b",\"key\":");
    let key = part(decoder, message.key(), true, out);
    out.extend_from_slice(b",\"headers\":");
    headers(message, out);
    out.extend_from_slice(b",\"value\":");
    let value = part(decoder, message.value(), false, out);
    let whole = key.map_err(|e| format!("key: {e}")).and(value.map_err(|e| format!("value: {e}")));
    if let Err(error) = &whole {
        out.extend_from_slice(b",\"error\":");
        json::put_text(error, out);
    }
    out.push(b'}');
    whole
}

fn number(name: &str, number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, &number);
}

fn part(
    decoder: &mut Decoder,
    bytes: Option<&[u8]>,
    is_key: bool,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let start = out.len();
    let put = decoder.put_exact(bytes, is_key, out);
    if let (Err(_), Some(bytes)) = (&put, bytes) {
        out.truncate(start);
        put_base64(bytes, out);
    }
    put
}

/// Appends the headers as a map, or as a list of pairs where a name comes twice.
fn headers(message: &NativeMessage, out: &mut Vec<u8>) {
    let list = || (0..).map_while(|index| message.header(index));
    let mut names: Vec<&str> = list().map(|(name, _)| name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    let twice = names.len() < count;
    out.push(if twice { b'[' } else { b'{' });
    for (index, (name, value)) in list().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if twice {
            out.push(b'[');
        }
        json::put_text(name, out);
        out.push(if twice { b',' } else { b':' });
        match value.map(std::str::from_utf8) {
            None => out.extend_from_slice(b"null"),
            Some(Ok(text)) => json::put_text(text, out),
            Some(Err(_)) => put_base64(value.unwrap_or_default(), out),
        }
        if twice {
            out.push(b']');
        }
    }
    out.push(if twice { b']' } else { b'}' });
}

/// Takes the bytes out of `{"$base64": "…"}` or `{"$text": "…"}`.
#[must_use]
pub fn raw_of(value: &Value) -> Option<Result<Vec<u8>, String>> {
    let object = value.as_object()?;
    if let Some(text) = object.get("$text") {
        return Some(text.as_str().map(|text| text.into()).ok_or("\"$text\" is no text".into()));
    }
    let text = object.get("$base64")?.as_str()?;
    Some(STANDARD.decode(text).map_err(|error| format!("\"$base64\": {error}")))
}

/// Reads what stands beside key and value of a line into an outgoing record.
///
/// # Errors
/// A part is not of its type; says which.
pub fn read_sides(line: &Value, record: &mut Outgoing) -> Result<(), String> {
    let object = line.as_object().ok_or("not a JSON object")?;
    if !object.contains_key("value") {
        return Err("no \"value\" in it; it is no line of `dude consume --format json`".into());
    }
    match object.get("headers") {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            for (name, value) in map {
                record.headers.push((name.clone(), header(name, value)?));
            }
        }
        Some(Value::Array(pairs)) => {
            for pair in pairs {
                let [Value::String(name), value] = pair.as_array().map_or(&[][..], Vec::as_slice)
                else {
                    return Err("\"headers\": a list must hold [name, value] pairs".into());
                };
                record.headers.push((name.clone(), header(name, value)?));
            }
        }
        Some(_) => return Err("\"headers\" is neither a map nor a list".into()),
    }
    record.timestamp = whole(object.get("timestamp"), "timestamp")?;
    Ok(())
}

fn whole(value: Option<&Value>, name: &str) -> Result<Option<i64>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(format!("{name:?} is no whole number")),
    }
}

fn header(name: &str, value: &Value) -> Result<Option<Vec<u8>>, String> {
    match (value, raw_of(value)) {
        (Value::Null, _) => Ok(None),
        (Value::String(text), _) => Ok(Some(text.clone().into_bytes())),
        (_, Some(bytes)) => bytes.map(Some),
        _ => Err(format!("header {name:?} is neither text nor null")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sides_of_a_line_are_read() {
        let mut record = Outgoing::default();
        let line = json!({"value": 1, "timestamp": 5, "headers": {"a": "x", "b": null,
            "c": {"$base64": "/w=="}}});
        read_sides(&line, &mut record).unwrap();
        assert_eq!(record.timestamp, Some(5));
        let headers = [
            ("a".to_owned(), Some(b"x".to_vec())),
            ("b".to_owned(), None),
            ("c".to_owned(), Some(vec![0xff])),
        ];
        assert_eq!(record.headers, headers);
        let mut twice = Outgoing::default();
        read_sides(&json!({"value": 1, "headers": [["a", "1"], ["a", "2"]]}), &mut twice).unwrap();
        assert_eq!(twice.headers.len(), 2);
        for (line, what) in [
            (json!({"val": 1}), "no \"value\""),
            (json!([1]), "not a JSON object"),
            (json!({"value": 1, "headers": 7}), "headers"),
            (json!({"value": 1, "headers": {"a": 7}}), "\"a\""),
            (json!({"value": 1, "timestamp": "x"}), "timestamp"),
        ] {
            let error = read_sides(&line, &mut Outgoing::default()).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
