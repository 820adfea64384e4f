//! Programs that are handed what to write: `dude`, which reads it too, and the HTTP receiver.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use nubium_test_kit::receiver::Receiver;
use nubium_test_kit::{install, services};
use serde_json::{Value, json};

use crate::cases::{Case, Expect, FORMATS};
use crate::columns::check_note;
use crate::matrix::Matrix;
use crate::schemas::{NOTE_AVRO, NOTE_JSON, NOTE_PROTO};
use crate::world::World;

/// Reads everything with `dude`, and writes each format with it.
pub(crate) fn dude(world: &World, values: &[Case], matrix: &mut Matrix) -> Result<()> {
    for format in FORMATS {
        let topic = world.topic("in", format);
        let said = world.dude(&["consume", &topic, "--format", "values"], None)?;
        let printed = String::from_utf8(said.stdout)?;
        let mut lines = printed.lines();
        for case in values.iter().filter(|case| case.format == format) {
            let line =
                lines.next().with_context(|| String::from_utf8_lossy(&said.stderr).into_owned())?;
            matrix.note(&case.name, "dude", shown(case, line));
        }
        let text = format!("dude {format}");
        let line = match format {
            "text" | "bytes" => json!(text),
            _ => json!({"text": text, "count": 3}),
        };
        let topic = world.topic("dude", format);
        let said = world.dude(&["produce", &topic, "--key", "k"], Some(&format!("{line}\n")))?;
        let records = world.read(&topic)?;
        let went = match &records[..] {
            [one] if one.key.as_deref() == Some(b"k") => check_note(format, one, &text, 3),
            other => Err(format!("{other:?}: {}", String::from_utf8_lossy(&said.stderr))),
        };
        matrix.note("dude writes", format, went);
    }
    Ok(())
}

/// Says what is wrong with the line that `dude` shows of a case: it is the value, or the bytes, as
/// text or in base64.
fn shown(case: &Case, line: &str) -> Result<(), String> {
    let json: Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
    let bytes = case.bytes.as_deref().unwrap_or_default();
    let is_bytes = match (&json, std::str::from_utf8(bytes)) {
        (Value::String(text), Ok(own)) => text == own,
        (Value::Object(map), _) => map.get("$base64") == Some(&json!(base64(bytes))),
        _ => false,
    };
    let right = match &case.expect {
        Expect::Is(value) => *value == json || case.format == "bytes" && is_bytes,
        Expect::Null => json.is_null(),
        Expect::Broken => is_bytes,
    };
    if right { Ok(()) } else { Err(line.to_owned()) }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let all = group.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let all = all << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(all >> (18 - 6 * place)) as usize & 63];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// Posts to a receiver with a route for each format.
pub(crate) fn receiver(world: &World, matrix: &mut Matrix) -> Result<()> {
    install::ensure_installed()?;
    let mut settings = String::from("routes:\n");
    for format in FORMATS {
        let topic = world.topic("sent", format);
        let schema = match format {
            "avro" => ", schema: note.avsc",
            "json_schema" => ", schema: note.json",
            "protobuf" => ", schema: note.proto",
            _ => "",
        };
        let _ = writeln!(settings, "  - {{path: /{format}, topic: {topic}{schema}}}");
    }
    let files = [("note.avsc", NOTE_AVRO), ("note.json", NOTE_JSON), ("note.proto", NOTE_PROTO)];
    let services = services::shared();
    let receiver = Receiver::start_with(
        env!("CARGO_BIN_EXE_receiver-under-test"),
        (&services.bootstrap, &services.registry),
        &settings,
        &files,
        &world.map(),
    )?;
    for format in FORMATS {
        let note = |text: &str| match format {
            "text" | "bytes" => json!(text),
            _ => json!({"text": text, "count": 3}),
        };
        // Any JSON is JSON, and Protobuf's fields have defaults.
        let json = format == "json";
        let plain = matches!(format, "text" | "bytes");
        let bodies = [
            ("an item", note("one").to_string(), true),
            ("two items", json!([note("two"), note("three")]).to_string(), true),
            ("another type", if plain { "5".into() } else { r#"{"text":5}"#.into() }, json),
            ("no field", "{}".into(), json || format == "protobuf"),
            ("a field too many", r#"{"text":"a","count":1,"x":1}"#.into(), json),
            ("no JSON", "{".into(), false),
            ("nothing", String::new(), false),
        ];
        for (name, body, taken) in bodies {
            let headers = [("content-type", "application/json")];
            let answer = receiver.send("POST", &format!("/{format}"), &headers, body)?;
            let went = match (taken, answer.status) {
                (true, 200) | (false, 400..=422) => Ok(()),
                (_, status) => Err(format!("{status}: {}", answer.body)),
            };
            matrix.note(&format!("receiver: {name}"), format, went);
        }
        let records = world.read(&world.topic("sent", format))?;
        for (record, text) in records.iter().zip(["one", "two", "three"]) {
            matrix.note(&format!("receiver: the bytes of {text}"), format, {
                check_note(format, record, text, 3)
            });
        }
    }
    Ok(())
}
