//! The broker: topics, inputs and results.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::cli::Cluster;
use crate::tally::Seen;

const LIMIT: Duration = Duration::from_secs(30);

/// The properties of every client.
///
/// # Errors
/// The file cannot be read, or a line is no property.
pub fn properties(cluster: &Cluster) -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.bootstrap);
    let file = match &cluster.properties {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => String::new(),
    };
    let lines = file.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.starts_with('#'));
    for (at, line) in lines.chain(cluster.property.iter().map(String::as_str)).enumerate() {
        // The line itself may be a password.
        let pair = line.split_once('=');
        let (name, value) = pair.with_context(|| format!("property {}: no `=`", at + 1))?;
        config.set(name.trim(), value.trim());
    }
    Ok(config)
}

/// Creates topics.
///
/// # Errors
/// The cluster refuses.
pub fn create(config: &ClientConfig, topics: &[&str], partitions: i32) -> Result<()> {
    let new = topics.iter().map(|t| NewTopic::new(t, partitions, TopicReplication::Fixed(-1)));
    let new: Vec<_> = new.collect();
    let answers = admin(config, async |admin, options| admin.create_topics(&new, options).await)?;
    for answer in answers {
        answer.map_err(|(topic, code)| anyhow!("cannot create {topic}: {code}"))?;
    }
    Ok(())
}

/// Deletes topics.
///
/// # Errors
/// The cluster refuses.
pub fn delete(config: &ClientConfig, topics: &[&str]) -> Result<()> {
    let answers = admin(config, async |admin, options| admin.delete_topics(topics, options).await)?;
    for answer in answers {
        answer.map_err(|(topic, code)| anyhow!("cannot delete {topic}: {code}"))?;
    }
    Ok(())
}

type Admin = AdminClient<DefaultClientContext>;

fn admin<T>(
    config: &ClientConfig,
    ask: impl AsyncFnOnce(&Admin, &AdminOptions) -> Result<T, KafkaError>,
) -> Result<T> {
    let client: Admin = config.create()?;
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(ask(&client, &options))?)
}

/// Writes inputs.
pub struct Feeder {
    producer: BaseProducer,
    topic: String,
}

impl Feeder {
    /// Makes one.
    ///
    /// # Errors
    /// A property is wrong.
    pub fn new(config: &ClientConfig, topic: &str) -> Result<Self> {
        let mut config = config.clone();
        config.set("enable.idempotence", "true");
        Ok(Self { producer: config.create()?, topic: topic.to_owned() })
    }

    /// Writes one input with its name in the header `guid`.
    ///
    /// # Errors
    /// The broker does not take it.
    pub fn write(&self, key: &str, id: &str, value: &[u8]) -> Result<()> {
        loop {
            let headers = OwnedHeaders::new().insert(Header { key: "guid", value: Some(id) });
            let record = BaseRecord::to(&self.topic).key(key).payload(value).headers(headers);
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.producer.poll(Duration::from_millis(50));
                }
                Err((error, _)) => return Err(error).context("cannot write an input"),
            }
        }
    }

    /// Waits until the broker has them all.
    ///
    /// # Errors
    /// It does not take them in time.
    #[expect(clippy::disallowed_methods, reason = "no transaction, and in no hurry")]
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(LIMIT).context("the broker does not take the inputs")
    }
}

/// Reads topics as readers of committed records see them, by hand and in no group.
pub struct Reader {
    consumer: BaseConsumer,
    partitions: Vec<(String, i32)>,
}

impl Reader {
    /// Begins at the beginnings, or at the ends.
    ///
    /// # Errors
    /// A topic is not there.
    pub fn new(config: &ClientConfig, topics: &[&str], from: Offset) -> Result<Self> {
        let mut config = config.clone();
        config
            .set("group.id", "nubium-verify")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create()?;
        let (mut list, mut partitions) = (TopicPartitionList::new(), Vec::new());
        for topic in topics {
            let found = consumer.fetch_metadata(Some(topic), LIMIT)?;
            let of = found.topics().first().map_or(&[][..], |topic| topic.partitions());
            ensure!(!of.is_empty(), "there is no topic {topic}");
            for partition in of {
                list.add_partition_offset(topic, partition.id(), from)?;
                partitions.push(((*topic).to_owned(), partition.id()));
            }
        }
        consumer.assign(&list)?;
        Ok(Self { consumer, partitions })
    }

    /// Takes what comes within a moment.
    ///
    /// # Errors
    /// Kafka says for good that it cannot be read.
    pub fn take(&self, each: &mut dyn FnMut(&BorrowedMessage<'_>)) -> Result<usize> {
        let (mut taken, mut wait) = (0, Duration::from_millis(200));
        loop {
            match self.consumer.poll(wait) {
                None => return Ok(taken),
                Some(Ok(message)) => each(&message),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    bail!("cannot read: {code}")
                }
                // A broker that is away comes back.
                Some(Err(_)) => return Ok(taken),
            }
            (taken, wait) = (taken + 1, Duration::ZERO);
        }
    }

    /// Where the logs end for readers of committed records, all together.
    fn ends(&self) -> Result<i64> {
        let end = |(topic, number): &(String, i32)| {
            Ok(self.consumer.fetch_watermarks(topic, *number, LIMIT)?.1)
        };
        self.partitions.iter().map(end).sum()
    }
}

/// Follows results until none has come for so long, or there are enough.
///
/// # Errors
/// Kafka does not answer.
pub fn settle(
    reader: &Reader,
    quiet: Duration,
    seen: &mut Vec<Seen>,
    name: &str,
    enough: usize,
    mut tend: impl FnMut() -> Result<()>,
) -> Result<()> {
    let (mut last, mut end) = (Instant::now(), 0);
    while seen.len() < enough && last.elapsed() < quiet {
        tend()?;
        let before = seen.len();
        reader.take(&mut |message| seen.push(result(message, name)))?;
        let now = reader.ends().unwrap_or(end);
        if seen.len() > before || now > end {
            (last, end) = (Instant::now(), now);
        }
    }
    Ok(())
}

/// Reads which input a result is of: by the header `guid`, or by its name in the value or the key.
pub fn result(message: &BorrowedMessage<'_>, name: &str) -> Seen {
    let guid = header(message, "guid");
    let places = [guid.as_deref(), message.payload(), message.key()];
    let number = places.into_iter().flatten().find_map(|bytes| number_in(bytes, name));
    Seen { number, partition: message.partition() }
}

/// The last header of this name.
pub fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<Vec<u8>> {
    let headers = message.headers()?;
    let found = headers.iter().filter(|header| header.key == name).last()?;
    found.value.map(<[u8]>::to_vec)
}

/// Finds `{name}-{number}` in bytes.
fn number_in(bytes: &[u8], name: &str) -> Option<u64> {
    let start = bytes.windows(name.len()).position(|part| part == name.as_bytes())?;
    let rest = bytes.get(start + name.len()..)?.strip_prefix(b"-")?;
    let digits: Vec<u8> = rest.iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_name_wherever_it_stands() {
        assert_eq!(number_in(br#"{"id": "verify-a1-42"}"#, "verify-a1"), Some(42));
        assert_eq!(number_in(b"\0\0\0\0\x01\x18verify-a1-7", "verify-a1"), Some(7));
        assert_eq!(number_in(b"verify-b2-7", "verify-a1"), None);
        assert_eq!(number_in(b"verify-a1", "verify-a1"), None);
    }
}
