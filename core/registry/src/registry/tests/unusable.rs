//! Schemas that the registry has and that cannot be used: their messages' fault, and nobody else's.

use super::*;
use crate::DecodeError;

const PROTOBUF: &str = r#"{"schema": "syntax = 1", "schemaType": "PROTOBUF"}"#;
const XML: &str = r#"{"schema": "{}", "schemaType": "XML"}"#;
const NONSENSE: &str = r#"{"schema": "{nonsense"}"#;
/// A key or value that names schema 1.
const BYTES: &[u8] = &[0, 0, 0, 0, 1, 2];

#[tokio::test]
async fn is_told_by_ensure_and_decode_and_asked_for_once() {
    for (answer, word) in
        [(PROTOBUF, "Protobuf"), (XML, "XML"), (NONSENSE, "not a valid Avro schema")]
    {
        let local = Local::start().unwrap();
        local.register("t-value", V1).unwrap();
        local.inject(Fault::body(answer), 1);
        let own = codec(config(&local.url()));
        let fresh = own.decode::<Value>(BYTES).unwrap_err();
        assert_eq!(fresh.not_fetched(), Some(SchemaId(1)));
        for _ in 0..3 {
            let error = own.ensure(SchemaId(1)).await.unwrap_err();
            assert!(error.is_of_schema(), "{error}");
            assert!(error.to_string().starts_with("NU-1203: schema 1"), "{error}");
            assert!(error.to_string().contains(word), "{error}");
            let error = own.decode::<Value>(BYTES).unwrap_err();
            assert!(matches!(error, DecodeError::Unusable { schema: SchemaId(1), .. }), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
        assert_eq!(asked(&local, "/schemas/ids/1"), 1, "{answer}");
        // A proxy's nonsense is not for ever, see `unusable`.
        assert!(codec(config(&local.url())).ensure(SchemaId(1)).await.is_ok());
    }
}

#[tokio::test]
async fn a_reference_that_is_not_there_may_come_yet() {
    let local = Local::start().unwrap();
    local.register("t-value", V1).unwrap();
    let dangling = r#"{"schema": "{}", "references": [{"subject": "nobody", "version": 3}]}"#;
    local.inject(Fault::body(dangling), 1);
    let codec = codec(config(&local.url()));
    let error = codec.ensure(SchemaId(1)).await.unwrap_err();
    assert!(error.is_of_schema(), "{error}");
    assert!(error.to_string().contains("version 3 of subject `nobody`"), "{error}");
    assert!(codec.ensure(SchemaId(1)).await.is_ok());
}

#[tokio::test]
async fn outages_and_refusals_are_not_of_the_schema() {
    let local = Local::start().unwrap();
    local.register("t-value", V1).unwrap();
    for status in [401, 403] {
        local.inject(Fault::status(status), 1);
        let codec = codec(config(&local.url()));
        let error = codec.ensure(SchemaId(1)).await.unwrap_err();
        assert!(!error.is_of_schema(), "{error}");
        let error = codec.decode::<Value>(BYTES).unwrap_err();
        assert_eq!(error.not_fetched(), Some(SchemaId(1)), "{error}");
    }
}
