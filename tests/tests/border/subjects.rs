//! Subjects, fixed versions and references, on the registry itself.

use anyhow::Result;
use nubium_core::codec::{
    Codec, Dynamic, Format, Registry, RegistryConfig, SchemaId, SubjectNames, SubjectReference,
    TopicEncoder, TopicSchemas, Topics, Version,
};
use nubium_test_kit::registry::RegistryClient;
use nubium_test_kit::services;
use nubium_test_kit::topics::unique;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::foreign;
use crate::schemas::{NOTE_AVRO, NOTE_PROTO};

const OTHER: &str = r#"{"type": "record", "name": "Note", "namespace": "border",
    "fields": [{"name": "other", "type": "string", "default": ""}]}"#;

fn codec(runtime: &Runtime, topics: &[(&str, TopicSchemas)]) -> Result<Codec> {
    let config = RegistryConfig::new(&services::shared().registry);
    let codec = Codec::new(Registry::new(config, runtime.handle().clone())?);
    let topics = topics.iter().map(|(name, said)| ((*name).to_owned(), said.clone()));
    codec.set_topics(topics.collect::<Topics>());
    Ok(codec)
}

fn prepare(
    runtime: &Runtime,
    topic: &str,
    said: TopicSchemas,
    schema: &str,
) -> Result<TopicEncoder> {
    let codec = codec(runtime, &[(topic, said)])?;
    Ok(runtime.block_on(codec.prepare_topic(topic, schema, true))?)
}

#[test]
fn subjects_are_named_for_topics_records_or_both() -> Result<()> {
    let runtime = Runtime::new()?;
    let registry = RegistryClient::new(&services::shared().registry)?;
    let (topic, space) = (unique("border-subject"), unique("space").replace('-', "_"));
    let avro = NOTE_AVRO.replace("\"border\"", &format!("\"{space}\""));
    let proto = NOTE_PROTO.replace("package border", &format!("package {space}p"));
    for (subjects, schema, expected) in [
        (SubjectNames::Topic, &avro, format!("{topic}-value")),
        (SubjectNames::Record, &avro, format!("{space}.Note")),
        (SubjectNames::TopicRecord, &avro, format!("{topic}-{space}.Note")),
        (SubjectNames::Record, &proto, format!("{space}p.Note")),
    ] {
        let said = TopicSchemas { subjects, ..TopicSchemas::default() };
        prepare(&runtime, &topic, said.clone(), schema)?;
        assert!(registry.subjects()?.contains(&expected), "{expected}");
        let by_record = subjects != SubjectNames::Topic;
        let found = runtime.block_on(codec(&runtime, &[(&topic, said)])?.topic_schema(&topic));
        assert_eq!(found.is_err(), by_record, "an input names no record: {found:?}");
    }
    Ok(())
}

#[test]
fn a_fixed_version_is_written_with_and_nothing_is_registered() -> Result<()> {
    let runtime = Runtime::new()?;
    let registry = RegistryClient::new(&services::shared().registry)?;
    let topic = unique("border-version");
    let subject = format!("{topic}-value");
    let first = registry.register(&subject, NOTE_AVRO)?;
    let renamed = NOTE_AVRO.replace("\"default\": 0", "\"default\": 5");
    let second = registry.register(&subject, &renamed)?;
    for (version, id) in [
        (Version::Latest, second),
        (Version::Number(1), first),
        (Version::Number(2), second),
        (Version::Id(first), first),
    ] {
        let said = TopicSchemas { version: Some(version), ..TopicSchemas::default() };
        for own in ["", NOTE_AVRO] {
            let encoder = prepare(&runtime, &topic, said.clone(), own)?;
            assert_eq!(encoder.value_id(), SchemaId(id), "{version:?} {own}");
        }
        let error = prepare(&runtime, &topic, said, OTHER).expect_err("other data");
        assert!(format!("{error:#}").contains("fix schema"), "{error:#}");
    }
    let third = registry.register(&subject, NOTE_AVRO)?;
    assert_eq!(third, first, "nothing else has been registered");
    Ok(())
}

#[test]
fn what_refers_to_others_is_registered_and_read_with_them() -> Result<()> {
    let runtime = Runtime::new()?;
    let registry = RegistryClient::new(&services::shared().registry)?;
    let address = [
        (
            "AVRO",
            "shop.Address",
            r#"{"type": "record", "name": "shop.Address",
            "fields": [{"name": "city", "type": "string"}]}"#,
        ),
        (
            "JSON",
            "address.json",
            r#"{"$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}"#,
        ),
        (
            "PROTOBUF",
            "address.proto",
            "syntax = \"proto3\";\npackage shop;\nmessage Address {\n  \
            string city = 1;\n}\n",
        ),
    ];
    let order = [
        r#"{"type": "record", "name": "shop.Order",
            "fields": [{"name": "to", "type": "shop.Address"}]}"#,
        r#"{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
            "properties": {"to": {"$ref": "address.json"}}}"#,
        "syntax = \"proto3\";\npackage shop;\nimport \"address.proto\";\nmessage Order {\n  \
            shop.Address to = 1;\n}\n",
    ];
    for ((kind, name, text), order) in address.into_iter().zip(order) {
        let topic = unique(&format!("border-reference-{}", kind.to_lowercase()));
        let subject = format!("{topic}-address");
        registry.register_as(kind, &subject, text)?;
        assert!(prepare(&runtime, &topic, TopicSchemas::default(), order).is_err(), "{kind}");
        let references = vec![SubjectReference { name: name.into(), subject, version: 1 }];
        let said = TopicSchemas { references, ..TopicSchemas::default() };
        let mut encoder = prepare(&runtime, &topic, said, order)?;
        let (value, mut bytes) = (json!({"to": {"city": "Ulm"}}), Vec::new());
        encoder.encode_value(&Dynamic(&value), &mut bytes)?;
        let wrong = json!({"to": {"city": 7}});
        assert!(encoder.encode_value(&Dynamic(&wrong), &mut Vec::new()).is_err(), "{kind}");
        // Another program knows of none of them.
        let reader = codec(&runtime, &[])?;
        runtime.block_on(reader.ensure(encoder.value_id()))?;
        assert_eq!(reader.decode::<Value>(&bytes)?, value, "{kind}");
    }
    Ok(())
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The entry of the map is counted among the nested messages, so `Inner` is the second.
const SEVERAL: &str = "syntax = \"proto3\";
package border;

message First {}

message Second {
  map<string, string> tags = 1;
  message Inner {
    string text = 1;
    int64 count = 2;
  }
}
";

#[test]
fn a_message_that_is_named_is_written_as_python_writes_it() -> Result<()> {
    let runtime = Runtime::new()?;
    let topic = unique("border-nested");
    let said = |message: &str| TopicSchemas {
        value_format: Some(Format::Protobuf),
        message: Some(message.into()),
        ..TopicSchemas::default()
    };
    let mut encoder = prepare(&runtime, &topic, said("border.Second.Inner"), SEVERAL)?;
    let (value, mut bytes) = (json!({"text": "named", "count": 5}), Vec::new());
    encoder.encode_value(&Dynamic(&value), &mut bytes)?;
    let hex = hex_of(&bytes);
    let python = unique("border-nested-python");
    let printed = foreign::python("nested", &[&python, &hex])?;
    let theirs = printed.trim().strip_prefix("named 5 ").expect("what was written");
    // All but the schema's id: Python has registered its own, compiled.
    assert_eq!(theirs[10..], hex[10..], "indexes and message");
    let theirs: Vec<u8> = (0..theirs.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&theirs[at..at + 2], 16))
        .collect::<Result<_, _>>()?;
    let id = SchemaId(u32::from_str_radix(&hex_of(&theirs[1..5]), 16)?);
    for (bytes, id) in [(&bytes, encoder.value_id()), (&theirs, id)] {
        let reader = codec(&runtime, &[])?;
        runtime.block_on(reader.ensure(id))?;
        assert_eq!(reader.decode::<Value>(bytes)?, value);
    }
    // With a fixed version, and with a name that nobody knows.
    let latest = TopicSchemas { version: Some(Version::Latest), ..said("border.First") };
    let found = prepare(&runtime, &topic, latest, "")?;
    assert_eq!(found.value_id(), encoder.value_id());
    for schema in [SEVERAL, ""] {
        let version = schema.is_empty().then_some(Version::Latest);
        let unknown = TopicSchemas { version, ..said("border.Nope") };
        let error = prepare(&runtime, &topic, unknown, schema).expect_err("no such message");
        let said = format!("{error:#}");
        assert!(said.contains("border.Nope") && said.contains("border.Second.Inner"), "{said}");
    }
    Ok(())
}
