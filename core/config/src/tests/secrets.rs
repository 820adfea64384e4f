//! Secrets come from files too, and never print.

use crate::{Secret, Source};

use super::{UNSET, bad, good, load};

/// Stands for every secret below; nothing that prints may hold it.
const CANARY: &str = "CANARY-7f3a";

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

#[test]
fn a_secret_shows_nothing_of_itself() {
    let secret = Secret::from(CANARY.to_owned());
    let json = serde_json::to_string(&secret).expect("text");
    assert_eq!(format!("{secret}{secret:?}{json}"), "[redacted][redacted]\"[redacted]\"");
    assert_eq!(secret.expose(), CANARY);
}

#[test]
fn secrets_come_from_files() {
    let password = file("pa ss\r\n");
    let clusters = file(r#"{"main": {"url": "b", "username": "u", "password": "from-the-map"}}"#);
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().expect("UTF-8").to_owned();
    let config = good(&[
        ("NU_SCHEMA_REGISTRY_USERNAME", "u"),
        ("NU_SCHEMA_REGISTRY_PASSWORD_FILE", &path(&password)),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", UNSET),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON_FILE", &path(&clusters)),
    ])
    .config;
    let auth = config.registry.auth.as_ref().expect("both given");
    assert_eq!(auth.password.expose(), "pa ss");
    let sasl = config.clusters["main"].sasl.as_ref().expect("both given");
    assert_eq!(sasl.password.expose(), "from-the-map");
    let shown = config.effective().iter().find(|s| s.name == "NU_SCHEMA_REGISTRY_PASSWORD");
    assert_eq!(shown.map(|s| (&*s.value, s.source)), Some(("[redacted]", Source::File)));
}

#[test]
fn a_cluster_takes_its_password_from_a_file() {
    let password = file("secret\n");
    let json = format!(
        r#"{{"main": {{"url": "b", "username": "u", "password_file": {:?}}}}}"#,
        password.path()
    );
    let config = good(&[("NU_KAFKA_CLUSTERS_CONFIGS_JSON", &json)]).config;
    let sasl = config.clusters["main"].sasl.as_ref().expect("both given");
    assert_eq!(sasl.password.expose(), "secret");
}

#[test]
fn an_accepted_configuration_never_shows_a_secret() {
    let clusters = format!(
        r#"{{"main": {{"url": "b", "username": "u", "password": "{CANARY}",
            "ssl_key_password": "{CANARY}"}}}}"#
    );
    let properties =
        format!(r#"{{"sasl.oauthbearer.config": "{CANARY}", "client.rack": "{CANARY}"}}"#);
    let loaded = good(&[
        ("NU_SCHEMA_REGISTRY_USERNAME", "u"),
        ("NU_SCHEMA_REGISTRY_PASSWORD", CANARY),
        ("NU_METRICS_USERNAME", "u"),
        ("NU_METRICS_PASSWORD", CANARY),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", &clusters),
        ("NU_KAFKA_PASSWORD", CANARY),
        ("NU_KAFKA_SSL_KEY_PASSWORD", CANARY),
        ("NU_KAFKA_PROPERTIES_JSON", &properties),
        ("NU_CONSUMER_PROPERTIES_JSON", &properties),
        ("NU_PRODUCER_PROPERTIES_JSON", &properties),
        ("NU_SOMETHING_UNKNOWN", CANARY),
    ]);
    let printed = format!("{loaded:?}{loaded:#?}{:?}", loaded.config.effective());
    assert!(printed.contains("[redacted]") && !printed.contains(CANARY), "{printed}");
}

#[test]
fn a_problem_never_shows_a_secret() {
    let json = "NU_KAFKA_CLUSTERS_CONFIGS_JSON";
    let properties = "NU_KAFKA_PROPERTIES_JSON";
    let yaml = file(&format!("main: [{CANARY}\n  password: {CANARY}"));
    let yaml_type = file(&format!("main: {CANARY}"));
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().expect("UTF-8").to_owned();
    let (yaml, yaml_type) = (path(&yaml), path(&yaml_type));
    let of_yaml = |text: &str| {
        vec![(json.to_owned(), UNSET.to_owned()), (json.replace("JSON", "YAML"), text.into())]
    };
    let one = |name: &str, text: String| vec![(name.to_owned(), text)];
    let field = |field: &str| format!(r#"{{"main": {{"url": "b", {field}}}}}"#);
    let cases = [
        one(json, CANARY.into()),
        one(json, format!("{{\"main\": \"{CANARY}\"}}")),
        one(json, format!("{{\"main\": {{\"password\": \"{CANARY}\" oops")),
        one(json, format!("[\"{CANARY}\"]")),
        one(json, format!("{{\"main\": {{\"url\": \"u:{CANARY}@host\"}}}}")),
        one(json, field(&format!(r#""password": "{CANARY}""#))),
        one(json, field(&format!(r#""username": "u", "password": ["{CANARY}"]"#))),
        one(json, field(&format!(r#""username": "u", "password_file": "{CANARY}""#))),
        one(json, field(&format!(r#""sasl_mechanism": "{CANARY}""#))),
        one(json, field(&format!(r#""ssl_key_location": "{CANARY}""#))),
        one(properties, format!(r#"{{"sasl.password": "{CANARY}"}}"#)),
        one(properties, format!(r#"{{"socket.timeout.ms": "{CANARY}"}}"#)),
        one(properties, format!(r#"{{"client.rack": ["{CANARY}"]}}"#)),
        one("NU_SCHEMA_REGISTRY_PASSWORD", CANARY.into()),
        one("NU_SCHEMA_REGISTRY_PASSWORD_FILE", CANARY.into()),
        one("NU_METRICS_PASSWORD", CANARY.into()),
        one("NU_METRICS_BEARER_TOKEN_FILE", CANARY.into()),
        one("NU_SCHEMA_REGISTRY_URL", format!("https://u:{CANARY}@registry")),
        one("NU_SCHEMA_REGISTRY_URL", format!("u:{CANARY}@registry:x")),
        one("NU_KAFKA_SSL_KEY_LOCATION", format!("-----BEGIN KEY-----\n{CANARY}")),
        of_yaml(&format!("{{\"main\": {{\"url\": \"b\", \"password\": \"{CANARY}\"}}}}")),
        of_yaml(&format!("main:\n  password: {CANARY}")),
        of_yaml(&yaml),
        of_yaml(&yaml_type),
    ];
    for case in &cases {
        let changes: Vec<_> = case.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        let problems = bad(&changes);
        let printed = format!("{problems}{problems:?}");
        assert!(!printed.contains(CANARY), "{changes:?}: {printed}");
    }
}

#[test]
fn both_a_secret_and_its_file_are_one_problem() {
    let password = file("x");
    let path = password.path().to_str().expect("UTF-8");
    let problems = load(&[
        ("NU_SCHEMA_REGISTRY_USERNAME", "u"),
        ("NU_SCHEMA_REGISTRY_PASSWORD", CANARY),
        ("NU_SCHEMA_REGISTRY_PASSWORD_FILE", path),
    ])
    .expect_err("both are set");
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(problems.to_string().contains("only one of"), "{problems}");
}
