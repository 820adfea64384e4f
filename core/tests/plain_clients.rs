//! The plain clients on the embedded broker and registry: what is produced is confirmed and comes
//! back, no message is no failure, and a closed consumer's successor goes on where it ended.

use nubium_core::codec::{Codec, Registry, RegistryConfig};
use nubium_core::headers::Header;
use nubium_core::metrics::Metrics;
use nubium_core::{Config, ConsumeError, PlainConsumer, PlainProducer};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SCHEMA: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "email", "type": "string"}]}"#;
const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Person {
    email: String,
}

fn config(bootstrap: &str, registry: &str) -> Config {
    let clusters = serde_json::json!({ "local": { "url": bootstrap } }).to_string();
    let vars = [
        ("NU_APP_NAME", "plain"),
        ("NU_HOSTNAME", "plain-0"),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", &clusters),
        ("NU_TOPIC_CONFIGS_JSON", "{}"),
        ("NU_SCHEMA_REGISTRY_URL", registry),
        ("NU_CONSUMER_AUTO_OFFSET_RESET", "earliest"),
        ("NU_DO_METRICS_PUSHING", "false"),
    ];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Config::from_vars(vars).unwrap().config
}

async fn next(consumer: &PlainConsumer) -> (Option<String>, Person) {
    let received = consumer.consume_message(LONG).await.unwrap();
    let message = received.message();
    assert_eq!(message.header("guid"), Some("g"));
    (message.key().unwrap().map(str::to_owned), message.value().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_produced_comes_back_and_a_successor_goes_on() {
    let broker = nubium_local::Broker::start().unwrap();
    broker.create_topic("people", 1).unwrap();
    let registry = nubium_local::Registry::start().unwrap();
    let config = config(&broker.bootstrap(), &registry.url());
    let client = RegistryConfig::new(&registry.url());
    let client = Registry::new(client, tokio::runtime::Handle::current()).unwrap();
    let (codec, metrics) = (Codec::new(client), Metrics::new("plain", "plain-0"));

    let topics = [("people", SCHEMA)];
    let producer = PlainProducer::new(&config, &topics, &codec, &metrics).await.unwrap();
    let person = |n: i32| Person { email: format!("{n}@example.org") };
    let headers = [Header::new("guid", "g")];
    for n in 0..4 {
        let key = n.to_string();
        let (partition, offset) =
            producer.produce("people", Some(&key), &person(n), &headers, LONG).await.unwrap();
        assert_eq!((partition, offset), (0, n.into()));
    }
    let misfit = producer.produce("people", None, &7, &headers, LONG).await.unwrap_err();
    assert!(misfit.to_string().contains("people"), "{misfit:#}");

    let consumer = PlainConsumer::new(&config, &["people"], codec.clone(), &metrics).unwrap();
    for n in 0..3 {
        assert_eq!(next(&consumer).await, (Some(n.to_string()), person(n)));
    }
    consumer.close().unwrap();
    let successor = PlainConsumer::new(&config, &["people"], codec, &metrics).unwrap();
    assert_eq!(next(&successor).await, (Some("3".into()), person(3)));
    let none = successor.consume_message(Duration::from_millis(1)).await;
    assert!(matches!(none, Err(ConsumeError::NoMessage)));
    successor.close().unwrap();
    let text = metrics.text();
    assert!(text.contains("messages_consumed") && text.contains("messages_produced"), "{text}");
}
