//! What looks wrong but does not prevent the start.

use super::{UNSET, good};

fn warnings(changes: &[(&str, &str)]) -> Vec<String> {
    good(changes).warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_least_settings_give_no_warning() {
    assert_eq!(warnings(&[]), Vec::<String>::new());
}

#[test]
fn a_setting_of_a_service_is_known() {
    assert_eq!(warnings(&[("NU_FUNNEL_CONFIG", "funnel.yaml")]), Vec::<String>::new());
}

#[test]
fn each_oddity_is_said_once() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("NU_CONSUMER_POL_TIMEOUT", "5")], "did you mean NU_CONSUMER_POLL_TIMEOUT?"),
        (&[("NU_SCHEMA_REGISTRY_PASWORD", "x")], "did you mean NU_SCHEMA_REGISTRY_PASSWORD?"),
        (&[("NU_FUNNEL_CONFG", "x")], "did you mean NU_FUNNEL_CONFIG?"),
        (&[("nu_app_name", "x")], "did you mean NU_APP_NAME?"),
        (&[("NU_ZZ", "x")], "no setting has this name"),
        (&[("NU_APP_NAME_FILE", path)], "NU_APP_NAME is no secret"),
        (&[("NU_CONSUMER_POLL_TIMEOUT", " ")], "the default 5 is used"),
        (&[("NU_HOSTNAME", "localhost")], "fence each other off"),
        (&[("NU_RETRY_COUNT_MAX", "3")], "NU_CONSUME_TOPICS not set"),
        (&[("NU_CONSUMER_TIMESTAMP_OFFSET_MINUTES", "20000")], "longer than the 7 days"),
        (&[("NU_CONSUME_TOPICS", "in,lost")], "topic lost is not in the map"),
        (&[("NU_SHUTDOWN_TIMEOUT_SECONDS", "5")], "may not get the time"),
        (&[("NU_PROBE_ADDRESS", "127.0.0.1")], "until NU_PROBE_PORT is set"),
        (
            &[(
                "NU_KAFKA_CLUSTERS_CONFIGS_JSON",
                r#"{"main": {"url": "b", "sasl_mecanism": "x"}}"#,
            )],
            "did you mean sasl_mechanism?",
        ),
        (
            &[("NU_TOPIC_CONFIGS_JSON", r#"{"in": {"cluster": "main", "partitions": 3}}"#)],
            "in.partitions is ignored",
        ),
    ];
    for (changes, text) in cases {
        let warnings = warnings(changes);
        assert_eq!(warnings.len(), 1, "{changes:?}: {warnings:?}");
        assert!(warnings[0].contains(text), "{warnings:?} lacks {text:?}");
    }
}

#[test]
fn a_transaction_longer_than_the_session_is_said() {
    let warnings = warnings(&[
        ("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "20"),
        ("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", "15"),
        ("NU_MP_PROJECT", "x"),
        ("NU_CONSUMER_PROPERTIES_JSON", UNSET),
    ]);
    assert!(warnings.len() == 1 && warnings[0].contains("below the session time-out"));
}
