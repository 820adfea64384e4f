//! The apps' own pusher, against this cache.

mod common;

use common::{cache, eventually};
use nubium_core::Config;
use nubium_core::metrics::Metrics;
use nubium_core::pusher::{End, Exposition, Pushing, start_pushing};

/// Starts to push new metrics to a cache.
fn start(port: u16, more: &[(&str, &str)]) -> (Metrics, Pushing) {
    let port = port.to_string();
    let mut vars = vec![
        ("NU_APP_NAME", "funnel"),
        ("NU_HOSTNAME", "funnel-0"),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", r#"{"main": {"url": "127.0.0.1:1"}}"#),
        ("NU_TOPIC_CONFIGS_JSON", "{}"),
        ("NU_SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"),
        ("NU_METRICS_SERVICE_NAME", "127.0.0.1"),
        ("NU_METRICS_POD_PORT", &port),
        ("NU_METRICS_PUSH_RATE", "0.1"),
    ];
    vars.extend_from_slice(more);
    let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::from_vars(vars).unwrap_or_else(|problems| panic!("{problems}")).config;
    let metrics = Metrics::new(&config.app.name, &config.app.hostname);
    let pushing = start_pushing(&config, &Exposition::new(&metrics, None)).expect("started");
    (metrics, pushing.expect("pushing is on"))
}

#[test]
fn an_apps_metrics_arrive_and_its_group_goes_with_it() {
    let server = cache(&[]);
    let (metrics, pushing) = start(server.address.port(), &[("NU_METRICS_DELETE_ON_EXIT", "true")]);
    metrics.inc_messages_consumed("orders", 3);
    let series =
        "messages_consumed{app=\"funnel\",instance=\"\",job=\"funnel-0\",topic=\"orders\"}";
    eventually("the count arrives", || server.value(series).as_deref() == Some("3"));
    metrics.inc_messages_consumed("orders", 4);
    eventually("the next count arrives", || server.value(series).as_deref() == Some("7"));
    let text = server.metrics();
    assert!(text.contains("# TYPE messages_consumed counter\n"), "{text}");
    assert!(text.contains("nubium_build_info{app=\"funnel\""), "{text}");
    pushing.finish(End::Clean);
    eventually("the group is deleted", || server.value(series).is_none());
}

#[test]
fn the_last_push_arrives_with_a_login() {
    let directory = tempfile::tempdir().expect("directory");
    let file = directory.path().join("web.yml");
    let hash = bcrypt::hash("secret", 4).expect("a hash");
    std::fs::write(&file, format!("basic_auth_users:\n  ann: {hash}\n")).expect("written");
    let server = cache(&[&format!("--web.config.file={}", file.display())]);
    let login = [("NU_METRICS_USERNAME", "ann"), ("NU_METRICS_PASSWORD", "secret")];
    let (metrics, pushing) = start(server.address.port(), &login);
    metrics.inc_message_errors("Planned");
    pushing.finish(End::Failed);
    // base64 of ann:secret
    let answer =
        server.send("GET", "/metrics", &[("authorization", "Basic YW5uOnNlY3JldA==")], b"");
    let wanted =
        "message_errors{app=\"funnel\",exception=\"Planned\",instance=\"\",job=\"funnel-0\"} 1\n";
    assert!(answer.text().contains(wanted), "{}", answer.text());
}
