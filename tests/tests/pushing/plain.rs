//! The example of an app that owns its loop, on a real broker: it counts, and pushes what it
//! counted.

use anyhow::Result;
use nubium_core::codec::{Codec, Registry, RegistryConfig};
use nubium_core::headers::Header;
use nubium_core::metrics::Metrics;
use nubium_core::{Config, PlainConsumer, PlainProducer};
use nubium_host::Stop;
use nubium_test_kit::dns::NameServer;
use nubium_test_kit::exposition::{parse, sum_by};
use nubium_test_kit::pods::{Pod, Request};
use nubium_test_kit::scenario::Cluster;
use nubium_test_kit::topics;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::settings::{SERVICE, sum};

#[path = "../../../core/examples/plain_client.rs"]
#[expect(dead_code, reason = "its `main` is not called here")]
mod plain_client;

const PERSON: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "email", "type": "string"}]}"#;
const LONG: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Person {
    email: String,
}

#[derive(Deserialize)]
struct Greeting {
    text: String,
}

fn config(input: &str, output: &str, more: &[(&str, String)]) -> Result<Config> {
    let cluster = Cluster::shared();
    let clusters = serde_json::json!({ "test": { "url": cluster.bootstrap } }).to_string();
    let mut vars = vec![
        ("NU_APP_NAME", format!("greeter-{input}")),
        ("NU_HOSTNAME", "greeter-0".into()),
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", clusters),
        ("NU_TOPIC_CONFIGS_JSON", "{}".into()),
        ("NU_SCHEMA_REGISTRY_URL", cluster.registry),
        ("NU_CONSUMER_AUTO_OFFSET_RESET", "earliest".into()),
        ("NU_CONSUMER_POLL_TIMEOUT", "0.2".into()),
        ("NU_CONSUME_TOPICS", input.into()),
        ("NU_PRODUCE_SUCCESS_TOPICS", output.into()),
        ("NU_DO_METRICS_PUSHING", "false".into()),
    ];
    vars.extend(more.iter().cloned());
    let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(Config::from_vars(vars).map_err(|problems| anyhow::anyhow!("{problems}"))?.config)
}

/// Writes three people, and what is none among them.
async fn write(config: &Config, codec: &Codec, input: &str) -> Result<()> {
    let metrics = Metrics::new("test", "test");
    let people = PlainProducer::new(config, &[(input, PERSON)], codec, &metrics).await?;
    for n in 0..3 {
        let person = Person { email: format!("{n}@example.org") };
        people.produce(input, None, &person, &[Header::new("guid", "g")], LONG).await?;
        if n == 0 {
            let bootstrap = Cluster::shared().bootstrap;
            let raw: FutureProducer =
                ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
            let sent = raw.send(FutureRecord::<(), _>::to(input).payload("not Avro"), LONG).await;
            sent.map_err(|(error, _)| error)?;
        }
    }
    Ok(())
}

fn is_complete(request: &Request) -> bool {
    let samples = parse(&request.body).unwrap_or_default();
    let lag = samples.iter().find(|sample| sample.name == "nubium_consumer_lag_messages");
    let errors = sum_by(&samples, "message_errors", "exception");
    sum(request, "messages_consumed") == 4.0
        && sum(request, "messages_produced") == 3.0
        && errors.get("DecodeError") == Some(&1.0)
        && sum(request, "nubium_registry_requests_total") >= 1.0
        && sum(request, "nubium_rebalances_total") >= 1.0
        && samples.iter().any(|sample| sample.name == "seconds_behind")
        && lag.is_some_and(|lag| lag.value == 0.0)
}

#[test]
fn an_app_that_owns_its_loop_counts_and_pushes_as_the_others() -> Result<()> {
    let cluster = Cluster::shared();
    let (input, output) = (topics::unique("people"), topics::unique("greetings"));
    topics::create(&cluster.bootstrap, &[(&input, 1), (&output, 1)])?;
    let dns = NameServer::start()?;
    let (port, pods) = Pod::on_one_port(&["127.0.0.2"])?;
    dns.set_addresses(SERVICE, &["127.0.0.2"]);
    let pushing = [
        ("NU_DO_METRICS_PUSHING", "true".to_owned()),
        ("NU_METRICS_SERVICE_NAME", SERVICE.to_owned()),
        ("NU_METRICS_DNS_SERVER", dns.address().to_string()),
        ("NU_METRICS_POD_PORT", port.to_string()),
        ("NU_METRICS_PUSH_RATE", "0.2".to_owned()),
    ];
    let config = config(&input, &output, &pushing)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let registry = RegistryConfig::new(&cluster.registry);
    let codec = Codec::new(Registry::new(registry, runtime.handle().clone())?);
    runtime.block_on(write(&config, &codec, &input))?;

    let stop = Stop::new();
    let app = runtime.spawn({
        let (config, stop) = (config.clone(), stop.clone());
        async move { plain_client::run(&config, &stop).await }
    });
    let whole = |requests: &[Request]| requests.last().is_some_and(is_complete);
    pods[0].eventually("a push with all that was counted", whole)?;
    let before = pods[0].requests().len();
    stop.request("test");
    runtime.block_on(app)??;
    assert!(pods[0].requests().len() > before, "there was no last push");

    let consumer = {
        let _inside = runtime.enter();
        PlainConsumer::new(&config, &[&output], codec, &Metrics::new("test", "test"))?
    };
    for n in 0..3 {
        let received = runtime.block_on(consumer.consume_message(LONG))?;
        let greeting: Greeting = received.message().value()?;
        assert_eq!(greeting.text, format!("Hello {n}@example.org"));
        assert_eq!(received.message().header("guid"), Some("g"));
    }
    Ok(consumer.close()?)
}
