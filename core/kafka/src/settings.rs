//! From [`Config`] to librdkafka's properties. Pure: no client is made, nothing is connected.
//!
//! The values that are no setting were measured; where the reason is not plain it stands beside
//! them. Property names: librdkafka's CONFIGURATION.md.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;

use nubium_config::{
    Choice, Cluster, Config, GroupProtocol, Producer, Properties, REDACTED, Sasl, Secret, Topology,
    numbered,
};

use crate::token;

#[cfg(test)]
mod tests;

/// Holds the properties of one client by name; `Debug` redacts what may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientProperties {
    map: BTreeMap<String, String>,
    secret: Vec<String>,
}

impl ClientProperties {
    /// Gives one property, secrets too.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.map.get(name).map(String::as_str)
    }

    /// Gives all properties as they are, secrets too. For making a client, never for printing.
    pub fn expose(&self) -> &BTreeMap<String, String> {
        &self.map
    }

    /// Gives all properties with every secret replaced; for logs and listings.
    pub fn redacted(&self) -> BTreeMap<&str, &str> {
        let show =
            |name: &String| if self.secret.contains(name) { REDACTED } else { &self.map[name] };
        self.map.keys().map(|name| (name.as_str(), show(name))).collect()
    }

    /// Makes what rdkafka creates clients from.
    pub fn to_client_config(&self) -> ClientConfig {
        self.map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn set(&mut self, name: &str, value: impl ToString) {
        self.map.insert(name.into(), value.to_string());
    }

    fn set_time(&mut self, name: &str, time: Duration) {
        self.set(name, time.as_millis());
    }

    fn set_secret(&mut self, name: &str, value: &Secret) {
        self.set(name, value.expose());
        self.secret.push(name.into());
    }
}

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.redacted()).finish()
    }
}

/// Names the instance that one app thread is: `NU_HOSTNAME`, then `NU_HOSTNAME-1`, ...
///
/// It is the transactional.id, so it must stay the same when the instance comes back.
pub fn instance_name(config: &Config, thread: u32) -> String {
    numbered(&config.app.hostname, thread)
}

/// Gives the properties of the consumer of one exactly-once loop.
pub fn consumer_properties(config: &Config, cluster: &Cluster, thread: u32) -> ClientProperties {
    let mut properties = consumer(config, cluster, thread);
    // The producer commits the offsets, within its transaction.
    properties.set("enable.auto.commit", false);
    // The loop follows the setting itself: librdkafka would do so without a word of what is lost.
    if nubium_host::mutant!("input-is-read-uncommitted") {
        properties.set("isolation.level", "read_uncommitted");
    }
    properties.set("auto.offset.reset", "error");
    pass_through(&mut properties, &config.properties, &config.properties.consumer);
    properties
}

/// Gives the properties of a consumer without transactions, which commits on its own.
///
/// It commits what was stored: whoever owns the loop stores an offset when its message is done,
/// so that nothing is committed that was not handled.
pub fn plain_consumer_properties(
    config: &Config,
    cluster: &Cluster,
    thread: u32,
) -> ClientProperties {
    let mut properties = consumer(config, cluster, thread);
    properties.set("enable.auto.commit", true);
    properties.set_time("auto.commit.interval.ms", config.consumer.auto_commit_interval);
    pass_through(&mut properties, &config.properties, &config.properties.consumer);
    properties
}

/// Gives the properties of the producer of one exactly-once loop.
pub fn producer_properties(config: &Config, cluster: &Cluster, thread: u32) -> ClientProperties {
    let mut properties = app_producer(config, cluster, thread);
    let foreign =
        if nubium_host::mutant!("another-id-each-start") { std::process::id() } else { 0 };
    let name = instance_name(config, thread);
    let name = if foreign > 0 { format!("{name}-{foreign}") } else { name };
    properties.set("transactional.id", name);
    properties.set_time("transaction.timeout.ms", config.producer.transaction_timeout);
    // The outbox is a batch already; waiting for more only delays the commit.
    properties.set("linger.ms", 0);
    // The next transaction waits for the markers of the last one, and asks this often.
    properties.set("retry.backoff.ms", 1);
    // What was consumed may have to be sent on as it is, to a retry or failure topic.
    let largest = forward_max_bytes(config).max(config.producer.message_max_bytes);
    properties.set("message.max.bytes", largest);
    // Commit reports what was delivered; only failures need a report of their own.
    properties.set("delivery.report.only.error", true);
    pass_through(&mut properties, &config.properties, &config.properties.producer);
    properties
}

/// The largest message that a consumer of these settings can receive. A broker sends one that is
/// larger than what was asked for when it is the first to be read, so this is librdkafka's bound.
fn forward_max_bytes(config: &Config) -> u64 {
    const NAME: &str = "receive.message.max.bytes";
    let properties = &config.properties;
    let given = properties.consumer.get(NAME).or_else(|| properties.both.get(NAME));
    given.and_then(|given| given.expose().parse().ok()).unwrap_or(100_000_000)
}

/// Gives the properties of a producer without transactions. Every record gets a report.
pub fn plain_producer_properties(
    config: &Config,
    cluster: &Cluster,
    thread: u32,
) -> ClientProperties {
    let mut properties = app_producer(config, cluster, thread);
    properties.set("linger.ms", 5);
    pass_through(&mut properties, &config.properties, &config.properties.producer);
    properties
}

/// Gives the properties of a client that reads changelogs and joins no group. `isolation` is
/// `read_committed` to read, and `read_uncommitted` to ask where logs end.
pub fn changelog_properties(
    config: &Config,
    cluster: &Cluster,
    thread: u32,
    isolation: &str,
) -> ClientProperties {
    let mut properties = client(cluster, &instance_name(config, thread));
    pass_through(&mut properties, &config.properties, &config.properties.consumer);
    for name in ["group.instance.id", "group.protocol", "partition.assignment.strategy"] {
        properties.map.remove(name);
    }
    // A consumer must name a group to be assigned by hand; this one has its permissions already.
    properties.set("group.id", &config.app.name);
    let open = nubium_host::mutant!("changelog-is-read-uncommitted");
    let stable = nubium_host::mutant!("recovery-ends-at-the-stable-end");
    let isolation = if open { "read_uncommitted" } else { isolation };
    properties.set("isolation.level", if stable { "read_committed" } else { isolation });
    properties.set("enable.auto.commit", false);
    properties.set("enable.auto.offset.store", false);
    properties.set("enable.partition.eof", true);
    properties.set("auto.offset.reset", "error");
    properties.set("statistics.interval.ms", 0);
    properties.set("message.max.bytes", config.consumer.message_max_bytes);
    // A recovery reads as fast as it can, for a short time.
    properties.set("fetch.max.bytes", config.consumer.fetch_max_bytes.max(16 << 20));
    properties.set("queued.max.messages.kbytes", 64 << 10);
    properties.set("fetch.queue.backoff.ms", 5);
    properties.set("fetch.wait.max.ms", 100);
    properties
}

/// Gives the properties of a tool's consumer, which is assigned by hand and commits nothing.
/// `name` is its client.id and the group that it must name.
pub fn tool_consumer_properties(
    topology: &Topology,
    cluster: &Cluster,
    name: &str,
) -> ClientProperties {
    let mut properties = client(cluster, name);
    properties.set("isolation.level", "read_committed");
    properties.set("message.max.bytes", topology.message_max_bytes);
    pass_through(&mut properties, &topology.properties, &topology.properties.consumer);
    properties.map.remove("group.instance.id");
    properties.set("group.id", name);
    properties.set("enable.auto.commit", false);
    properties.set("enable.auto.offset.store", false);
    // An end that is no message (a control record) is told by this event alone.
    properties.set("enable.partition.eof", true);
    properties.set("auto.offset.reset", "error");
    properties.set("statistics.interval.ms", 0);
    properties
}

/// Gives the properties of a tool's producer; `name` is its client.id.
pub fn tool_producer_properties(
    topology: &Topology,
    cluster: &Cluster,
    name: &str,
) -> ClientProperties {
    let mut properties = producer(client(cluster, name), &topology.producer);
    pass_through(&mut properties, &topology.properties, &topology.properties.producer);
    properties.set("statistics.interval.ms", 0);
    properties
}

fn client(cluster: &Cluster, name: &str) -> ClientProperties {
    let mut properties = ClientProperties::default();
    properties.set("bootstrap.servers", &cluster.url);
    properties.set("client.id", name);
    properties.set("statistics.interval.ms", 5_000);
    properties.set("security.protocol", cluster.protocol.name().to_ascii_lowercase());
    if let Some(sasl) = &cluster.sasl {
        prove(&mut properties, sasl);
    }
    if cluster.protocol.is_ssl() {
        let paths = [
            ("ssl.ca.location", &cluster.tls.ca_location),
            ("ssl.certificate.location", &cluster.tls.certificate_location),
            ("ssl.key.location", &cluster.tls.key_location),
        ];
        for (name, path) in paths {
            if let Some(path) = path {
                properties.set(name, path.display());
            }
        }
        if let Some(password) = &cluster.tls.key_password {
            properties.set_secret("ssl.key.password", password);
        }
    }
    properties
}

fn prove(properties: &mut ClientProperties, sasl: &Sasl) {
    properties.set("sasl.mechanism", sasl.mechanism());
    match sasl {
        Sasl::Password(login) => {
            properties.set("sasl.username", &login.username);
            properties.set_secret("sasl.password", &login.password);
        }
        // The token itself is handed to the client when there is one.
        Sasl::Token(source) => properties.set("sasl.oauthbearer.config", token::enlist(source)),
        Sasl::Kerberos(kerberos) => {
            properties.set("sasl.kerberos.service.name", &kerberos.service);
            if let Some(principal) = &kerberos.principal {
                properties.set("sasl.kerberos.principal", principal);
            }
            if let Some(keytab) = &kerberos.keytab {
                properties.set("sasl.kerberos.keytab", keytab.display());
            }
        }
    }
}

fn consumer(config: &Config, cluster: &Cluster, thread: u32) -> ClientProperties {
    let settings = &config.consumer;
    let mut properties = client(cluster, &instance_name(config, thread));
    properties.set("group.id", &config.app.name);
    properties.set("group.protocol", settings.group_protocol.name());
    if let Some(id) = &settings.group_instance_id {
        properties.set("group.instance.id", numbered(id, thread));
    }
    if settings.group_protocol == GroupProtocol::Classic {
        // With the other protocol librdkafka refuses these: the broker decides.
        properties.set("partition.assignment.strategy", settings.assignment_strategy.name());
        properties.set_time("session.timeout.ms", settings.session_timeout);
        properties.set_time("heartbeat.interval.ms", settings.heartbeat_interval);
    }
    properties.set_time("max.poll.interval.ms", settings.max_poll_interval);
    properties.set("auto.offset.reset", settings.auto_offset_reset.name());
    properties.set("isolation.level", "read_committed");
    properties.set("enable.auto.offset.store", false);
    properties.set("enable.partition.eof", false);
    properties.set("message.max.bytes", settings.message_max_bytes);
    // librdkafka raises receive.message.max.bytes by itself to 512 more than this.
    properties.set("fetch.max.bytes", settings.fetch_max_bytes);
    properties.set("queued.max.messages.kbytes", (settings.queue_max_bytes / 1_024).max(1));
    // The default of a second stalls a fast consumer each time its queue is full.
    properties.set("fetch.queue.backoff.ms", 5);
    properties
}

fn app_producer(config: &Config, cluster: &Cluster, thread: u32) -> ClientProperties {
    let client = client(cluster, &instance_name(config, thread));
    let mut properties = producer(client, &config.producer);
    // Far above one outbox, so that producing never finds the queue full.
    properties.set("queue.buffering.max.messages", (config.outbox.max_count * 10).max(100_000));
    properties
}

fn producer(client: ClientProperties, settings: &Producer) -> ClientProperties {
    let mut properties = client;
    properties.set("enable.idempotence", true);
    properties.set("acks", "all");
    // Keys land on the partition that Java clients compute.
    properties.set("partitioner", "murmur2_random");
    properties.set("compression.type", settings.compression.name());
    properties.set("message.max.bytes", settings.message_max_bytes);
    properties
}

fn pass_through(
    properties: &mut ClientProperties,
    given: &Properties,
    own: &BTreeMap<String, Secret>,
) {
    for (name, value) in given.both.iter().chain(own) {
        properties.set_secret(name, value);
    }
}
