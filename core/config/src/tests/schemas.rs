//! What the map of topics says of keys and values.

use super::*;
use crate::{Format, SubjectNames, TopicSchemas, Version};

const MAP: &str = "NU_TOPIC_CONFIGS_JSON";

#[test]
fn topics_say_what_their_keys_and_values_are() {
    let map = r#"{"in": {"cluster": "main"}, "out": {"cluster": "main", "key_format": "text",
        "value_format": "protobuf", "value_subjects": "topic_record", "value_version": "latest",
        "value_message": ".shop.Order.Line", "value_compatibility": "full", "value_references":
            [{"name": "a.proto", "subject": "a-value", "version": 2}]}}"#;
    let config = good(&[(MAP, map)]).config;
    let topics = config.topic_schemas();
    assert_eq!(topics.keys().collect::<Vec<_>>(), ["out"], "the others are as by default");
    let said = &topics["out"];
    assert_eq!((said.key_format, said.value()), (Format::Text, Format::Protobuf));
    assert_eq!(said.subjects, SubjectNames::TopicRecord);
    assert_eq!(said.version, Some(Version::Latest));
    assert_eq!(said.message.as_deref(), Some("shop.Order.Line"));
    assert_eq!(said.compatibility.as_deref(), Some("FULL"));
    assert_eq!((&*said.references[0].subject, said.references[0].version), ("a-value", 2));
    let map = r#"{"in": {"cluster": "main"}, "out": {"cluster": "main", "value_schema_id": "7"}}"#;
    let config = good(&[(MAP, map)]).config;
    let expected = TopicSchemas { version: Some(Version::Id(7)), ..TopicSchemas::default() };
    assert_eq!(config.topic_schemas()["out"], expected);
}

#[test]
fn what_is_wrong_with_them_is_told() {
    for (keys, place) in [
        (r#""value_format": "xml""#, "out.value_format"),
        (r#""key_format": 7"#, "out.key_format"),
        (r#""value_subjects": "name""#, "out.value_subjects"),
        (r#""value_version": 0"#, "out.value_version"),
        (r#""value_version": "newest""#, "out.value_version"),
        (r#""value_version": 1, "value_schema_id": 1"#, "out.value_schema_id"),
        (r#""value_references": [{"name": "a"}]"#, "out.value_references"),
        (r#""value_message": "shop.Order""#, "out.value_message"),
        (r#""value_compatibility": "some""#, "out.value_compatibility"),
        (r#""value_format": "text", "value_version": 1"#, "out.value_version"),
    ] {
        let map =
            format!(r#"{{"in": {{"cluster": "main"}}, "out": {{"cluster": "main", {keys}}}}}"#);
        let problems = load(&[(MAP, &map)]).unwrap_err();
        assert!(problems.0.iter().any(|p| p.place.starts_with(place)), "{keys}: {problems}");
    }
}
