//! Real clients take what is written here; making one does not touch the network.

use std::collections::BTreeMap;

use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::BaseProducer;

use super::{
    ClientProperties, consumer_properties, plain_consumer_properties, plain_producer_properties,
    producer_properties,
};
use nubium_config::{Cluster, Config};

const SASL_SSL: &str = r#"{"main": {"url": "127.0.0.1:1", "username": "u", "password": "pa55"}}"#;
const SCRAM: &str = r#"{"main": {"url": "127.0.0.1:1", "username": "u", "password": "pa55",
    "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512"}}"#;

fn config(extra: &[(&str, &str)]) -> Config {
    let mut vars: BTreeMap<&str, &str> = BTreeMap::from([
        ("NU_APP_NAME", "funnel"),
        ("NU_HOSTNAME", "funnel-0"),
        ("NU_MP_PROJECT", "marketing"),
        ("NU_SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", r#"{"main": {"url": "127.0.0.1:1"}}"#),
        ("NU_TOPIC_CONFIGS_JSON", "{}"),
    ]);
    vars.extend(extra.iter().copied());
    let vars = vars.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
    Config::from_vars(vars).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn cluster(config: &Config) -> &Cluster {
    config.cluster_for(["a"].into_iter()).expect("the only cluster").1
}

/// Makes the four clients for two threads and gives the properties of the second thread's.
fn make_clients(config: &Config) -> [ClientProperties; 4] {
    let cluster = cluster(config);
    let make = |thread| {
        [
            consumer_properties(config, cluster, thread),
            plain_consumer_properties(config, cluster, thread),
            producer_properties(config, cluster, thread),
            plain_producer_properties(config, cluster, thread),
        ]
    };
    for properties in [make(0), make(1)] {
        for consumer in &properties[..2] {
            let made: Result<BaseConsumer, _> = consumer.to_client_config().create();
            made.unwrap_or_else(|error| panic!("{error}: {consumer:?}"));
        }
        for producer in &properties[2..] {
            let made: Result<BaseProducer, _> = producer.to_client_config().create();
            made.unwrap_or_else(|error| panic!("{error}: {producer:?}"));
        }
    }
    make(1)
}

#[test]
fn librdkafka_takes_the_defaults() {
    let [consumer, plain_consumer, producer, plain_producer] = make_clients(&config(&[]));
    let expected = [
        ("auto.offset.reset", "error"),
        ("bootstrap.servers", "127.0.0.1:1"),
        ("client.id", "funnel-0-1"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "false"),
        ("fetch.max.bytes", "3145728"),
        ("fetch.queue.backoff.ms", "5"),
        ("group.id", "funnel"),
        ("group.protocol", "classic"),
        ("heartbeat.interval.ms", "3000"),
        ("isolation.level", "read_committed"),
        ("max.poll.interval.ms", "120000"),
        ("message.max.bytes", "2097152"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("queued.max.messages.kbytes", "10240"),
        ("security.protocol", "plaintext"),
        ("session.timeout.ms", "90000"),
        ("statistics.interval.ms", "5000"),
    ];
    assert_eq!(consumer.redacted(), BTreeMap::from(expected));
    assert_eq!(plain_consumer.get("auto.offset.reset"), Some("latest"));
    assert_eq!(plain_consumer.get("enable.auto.commit"), Some("true"));
    assert_eq!(plain_consumer.get("auto.commit.interval.ms"), Some("20000"));
    let expected = [
        ("acks", "all"),
        ("bootstrap.servers", "127.0.0.1:1"),
        ("client.id", "funnel-0-1"),
        ("compression.type", "none"),
        ("delivery.report.only.error", "true"),
        ("enable.idempotence", "true"),
        ("linger.ms", "0"),
        ("message.max.bytes", "100000000"),
        ("partitioner", "murmur2_random"),
        ("queue.buffering.max.messages", "100000"),
        ("retry.backoff.ms", "1"),
        ("security.protocol", "plaintext"),
        ("statistics.interval.ms", "5000"),
        ("transaction.timeout.ms", "10000"),
        ("transactional.id", "funnel-0-1"),
    ];
    assert_eq!(producer.redacted(), BTreeMap::from(expected));
    assert_eq!(plain_producer.get("transactional.id"), None);
    assert_eq!(plain_producer.get("linger.ms"), Some("5"));
    assert_eq!(plain_producer.get("message.max.bytes"), Some("1048576"));
}

#[test]
fn librdkafka_takes_the_broker_side_protocol() {
    let config = config(&[("NU_CONSUMER_GROUP_PROTOCOL", "consumer")]);
    let [consumer, ..] = make_clients(&config);
    for absent in ["partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms"] {
        assert_eq!(consumer.get(absent), None, "{absent}");
    }
}

#[test]
fn librdkafka_takes_every_security_and_never_shows_it() {
    let sasl_ssl = config(&[("NU_KAFKA_CLUSTERS_CONFIGS_JSON", SASL_SSL)]);
    let [consumer, .., producer, _] = make_clients(&sasl_ssl);
    assert_eq!(consumer.get("security.protocol"), Some("sasl_ssl"));
    assert_eq!(consumer.get("sasl.mechanism"), Some("PLAIN"));
    assert_eq!(producer.get("sasl.password"), Some("pa55"));
    assert!(!format!("{consumer:?}{producer:?}").contains("pa55"));

    let scram = config(&[("NU_KAFKA_CLUSTERS_CONFIGS_JSON", SCRAM)]);
    let [consumer, ..] = make_clients(&scram);
    assert_eq!(consumer.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
    assert_eq!(consumer.get("security.protocol"), Some("sasl_plaintext"));
}

#[test]
fn librdkafka_takes_the_largest_sizes_and_a_static_member() {
    let config = config(&[
        ("NU_CONSUMER_MESSAGE_BATCH_MAX_MB", "953"),
        ("NU_CONSUMER_MESSAGE_TOTAL_MAX_MB", "2047"),
        ("NU_CONSUMER_MESSAGE_QUEUE_MAX_MB", "2047"),
        ("NU_PRODUCER_MESSAGE_MAX_MB", "953"),
        ("NU_OUTBOX_MAX_COUNT", "1000000"),
        ("NU_PRODUCER_COMPRESSION_TYPE", "zstd"),
        ("NU_CONSUMER_GROUP_INSTANCE_ID", "hostname"),
    ]);
    let [consumer, _, producer, _] = make_clients(&config);
    assert_eq!(consumer.get("group.instance.id"), Some("funnel-0-1"));
    assert_eq!(producer.get("queue.buffering.max.messages"), Some("10000000"));
}

#[test]
fn librdkafka_takes_the_smallest_values() {
    make_clients(&config(&[
        ("NU_CONSUMER_MESSAGE_BATCH_MAX_MB", "0.001"),
        ("NU_CONSUMER_MESSAGE_TOTAL_MAX_MB", "0.001"),
        ("NU_CONSUMER_MESSAGE_QUEUE_MAX_MB", "0.001"),
        ("NU_PRODUCER_MESSAGE_MAX_MB", "0.001"),
        ("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS", "0.01"),
        ("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", "0.1"),
        ("NU_CONSUMER_AUTO_COMMIT_INTERVAL_SECONDS", "0.01"),
        ("NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS", "1"),
        ("NU_CONSUMER_AUTO_OFFSET_RESET", "none"),
    ]));
}

#[test]
fn the_pass_through_wins_and_is_redacted() {
    let config = config(&[
        ("NU_KAFKA_PROPERTIES_JSON", r#"{"client.id": "own", "socket.timeout.ms": 4000}"#),
        ("NU_CONSUMER_PROPERTIES_JSON", r#"{"max.partition.fetch.bytes": 2000000}"#),
        ("NU_PRODUCER_PROPERTIES_JSON", r#"{"queue.buffering.max.ms": 2, "client.id": "mine"}"#),
    ]);
    let [consumer, _, producer, _] = make_clients(&config);
    assert_eq!(consumer.get("client.id"), Some("own"));
    assert_eq!(consumer.get("fetch.message.max.bytes"), Some("2000000"));
    assert_eq!(producer.get("client.id"), Some("mine"));
    assert_eq!(producer.get("linger.ms"), Some("2"));
    assert_eq!(producer.redacted()["linger.ms"], "[redacted]");
}

/// Every map of clusters on the page is taken without a warning, and clients are made of it.
#[test]
fn the_page_on_clusters_says_what_is_taken() {
    let page = include_str!("../../../../docs/clusters.md");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "s3cret").expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let place = |line: &str| match line.split_once(": /") {
        // Authorities must be some, and where there are none the system's are taken.
        Some((key, _)) if key.contains("ssl_") => String::new(),
        Some((key, _)) => format!("{key}: {path}\n"),
        None => format!("{line}\n"),
    };
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 11, "{}", blocks.len());
    for block in blocks {
        let clusters = tempfile::NamedTempFile::new().expect("a file");
        let text: String = block.lines().map(place).collect();
        std::fs::write(clusters.path(), text).expect("written");
        let clusters = clusters.path().to_str().expect("UTF-8");
        let vars = [
            ("NU_APP_NAME", "funnel"),
            ("NU_HOSTNAME", "funnel-0"),
            ("NU_MP_PROJECT", "marketing"),
            ("NU_SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"),
            ("NU_KAFKA_CLUSTERS_CONFIGS_YAML", clusters),
            ("NU_TOPIC_CONFIGS_JSON", r#"{"a": {"cluster": "main"}}"#),
        ];
        let vars = vars.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let loaded = Config::from_vars(vars).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        for cluster in loaded.config.clusters.values() {
            let properties = plain_consumer_properties(&loaded.config, cluster, 0);
            let made: Result<BaseConsumer, _> = properties.to_client_config().create();
            made.unwrap_or_else(|error| panic!("{error}: {properties:?}"));
        }
    }
}

#[test]
fn properties_that_are_handed_on_arrive_and_never_show() {
    const CANARY: &str = "canary-5f2c";
    let properties =
        format!(r#"{{"ssl.keystore.password": "{CANARY}", "client.rack": "{CANARY}"}}"#);
    let config = config(&[
        ("NU_KAFKA_PROPERTIES_JSON", &properties),
        ("NU_CONSUMER_PROPERTIES_JSON", &properties),
        ("NU_PRODUCER_PROPERTIES_JSON", &properties),
    ]);
    for client in make_clients(&config) {
        assert!(client.expose().values().any(|value| value == CANARY));
        let printed = format!("{client:?}");
        assert!(printed.contains("[redacted]") && !printed.contains(CANARY), "{printed}");
    }
}
