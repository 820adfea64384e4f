//! The plain clients: what is produced is confirmed and comes back, no message is no failure, and a
//! closed consumer's successor goes on where it ended.

use anyhow::Result;
use nubium_core::codec::{Codec, Registry, RegistryConfig};
use nubium_core::headers::Header;
use nubium_core::metrics::Metrics;
use nubium_core::{Config, ConsumeError, PlainConsumer, PlainProducer};
use nubium_test_kit::scenario::Cluster;
use nubium_test_kit::topics;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SCHEMA: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "email", "type": "string"}]}"#;
const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Person {
    email: String,
}

fn config(name: &str, cluster: &Cluster) -> Config {
    let clusters = serde_json::json!({ "test": { "url": cluster.bootstrap } }).to_string();
    let vars = [
        ("NU_APP_NAME", name),
        ("NU_HOSTNAME", "plain-0"),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", &clusters),
        ("NU_TOPIC_CONFIGS_JSON", "{}"),
        ("NU_SCHEMA_REGISTRY_URL", &cluster.registry),
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

#[test]
fn what_is_produced_comes_back_and_a_successor_goes_on() -> Result<()> {
    let cluster = Cluster::shared();
    let topic = topics::unique("plain");
    topics::create(&cluster.bootstrap, &[(&topic, 1)])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(produce_and_consume(&topic, &cluster))
}

async fn produce_and_consume(topic: &str, cluster: &Cluster) -> Result<()> {
    let config = config(topic, cluster);
    let client = RegistryConfig::new(&cluster.registry);
    let client = Registry::new(client, tokio::runtime::Handle::current())?;
    let (codec, metrics) = (Codec::new(client), Metrics::new("plain", "plain-0"));

    let topics = [(topic, SCHEMA)];
    let producer = PlainProducer::new(&config, &topics, &codec, &metrics).await?;
    let person = |n: i32| Person { email: format!("{n}@example.org") };
    let headers = [Header::new("guid", "g")];
    for n in 0..4 {
        let key = n.to_string();
        let (partition, offset) =
            producer.produce(topic, Some(&key), &person(n), &headers, LONG).await?;
        assert_eq!((partition, offset), (0, n.into()));
    }
    let misfit = producer.produce(topic, None, &7, &headers, LONG).await.unwrap_err();
    assert!(misfit.to_string().contains(topic), "{misfit:#}");

    let consumer = PlainConsumer::new(&config, &[topic], codec.clone(), &metrics)?;
    for n in 0..3 {
        assert_eq!(next(&consumer).await, (Some(n.to_string()), person(n)));
    }
    consumer.close()?;
    let successor = PlainConsumer::new(&config, &[topic], codec, &metrics)?;
    assert_eq!(next(&successor).await, (Some("3".into()), person(3)));
    let none = successor.consume_message(Duration::from_millis(1)).await;
    assert!(matches!(none, Err(ConsumeError::NoMessage)));
    successor.close()?;
    let text = metrics.text();
    assert!(text.contains("messages_consumed") && text.contains("messages_produced"), "{text}");
    Ok(())
}
