//! What each program makes of the messages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nubium_core::codec::{Codec, Registry, RegistryConfig};
use nubium_core::metrics::Metrics;
use nubium_core::{Config, ConsumeError, PlainConsumer};
use nubium_local::{Answer, Api};
use nubium_test_kit::process::Process;
use nubium_test_kit::reader::Raw;
use nubium_test_kit::services;
use nubium_test_kit::table::changelog_rows;
use nubium_test_kit::wire::{Reader, Writer};
use serde_json::{Value, json};

use crate::cases::{Case, Expect, FORMATS, Key, framed};
use crate::debezium;
use crate::foreign;
use crate::matrix::Matrix;
use crate::world::{World, key_of};

/// What the funnel does with cases: it says where they come from, and leaves them as they are.
const WRAP: &str = ". = {\"topic\": %topic, \"value\": .}\n";

/// Gives the bytes of the one message of a format that is turned into every other.
pub(crate) fn turned(world: &World, format: &str) -> Vec<u8> {
    let text = format!("turned {format}");
    match format {
        "avro" => Writer::framed(world.ids.avro).string(&text).long(7).finish(),
        "json" => json!({"text": text, "count": 7}).to_string().into_bytes(),
        "json_schema" => {
            framed(world.ids.json, json!({"text": text, "count": 7}).to_string().as_bytes())
        }
        "protobuf" => framed(world.ids.proto_note, &[&[0][..], &message(&text, 7)].concat()),
        _ => text.into_bytes(),
    }
}

fn message(text: &str, count: u8) -> Vec<u8> {
    [&[0x0a, text.len() as u8][..], text.as_bytes(), &[0x10, count]].concat()
}

/// Says what is wrong with a note in a format's bytes.
pub(crate) fn check_note(format: &str, raw: &Raw, text: &str, count: u8) -> Result<(), String> {
    let bytes = raw.value.as_deref().ok_or("no value")?;
    let expected = json!({"text": text, "count": count});
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|e| e.to_string());
    let right = match format {
        "avro" => (|| -> Result<bool> {
            let (_, mut reader) = Reader::framed(bytes)?;
            let found = (reader.string()?.to_owned(), reader.long()?);
            reader.end()?;
            Ok(found == (text.to_owned(), count.into()))
        })()
        .map_err(|error| format!("{error:#}"))?,
        "json" => json(bytes)? == expected,
        "json_schema" => bytes[0] == 0 && json(&bytes[5..])? == expected,
        "protobuf" => bytes[0] == 0 && bytes[5] == 0 && bytes[6..] == message(text, count),
        _ => bytes == text.as_bytes(),
    };
    if right { Ok(()) } else { Err(format!("{bytes:?} is not {expected}")) }
}

/// Starts the one funnel of the story.
pub(crate) fn start_funnel(world: &World) -> Result<Process> {
    let mut spread = String::new();
    for format in FORMATS {
        let value = match format {
            "text" | "bytes" => "text",
            _ => "{\"text\": text, \"count\": count}",
        };
        let _ = writeln!(spread, "emit(\"{}\", {value})", world.topic("to", format));
    }
    spread += "%topic = null\n";
    let mut file = String::from("inputs:\n");
    for format in FORMATS {
        let begin = match format {
            "json" => "text = string!(.text)\ncount = int!(.count)\n",
            "text" | "bytes" => "text = .\ncount = 7\n",
            _ => "text = .text\ncount = .count\n",
        };
        world.file(&format!("{format}.vrl"), &format!("{begin}{spread}"))?;
        for (kind, program) in [("in", "wrap"), ("key", "wrap"), ("turn", format)] {
            let topic = world.topic(kind, format);
            let _ = writeln!(file, "  - {{topic: {topic}, program: {program}.vrl}}");
        }
    }
    world.file("wrap.vrl", WRAP)?;
    debezium::add(world, &mut file)?;
    let _ = writeln!(file, "outputs:\n  - {{topic: {}-all}}", world.name);
    for (format, schema) in [("avro", "avsc"), ("json_schema", "json"), ("protobuf", "proto")] {
        let topic = world.topic("to", format);
        let _ = writeln!(file, "  - {{topic: {topic}, schema: note.{schema}}}");
    }
    for format in ["json", "text", "bytes"] {
        let _ = writeln!(file, "  - {{topic: {}}}", world.topic("to", format));
    }
    debezium::add_output(world, &mut file);
    let _ = writeln!(file, "default_output: {}-all", world.name);
    world.file("funnel.yaml", &file)?;
    let (app, program) =
        (format!("{}-funnel", world.name), env!("CARGO_BIN_EXE_funnel-under-test"));
    world.start(&app, program, (&["run"], "NU_FUNNEL_CONFIG", "funnel.yaml"), "failed")
}

fn inputs(world: &World, kinds: &[&str]) -> Vec<String> {
    let of = |kind: &&str| FORMATS.map(|format| world.topic(kind, format));
    kinds.iter().flat_map(of).collect()
}

/// Looks at what the funnel made of the cases.
pub(crate) fn funnel(
    world: &World,
    process: &Process,
    values: &[Case],
    keys: &[Key],
    matrix: &mut Matrix,
) -> Result<()> {
    let app = format!("{}-funnel", world.name);
    world.drained(&app, process, &inputs(world, &["in", "key", "turn"]))?;
    let (mut passed, mut keyed) = (BTreeMap::new(), BTreeMap::new());
    for record in world.read(&format!("{}-all", world.name))? {
        let value: Value = serde_json::from_slice(record.value.as_deref().context("no value")?)?;
        let topic = value["topic"].as_str().context("no topic")?;
        if topic.contains("-key-") {
            let text = record.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned());
            keyed.insert(value["value"].to_string(), text);
        } else {
            passed.insert(key_of(&record)?, value["value"].clone());
        }
    }
    let failed = failures(world, "failed")?;
    for case in values {
        let found = match (passed.get(&case.name), failed.get(&case.name)) {
            (Some(value), None) => Expect::Is(value.clone()),
            (None, Some(bytes)) if *bytes == case.bytes => Expect::Broken,
            (None, Some(other)) => Expect::Is(json!(other)),
            both => Expect::Is(json!(format!("{both:?}"))),
        };
        // A tombstone has nothing that a program could map.
        let expected = if case.bytes.is_none() { Expect::Broken } else { case.expect.clone() };
        matrix.equal(&case.name, "funnel", (found, expected));
    }
    for (number, (format, name, _, text)) in keys.iter().enumerate() {
        let found = keyed.get(&number.to_string()).cloned().flatten();
        let row = format!("{format} key: {name}");
        matrix.equal(&row, "funnel", (found.as_deref(), *text));
    }
    Ok(())
}

/// Reads a failure topic, by key; every record says why.
fn failures(world: &World, kind: &str) -> Result<BTreeMap<String, Option<Vec<u8>>>> {
    let mut failed = BTreeMap::new();
    for record in world.read(&format!("{}-{kind}", world.name))? {
        ensure!(record.header("exception").is_some(), "{record:?}");
        failed.insert(key_of(&record)?, record.value.clone());
    }
    Ok(failed)
}

/// Looks at what the funnel turned each format into, and what Python says of two of them.
pub(crate) fn conversions(world: &World, matrix: &mut Matrix) -> Result<()> {
    let from_python = ["json_schema", "protobuf"];
    for to in FORMATS {
        let records = world.read(&world.topic("to", to))?;
        let find = |text: &str| {
            let holds = |record: &&Raw| {
                let bytes = record.value.as_deref().unwrap_or_default();
                let mut windows = bytes.windows(text.len());
                windows.any(|window| window == text.as_bytes())
            };
            records.iter().filter(holds).cloned().collect::<Vec<_>>()
        };
        for from in FORMATS {
            let text = format!("turned {from}");
            // JSON is in the name of JSON Schema, so that one text holds the other.
            let found = find(&text);
            let went = found.iter().map(|raw| check_note(to, raw, &text, 7)).find(Result::is_ok);
            matrix.note(&format!("from {from}"), to, went.unwrap_or(Err("not there".into())));
        }
        let found = find("from Python");
        let right = found.iter().filter(|raw| check_note(to, raw, "from Python", 5).is_ok());
        let right = match to {
            // A text says no number.
            "text" | "bytes" => found.len(),
            _ => right.count(),
        };
        matrix.equal("from Confluent's serializers", to, (right, from_python.len()));
    }
    let topics = from_python.map(|format| world.topic("to", format));
    let printed = foreign::python("read", &topics.each_ref().map(String::as_str))?;
    for (format, topic) in from_python.into_iter().zip(&topics) {
        let lines = printed.lines().map(serde_json::from_str::<Value>);
        let lines: Vec<_> = lines.collect::<Result<_, _>>()?;
        let of_topic = lines.iter().filter(|line| line["topic"] == **topic);
        let texts: Vec<_> = of_topic.filter_map(|line| line["value"]["text"].as_str()).collect();
        for from in FORMATS {
            let there = texts.contains(&format!("turned {from}").as_str());
            matrix.equal(&format!("Python reads what was {from}"), format, (there, true));
        }
    }
    Ok(())
}

/// Starts the one uploader of the story.
pub(crate) fn start_uploader(world: &World) -> Result<(Api, Process)> {
    let api = Api::start(|_, _| Answer::status(200))?;
    let topics = inputs(world, &["in", "key"]).join(", ");
    let file = format!(
        "topics: [{topics}]\nrequest: {{url: '{}', item: envelope}}\n\
         batch: {{count: 50, seconds: 0.2}}\n",
        api.url("/in")
    );
    world.file("uploader.yaml", &file)?;
    let (app, program) = (format!("{}-up", world.name), env!("CARGO_BIN_EXE_uploader-app"));
    let setting = "NU_BATCH_UPLOADER_CONFIG";
    Ok((api, world.start(&app, program, (&[], setting, "uploader.yaml"), "unsent")?))
}

/// Looks at what the API was sent.
pub(crate) fn uploader(
    world: &World,
    (api, process): &(Api, Process),
    values: &[Case],
    keys: &[Key],
    matrix: &mut Matrix,
) -> Result<()> {
    world.drained(&format!("{}-up", world.name), process, &inputs(world, &["in", "key"]))?;
    let (mut sent, mut keyed) = (BTreeMap::new(), BTreeMap::new());
    for request in api.requests() {
        let items: Vec<Value> = serde_json::from_slice(&request.body)?;
        for item in items {
            let topic = item["topic"].as_str().context("no topic")?;
            match item["key"].as_str() {
                key if topic.contains("-key-") => {
                    keyed.insert(item["value"].to_string(), key.map(str::to_owned));
                }
                key => drop(sent.insert(key.context("no key")?.to_owned(), item["value"].clone())),
            }
        }
    }
    let failed = failures(world, "unsent")?;
    for case in values {
        let found = match (sent.get(&case.name), failed.get(&case.name)) {
            (Some(Value::Null), None) if case.bytes.is_none() => Expect::Null,
            (Some(value), None) => Expect::Is(value.clone()),
            (None, Some(bytes)) if *bytes == case.bytes => Expect::Broken,
            both => Expect::Is(json!(format!("{both:?}"))),
        };
        matrix.equal(&case.name, "uploader", (found, case.expect.clone()));
    }
    for (number, (format, name, _, text)) in keys.iter().enumerate() {
        let found = keyed.get(&number.to_string()).cloned().flatten();
        matrix.equal(&format!("{format} key: {name}"), "uploader", (found.as_deref(), *text));
    }
    Ok(())
}

/// The formats that a table is kept of.
const TABLES: [&str; 2] = ["json", "protobuf"];

/// Starts a table of each.
pub(crate) fn start_tables(world: &World) -> Result<Vec<Process>> {
    let start = |format: &&str| {
        let file = format!("table-{format}.yaml");
        let input = world.topic("in", format);
        world.file(&file, &format!("input: {{topic: {input}}}\nmode: latest\n"))?;
        let app = format!("{}-table-{format}", world.name);
        let program = env!("CARGO_BIN_EXE_table-under-test");
        world.start(&app, program, (&["run"], "NU_TABLE_CONFIG", &file), "untabled")
    };
    TABLES.iter().map(start).collect()
}

/// Looks at the tables' entries.
pub(crate) fn tables(
    world: &World,
    values: &[Case],
    processes: &[Process],
    matrix: &mut Matrix,
) -> Result<()> {
    for (format, process) in TABLES.iter().zip(processes) {
        let app = format!("{}-table-{format}", world.name);
        world.drained(&app, process, &[world.topic("in", format)])?;
        let rows = changelog_rows(&services::shared().bootstrap, &format!("{app}__changelog"))?;
        for case in values.iter().filter(|case| case.format == *format) {
            let found = rows.get(&(0, case.name.clone()));
            let found = found.map(|text| serde_json::from_str::<Value>(text)).transpose()?;
            let expected = match &case.expect {
                // The entries are of the schema's first message.
                Expect::Is(value) if value.get("name").or(value.get("sku")).is_some() => None,
                Expect::Is(value) => Some(value.clone()),
                Expect::Null | Expect::Broken => None,
            };
            matrix.equal(&case.name, "table", (found, expected));
        }
    }
    Ok(())
}

/// Reads everything with the library.
pub(crate) fn api(world: &World, values: &[Case], keys: &[Key], matrix: &mut Matrix) -> Result<()> {
    let loaded = Config::from_vars(world.settings(&format!("{}-api", world.name)));
    let config = loaded.map_err(|problems| anyhow::anyhow!("{problems}"))?.config;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let metrics = Metrics::new(&config.app.name, &config.app.hostname);
    let registry = Registry::new(RegistryConfig::from(&config.registry), runtime.handle().clone())?;
    let topics = inputs(world, &["in", "key"]);
    let names: Vec<_> = topics.iter().map(String::as_str).collect();
    let all = values.len() + keys.len();
    runtime.block_on(async {
        let consumer = PlainConsumer::new(&config, &names, Codec::new(registry), &metrics)?;
        for _ in 0..all {
            let received = loop {
                match consumer.consume_message(Duration::from_secs(60)).await {
                    Err(ConsumeError::NoMessage) => {}
                    received => break received?,
                }
            };
            let message = received.message();
            let key = message.key()?.map(str::to_owned);
            if message.topic().contains("-key-") {
                let number: usize = message.value()?;
                let (format, name, _, text) = &keys[number];
                matrix.equal(&format!("{format} key: {name}"), "API", (key.as_deref(), *text));
                continue;
            }
            let name = key.context("no key")?;
            let case = values.iter().find(|case| case.name == name).context("no such case")?;
            let found = match message.json() {
                Ok(value) => Expect::Is(value),
                Err(_) if message.is_tombstone() => Expect::Null,
                Err(_) => Expect::Broken,
            };
            matrix.equal(&name, "API", (found, case.expect.clone()));
        }
        Ok(())
    })
}
