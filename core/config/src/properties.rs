//! The pass-through: further librdkafka properties, and which of them are refused.

use std::collections::BTreeMap;

use nubium_document::{kind_of, scalar};

use super::document;
use super::reader::Reader;
use super::secret::Secret;

/// Holds librdkafka properties that are handed on as they are. Any of them may be a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// Those of every client.
    pub both: BTreeMap<String, Secret>,
    /// Those of consumers; they win over `both`.
    pub consumer: BTreeMap<String, Secret>,
    /// Those of producers; they win over `both`.
    pub producer: BTreeMap<String, Secret>,
}

/// Second names of librdkafka's for the same property.
const ALIASES: &[(&str, &str)] = &[
    ("auto.commit.enable", "enable.auto.commit"),
    ("compression.codec", "compression.type"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("message.send.max.retries", "retries"),
    ("metadata.broker.list", "bootstrap.servers"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("request.required.acks", "acks"),
    ("sasl.mechanisms", "sasl.mechanism"),
];

const COMMIT: &str = "offsets are committed with the outputs, in one transaction";
const DELIVERY: &str = "with another value an output may be lost, doubled or out of order";
const WATCHED: &str = "the loop relies on these events";

/// Properties that would break what the crate promises.
const FORBIDDEN: &[(&str, &str)] = &[
    ("acks", DELIVERY),
    ("delivery.report.only.error", "commit relies on hearing of failures alone"),
    ("enable.auto.commit", COMMIT),
    ("enable.auto.offset.store", COMMIT),
    ("enable.gapless.guarantee", DELIVERY),
    ("enable.idempotence", DELIVERY),
    ("enable.partition.eof", WATCHED),
    ("enable.sasl.oauthbearer.unsecure.jwt", "a token that nobody signed proves nothing"),
    ("enabled_events", WATCHED),
    ("group.protocol.type", "the groups are consumer groups"),
    ("isolation.level", "messages of aborted transactions must not be handled"),
    ("log.connection.close", "a producer whose connection broke is replaced: the log tells"),
    ("log.queue", WATCHED),
    ("log_level", "the log is read, too: NU_LOGLEVEL says what of it is shown"),
    ("max.in.flight.requests.per.connection", DELIVERY),
    ("message.timeout.ms", "the transaction time-out bounds delivery"),
    ("offset.store.method", COMMIT),
    ("partitioner", "keys must land where Java clients put them"),
    ("queue.buffering.backpressure.threshold", DELIVERY),
    ("queuing.strategy", DELIVERY),
    ("request.timeout.ms", "the transaction time-out bounds delivery"),
    ("retries", DELIVERY),
    ("statistics.interval.ms", "liveness and metrics are read from the statistics"),
];

/// Properties that have a setting of their own.
const OWNED: &[(&str, &str)] = &[
    ("auto.commit.interval.ms", "NU_CONSUMER_AUTO_COMMIT_INTERVAL_SECONDS"),
    ("auto.offset.reset", "NU_CONSUMER_AUTO_OFFSET_RESET"),
    ("bootstrap.servers", "NU_KAFKA_CLUSTERS_CONFIGS_JSON"),
    ("compression.type", "NU_PRODUCER_COMPRESSION_TYPE"),
    ("fetch.max.bytes", "NU_CONSUMER_MESSAGE_TOTAL_MAX_MB"),
    ("group.id", "NU_APP_NAME"),
    ("group.instance.id", "NU_CONSUMER_GROUP_INSTANCE_ID"),
    ("group.protocol", "NU_CONSUMER_GROUP_PROTOCOL"),
    ("heartbeat.interval.ms", "NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS"),
    ("max.poll.interval.ms", "NU_CONSUMER_TIMEOUT_LIMIT_MINUTES"),
    ("message.max.bytes", "NU_CONSUMER_MESSAGE_BATCH_MAX_MB or NU_PRODUCER_MESSAGE_MAX_MB"),
    ("partition.assignment.strategy", "NU_CONSUMER_ASSIGNMENT_STRATEGY"),
    ("queue.buffering.max.messages", "NU_OUTBOX_MAX_COUNT"),
    ("queued.max.messages.kbytes", "NU_CONSUMER_MESSAGE_QUEUE_MAX_MB"),
    ("sasl.mechanism", "NU_KAFKA_SASL_MECHANISM"),
    ("sasl.oauthbearer.config", "NU_KAFKA_SASL_MECHANISM=OAUTHBEARER with NU_KAFKA_OAUTH_..."),
    ("sasl.oauthbearer.method", "NU_KAFKA_SASL_MECHANISM=OAUTHBEARER with NU_KAFKA_OAUTH_..."),
    ("sasl.password", "NU_KAFKA_PASSWORD"),
    ("sasl.username", "NU_KAFKA_USERNAME"),
    ("session.timeout.ms", "NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS"),
    ("ssl.ca.location", "NU_KAFKA_SSL_CA_LOCATION"),
    ("ssl.certificate.location", "NU_KAFKA_SSL_CERTIFICATE_LOCATION"),
    ("ssl.key.location", "NU_KAFKA_SSL_KEY_LOCATION"),
    ("ssl.key.password", "NU_KAFKA_SSL_KEY_PASSWORD"),
    ("transaction.timeout.ms", "NU_PRODUCER_TRANSACTION_TIMEOUT_SECONDS"),
    ("transactional.id", "NU_HOSTNAME"),
];

/// Lists every refused property with the reason; also on the docs page.
pub(super) fn refused() -> impl Iterator<Item = (&'static str, String)> {
    let forbidden = FORBIDDEN.iter().map(|(name, why)| (*name, (*why).to_owned()));
    let owned = OWNED.iter().map(|(name, setting)| (*name, format!("set {setting} instead")));
    forbidden.chain(owned)
}

/// Reads the three maps of properties.
pub(super) fn read(reader: &mut Reader) -> Properties {
    Properties {
        both: read_map(reader, "NU_KAFKA_PROPERTIES_JSON"),
        consumer: read_map(reader, "NU_CONSUMER_PROPERTIES_JSON"),
        producer: read_map(reader, "NU_PRODUCER_PROPERTIES_JSON"),
    }
}

fn read_map(reader: &mut Reader, name: &str) -> BTreeMap<String, Secret> {
    let Some(opened) = document::json(reader, name) else { return BTreeMap::new() };
    let fields = opened.fields(reader, "properties");
    let mut properties = BTreeMap::new();
    for (given, value) in fields.pairs_of_values() {
        let property = canonical(given);
        if let Some((_, why)) = refused().find(|(name, _)| *name == property) {
            fields.refuse(given, "a property that is refused", &format!("it to be absent: {why}"));
            continue;
        }
        let Some(text) = scalar(value) else {
            fields.refuse(given, kind_of(value), "text, a number, true or false");
            continue;
        };
        match verify(property, &text) {
            Ok(()) => drop(properties.insert(property.to_owned(), Secret::from(text))),
            Err(expected) => fields.refuse(given, "what librdkafka refuses", expected),
        }
    }
    opened.close(reader);
    properties
}

fn canonical(property: &str) -> &str {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == property);
    alias.map_or(property, |(_, canonical)| canonical)
}

fn verify(property: &str, text: &str) -> Result<(), &'static str> {
    // A NUL cannot be handed to C.
    if property.contains('\0') || text.contains('\0') {
        return Err("text without NUL");
    }
    known(property, text)
}

/// Asks librdkafka itself whether it knows the property and takes the value; no network.
#[cfg(feature = "librdkafka")]
fn known(property: &str, text: &str) -> Result<(), &'static str> {
    use rdkafka::ClientConfig;
    use rdkafka::error::KafkaError;
    use rdkafka::types::RDKafkaConfRes;

    match ClientConfig::new().set(property, text).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Err("a property that librdkafka knows; see its CONFIGURATION.md")
        }
        Err(_) => Err("a value that librdkafka accepts; see its CONFIGURATION.md"),
    }
}

/// Believes what nobody here hands on.
#[cfg(not(feature = "librdkafka"))]
fn known(_: &str, _: &str) -> Result<(), &'static str> {
    Ok(())
}
