//! What is accepted, and what it becomes.

use std::time::Duration;

use crate::{
    AssignmentStrategy, AutoOffsetReset, ErrorPolicy, LogLevel, MissingHeaders, PushAuth,
    SaslMechanism, SecurityProtocol, Source, WhenUnset, settings,
};

use super::{UNSET, good};

const MB: u64 = 1 << 20;

#[test]
fn defaults_are_those_of_the_original() {
    let config = good(&[]).config;
    let consumer = &config.consumer;
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(consumer.poll_timeout, Duration::from_secs(5));
    assert_eq!(consumer.max_poll_interval, Duration::from_secs(120));
    assert_eq!(consumer.timestamp_offset, Duration::ZERO);
    assert_eq!(consumer.auto_offset_reset, AutoOffsetReset::Latest);
    assert_eq!(consumer.session_timeout, Duration::from_secs(90));
    assert_eq!(consumer.auto_commit_interval, Duration::from_secs(20));
    assert_eq!(
        (consumer.message_max_bytes, consumer.fetch_max_bytes, consumer.queue_max_bytes),
        (2 * MB, 3 * MB, 10 * MB)
    );
    assert_eq!(consumer.batch_max_count, 1);
    assert_eq!(consumer.batch_max_time, Duration::from_secs(30));
    assert_eq!(consumer.assignment_strategy, AssignmentStrategy::CooperativeSticky);
    assert_eq!(config.table.path, std::path::Path::new("/opt/app-root/data"));
    assert_eq!(config.routes.all().count(), 0);
    assert_eq!(config.routes.retry_count_max, 0);
    assert!(config.registry.auth.is_none());
    assert!(config.metrics.enabled);
    assert_eq!(config.metrics.interval, Duration::from_secs(10));
    let service = "bifrost-metrics-cache-headless.marketing.svc.cluster.local";
    assert_eq!(config.metrics.service_name, service);
    assert_eq!((config.metrics.service_port, config.metrics.pod_port), (8080, 9091));
}

#[test]
fn new_settings_have_quiet_defaults() {
    let config = good(&[]).config;
    assert_eq!(config.app.threads, 1);
    assert_eq!(config.producer.transaction_timeout, Duration::from_secs(10));
    assert_eq!(config.outbox.max_count, 10_000);
    assert_eq!(config.outbox.max_bytes, 8 * MB);
    assert_eq!(config.outbox.max_age, Duration::from_millis(100));
    assert_eq!(config.errors.policy, ErrorPolicy::Stop);
    assert_eq!(config.errors.retry_max, 0);
    assert_eq!(config.errors.missing_headers, MissingHeaders::Make);
    assert_eq!(config.operation.probe, None);
    assert_eq!(config.consumer.group_instance_id, None);
    assert!(config.registry.auto_register);
}

#[test]
fn every_example_and_default_of_the_table_is_accepted() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "main:\n  url: broker:9092\n").expect("written");
    let file = file.path().to_str().expect("UTF-8");
    let authority = certificate();
    let authority = authority.path().to_str().expect("UTF-8");
    for setting in settings() {
        let example = match setting.example {
            path if path.ends_with("-ca.pem") => authority,
            path if path.starts_with("/etc/") => file,
            example => example,
        };
        // What each one needs beside it is put there, so that only the value itself is judged.
        let mut vars = match setting.name {
            "NU_KAFKA_CLUSTERS_CONFIGS_YAML" => vec![("NU_KAFKA_CLUSTERS_CONFIGS_JSON", UNSET)],
            "NU_SCHEMA_REGISTRY_USERNAME" => vec![("NU_SCHEMA_REGISTRY_PASSWORD", "x")],
            "NU_SCHEMA_REGISTRY_PASSWORD" => vec![("NU_SCHEMA_REGISTRY_USERNAME", "x")],
            "NU_METRICS_USERNAME" => vec![("NU_METRICS_PASSWORD", "x")],
            "NU_METRICS_PASSWORD" => vec![("NU_METRICS_USERNAME", "x")],
            "NU_METRICS_CA_FILE" => vec![("NU_METRICS_TLS", "true")],
            "NU_KAFKA_USERNAME" => vec![("NU_KAFKA_PASSWORD", "x")],
            "NU_KAFKA_PASSWORD" => vec![("NU_KAFKA_USERNAME", "x")],
            "NU_KAFKA_SECURITY_PROTOCOL" => {
                vec![("NU_KAFKA_USERNAME", "x"), ("NU_KAFKA_PASSWORD", "x")]
            }
            "NU_KAFKA_SSL_CERTIFICATE_LOCATION" => vec![("NU_KAFKA_SSL_KEY_LOCATION", file)],
            "NU_KAFKA_SSL_KEY_LOCATION" => vec![("NU_KAFKA_SSL_CERTIFICATE_LOCATION", file)],
            "NU_ERROR_POLICY" => vec![("NU_PRODUCE_FAILURE_TOPICS", "failed")],
            "NU_RETRY_DELAYS_MINUTES" => vec![("NU_PRODUCE_RETRY_TOPICS", "one,two")],
            // The example is a map of topics, which the YAML file above is not.
            "NU_TOPIC_CONFIGS_YAML" => continue,
            _ => vec![],
        };
        vars.push((setting.name, example));
        good(&vars);
        if let WhenUnset::Use(default) = setting.unset {
            good(&[(setting.name, default)]);
        }
    }
}

#[test]
fn texts_become_typed_values() {
    let config = good(&[
        ("NU_CONSUMER_POLL_TIMEOUT", " 0.25 "),
        ("NU_CONSUMER_TIMEOUT_LIMIT_MINUTES", "1.5"),
        ("NU_CONSUMER_MESSAGE_BATCH_MAX_MB", "0.5"),
        ("NU_CONSUMER_AUTO_OFFSET_RESET", "SMALLEST"),
        ("NU_LOGLEVEL", "warn"),
        ("NU_DO_METRICS_PUSHING", "False"),
        ("NU_CONSUME_TOPICS", "in, out"),
        ("NU_PROBE_PORT", "8080"),
        ("NU_PROBE_ADDRESS", "::1"),
        ("NU_HEALTH_FILE", "off"),
        ("NU_BROKER_OUTAGE_LIMIT_SECONDS", "0"),
        ("NU_CONSUMER_GROUP_INSTANCE_ID", "hostname"),
        ("NU_SCHEMA_REGISTRY_URL", "one:8081,https://two/path"),
    ])
    .config;
    assert_eq!(config.consumer.poll_timeout, Duration::from_millis(250));
    assert_eq!(config.consumer.max_poll_interval, Duration::from_secs(90));
    assert_eq!(config.consumer.message_max_bytes, MB / 2);
    assert_eq!(config.consumer.auto_offset_reset, AutoOffsetReset::Earliest);
    assert_eq!(config.log.level, LogLevel::Warning);
    assert!(!config.metrics.enabled);
    assert_eq!(config.routes.consume, ["in", "out"]);
    assert_eq!(config.operation.probe.map(|a| a.to_string()), Some("[::1]:8080".into()));
    assert_eq!(config.operation.health_file, None);
    assert_eq!(config.operation.broker_outage_limit, None);
    assert_eq!(config.consumer.group_instance_id.as_deref(), Some("funnel-0"));
    let urls: Vec<&str> = config.registry.urls.iter().map(|url| url.as_str()).collect();
    assert_eq!(urls, ["http://one:8081/", "https://two/path"]);
}

/// A file with the certificate of an authority.
fn certificate() -> tempfile::NamedTempFile {
    let made = rcgen::generate_simple_self_signed(["ca".to_owned()]).expect("a certificate");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), made.cert.pem()).expect("written");
    file
}

#[test]
fn says_how_metrics_are_pushed() {
    let (authority, token) = (certificate(), tempfile::NamedTempFile::new().expect("a file"));
    std::fs::write(token.path(), "t0ken\n").expect("written");
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().expect("UTF-8").to_owned();
    let (authority, token) = (path(&authority), path(&token));
    let push = good(&[
        ("NU_METRICS_TLS", "true"),
        ("NU_METRICS_CA_FILE", &authority),
        ("NU_METRICS_BEARER_TOKEN_FILE", &token),
        ("NU_METRICS_DNS_SERVER", "10.0.0.10"),
        ("NU_METRICS_EXIT_TIMEOUT_SECONDS", "0"),
        ("NU_SCHEMA_REGISTRY_CA_FILE", &authority),
    ])
    .config;
    assert!(push.registry.ca.is_some());
    let push = push.metrics;
    assert_eq!(push.service_name, "bifrost-metrics-cache-headless.marketing.svc.cluster.local");
    assert_eq!((push.timeout, push.exit_timeout), (Duration::from_secs(15), Duration::ZERO));
    assert!(push.tls && push.ca.is_some_and(|ca| !ca.pem().is_empty()));
    assert_eq!(push.dns_server.map(|server| server.to_string()), Some("10.0.0.10:53".into()));
    let Some(PushAuth::Bearer { token: kept, file }) = push.auth else { panic!("a token") };
    assert_eq!((kept.expose(), file), ("t0ken", Some(token.into())));

    let push = good(&[
        ("NU_METRICS_USERNAME", "ann"),
        ("NU_METRICS_PASSWORD", "x"),
        ("NU_METRICS_DNS_SERVER", "[::1]:5300"),
    ]);
    let push = push.config.metrics;
    assert_eq!(push.dns_server.map(|server| server.to_string()), Some("[::1]:5300".into()));
    assert!(matches!(push.auth, Some(PushAuth::Basic(basic)) if basic.username == "ann"));
}

#[test]
fn hostname_falls_back_to_that_of_the_platform() {
    let config = good(&[("NU_HOSTNAME", " "), ("HOSTNAME", "pod-7")]).config;
    assert_eq!(config.app.hostname, "pod-7");
    let config = good(&[("HOSTNAME", "pod-7")]).config;
    assert_eq!(config.app.hostname, "funnel-0");
}

#[test]
fn a_project_is_needed_only_for_pushing_metrics() {
    good(&[("NU_MP_PROJECT", UNSET), ("NU_DO_METRICS_PUSHING", "false")]);
    good(&[("NU_MP_PROJECT", UNSET), ("NU_METRICS_SERVICE_NAME", "cache")]);
}

#[test]
fn yaml_files_may_use_anchors_and_merges_of_merges() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = "\
.main: &main {cluster: main}
.small: &small
  <<: *main
  configs: {num_partitions: 3, replication_factor: 2, config: {retention.ms: 1000}}
in: *small
out:
  <<: *small
7: *main
";
    std::fs::write(file.path(), text).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let config = good(&[("NU_TOPIC_CONFIGS_JSON", UNSET), ("NU_TOPIC_CONFIGS_YAML", path)]).config;
    assert_eq!(config.topics.keys().collect::<Vec<_>>(), ["7", "in", "out"]);
    assert_eq!(config.topics["in"], config.topics["out"]);
    let topic = &config.topics["out"];
    assert_eq!((topic.num_partitions, topic.replication_factor), (Some(3), Some(2)));
    assert_eq!(topic.config["retention.ms"], "1000");
}

#[test]
fn a_topics_configuration_is_written_as_kafka_reads_it() {
    let map = r#"{
        "in": {"cluster": "main", "configs": {"replication_factor": -1, "num_partitions": "-1",
            "config": {"cleanup.policy": ["compact", "delete"], "max.message.bytes": 1e6,
                "min.cleanable.dirty.ratio": 0.5, "retention.ms": -1, "preallocate": false,
                "retention.bytes": 9007199254740993, "segment.bytes": 1.5e9, "flush.ms": -1.0}}},
        "out": {"cluster": "main", "configs": {"num_partitions": 1e1, "replication_factor": 3}}}"#;
    let config = good(&[("NU_TOPIC_CONFIGS_JSON", map)]).config;
    let topic = &config.topics["in"];
    assert_eq!((topic.num_partitions, topic.replication_factor), (None, None));
    for (property, expected) in [
        ("cleanup.policy", "compact,delete"),
        ("max.message.bytes", "1000000"),
        ("min.cleanable.dirty.ratio", "0.5"),
        ("retention.ms", "-1"),
        ("preallocate", "false"),
        ("retention.bytes", "9007199254740993"),
        ("segment.bytes", "1500000000"),
        ("flush.ms", "-1"),
    ] {
        assert_eq!(topic.config[property], expected, "{property}");
    }
    let topic = &config.topics["out"];
    assert_eq!((topic.num_partitions, topic.replication_factor), (Some(10), Some(3)));
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_setting() {
    let map = "\u{feff}{\"in\": {\"cluster\": \"main\"}}";
    assert_eq!(good(&[("NU_TOPIC_CONFIGS_JSON", map)]).config.topics.len(), 1);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "\u{feff}in: {cluster: main}\n").expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let config = good(&[("NU_TOPIC_CONFIGS_JSON", UNSET), ("NU_TOPIC_CONFIGS_YAML", path)]).config;
    assert_eq!(config.topics.len(), 1);
}

#[test]
fn a_cluster_says_how_it_is_protected() {
    let protected = |json: &str, extra: &[(&str, &str)]| {
        let mut vars = vec![("NU_KAFKA_CLUSTERS_CONFIGS_JSON", json)];
        vars.extend(extra);
        let config = good(&vars).config;
        let (name, cluster) = config.cluster_for(["in"].into_iter()).expect("one cluster");
        assert_eq!(name, "main");
        cluster.clone()
    };
    let as_original = r#"{"main": {"url": "b", "username": "u", "password": "p"}}"#;
    let cluster = protected(as_original, &[]);
    assert_eq!(cluster.protocol, SecurityProtocol::SaslSsl);
    assert_eq!(cluster.sasl.expect("both given").mechanism, SaslMechanism::Plain);

    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().to_str().expect("UTF-8");
    let bare = r#"{"main": {"url": "b"}}"#;
    let cluster = protected(bare, &[("NU_KAFKA_SSL_CA_LOCATION", path)]);
    assert_eq!(cluster.protocol, SecurityProtocol::Ssl);

    let common = [("NU_KAFKA_USERNAME", "all"), ("NU_KAFKA_PASSWORD", "p")];
    let own = r#"{"main": {"url": "b", "username": "own", "sasl_mechanism": "SCRAM-SHA-256"}}"#;
    let sasl = protected(own, &common).sasl.expect("both given");
    assert_eq!((&*sasl.username, sasl.password.expose()), ("own", "p"));
    assert_eq!(sasl.mechanism, SaslMechanism::ScramSha256);
    let open = r#"{"main": {"url": "b", "security_protocol": "PLAINTEXT"}}"#;
    assert_eq!(protected(open, &common).sasl, None);
}

#[test]
fn a_cluster_may_be_marked_for_the_tools_to_leave_alone() {
    let clusters = r#"{"a": {"url": "h:1"}, "b": {"url": "h:1", "protected": true},
        "c": {"url": "h:1", "protected": "true"}, "d": {"url": "h:1", "protected": false}}"#;
    let config = good(&[("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters)]).config;
    let marked: Vec<bool> = config.clusters.values().map(|cluster| cluster.protected).collect();
    assert_eq!(marked, [false, true, true, false]);
}

#[test]
fn topics_lead_to_their_cluster() {
    let two = r#"{"main": {"url": "b"}, "other": {"url": "c"}}"#;
    let config = good(&[("NU_KAFKA_CLUSTERS_CONFIGS_JSON", two)]).config;
    let find = |topics: &[&str]| config.cluster_for(topics.iter().copied()).map(|(name, _)| name);
    assert_eq!(find(&["in", "unmapped"]), Ok("main"));
    assert!(find(&["unmapped"]).is_err_and(|p| p.to_string().contains("one of main, other")));
    let config = good(&[("NU_TOPIC_CONFIGS_JSON", "{}")]).config;
    let found = config.cluster_for(["unmapped"].into_iter()).map(|(name, _)| name);
    assert_eq!(found, Ok("main"));
}

#[test]
fn the_listing_shows_every_setting_and_its_source() {
    let config = good(&[("NU_CONSUMER_POLL_TIMEOUT", "7")]).config;
    let names: Vec<&str> = config.effective().iter().map(|shown| shown.name).collect();
    // Also says that the load reads every name of the table.
    assert_eq!(names, settings().map(|setting| setting.name).collect::<Vec<_>>());
    let find = |name| config.effective().iter().find(|shown| shown.name == name).expect("listed");
    let poll = find("NU_CONSUMER_POLL_TIMEOUT");
    assert_eq!((poll.value.as_str(), poll.source), ("7", Source::Environment));
    let level = find("NU_LOGLEVEL");
    assert_eq!((level.value.as_str(), level.source), ("INFO", Source::Default));
    assert!(find("NU_METRICS_SERVICE_NAME").value.contains("marketing"));
}
