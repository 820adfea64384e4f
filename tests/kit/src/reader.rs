//! Reads topics back, apart from the product: a plain consumer of its own, `read_committed`,
//! assigned by hand from the beginning to the end of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::checker::{LogEnd, Output, Source};
use crate::ledger::Partition;
use crate::wait::{Look, eventually};
use crate::wire::Reader;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
// Nothing read for this long, though the log goes on, is an error and not a slow broker.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// A record as it lies in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Where it lies.
    pub partition: Partition,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Raw {
    fn new(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map(|headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect()
        });
        Self {
            partition: Partition::new(message.topic(), message.partition()),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }

    /// The text of the last header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rfind(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    /// Reads it as a copy made by the app under test.
    ///
    /// # Errors
    /// It is none: says where it lies.
    pub fn output(&self) -> Result<Output> {
        self.decode().with_context(|| format!("{} offset {}", self.partition, self.offset))
    }

    fn decode(&self) -> Result<Output> {
        let (_, mut key) = Reader::framed(self.key.as_deref().context("no key")?)?;
        let (_, mut value) = Reader::framed(self.value.as_deref().context("no value")?)?;
        let topic = value.string()?.to_owned();
        let number = i32::try_from(value.long()?)?;
        let output = Output {
            partition: self.partition.clone(),
            offset: self.offset,
            source: Source { partition: Partition { topic, number }, offset: value.long()? },
            seq: value.long()?,
            key: key.string()?.to_owned(),
        };
        value.end()?;
        key.end()?;
        Ok(output)
    }
}

/// Reads every committed record of the topics.
///
/// # Errors
/// The cluster does not answer, or reading stops before the end.
pub fn read_all(bootstrap: &str, topics: &[&str]) -> Result<Vec<Raw>> {
    let consumer = consumer(bootstrap, "read_committed", &[])?;
    let mut open: BTreeSet<_> = assign_from_beginning(&consumer, topics)?;
    let (mut records, mut last) = (Vec::new(), Instant::now());
    while !open.is_empty() {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                records.push(Raw::new(&message));
                last = Instant::now();
            }
            // The number alone names no topic; librdkafka tells the end of each once.
            Some(Err(KafkaError::PartitionEOF(_))) => {
                open.retain(|partition| !at_end(&consumer, partition));
                last = Instant::now();
            }
            Some(Err(error)) => return Err(error).context("cannot read the output"),
            None => open.retain(|partition| !at_end(&consumer, partition)),
        }
        ensure!(last.elapsed() < STALL_LIMIT, "reading stalls before the end of {open:?}");
    }
    Ok(records)
}

/// Says whether everything readable was read; control records count, so the position decides.
#[expect(clippy::disallowed_methods, reason = "the end of a log is a control record")]
fn at_end(consumer: &BaseConsumer, partition: &Partition) -> bool {
    let high = consumer.fetch_watermarks(&partition.topic, partition.number, REQUEST_TIMEOUT);
    let Ok((low, high)) = high else { return false };
    let position = consumer.position().ok().and_then(|positions| {
        positions.find_partition(&partition.topic, partition.number).map(|p| p.offset())
    });
    match position {
        Some(Offset::Offset(position)) => position >= high,
        // No position yet: nothing was read, and nothing may be there to read.
        _ => high == low,
    }
}

/// Returns where the logs of the topics end, for readers of committed and of all records.
///
/// # Errors
/// The cluster does not answer.
pub fn log_ends(bootstrap: &str, topics: &[&str]) -> Result<BTreeMap<Partition, LogEnd>> {
    let committed = consumer(bootstrap, "read_committed", &[])?;
    let all = consumer(bootstrap, "read_uncommitted", &[])?;
    let mut ends = BTreeMap::new();
    for partition in partitions(&all, topics)? {
        let end = |consumer: &BaseConsumer| {
            consumer.fetch_watermarks(&partition.topic, partition.number, REQUEST_TIMEOUT)
        };
        // In this order: a transaction that ends in between then looks open, never the reverse.
        let stable = end(&committed)?.1;
        let end = end(&all)?.1;
        ends.insert(partition, LogEnd { stable, end });
    }
    Ok(ends)
}

/// Waits until no transaction is open on the topics, and returns where their logs end.
///
/// # Errors
/// One is still open when the deadline passes: names the partition.
pub fn settled(
    bootstrap: &str,
    topics: &[&str],
    deadline: Duration,
) -> Result<BTreeMap<Partition, LogEnd>> {
    eventually("open transactions to end", deadline, || match log_ends(bootstrap, topics) {
        Ok(ends) => match ends.iter().find(|(_, end)| end.stable != end.end) {
            None => Look::Ready(ends),
            Some((partition, end)) => Look::NotYet(format!("{partition}: {end:?}")),
        },
        Err(error) => Look::NotYet(format!("{error:#}")),
    })
}

/// Returns a group's committed offsets; a partition without one is left out.
///
/// # Errors
/// The cluster does not answer, or offsets are still pending in a transaction.
pub fn committed(
    bootstrap: &str,
    group: &str,
    partitions: &[Partition],
) -> Result<BTreeMap<Partition, i64>> {
    let consumer = consumer(bootstrap, "read_committed", &[("group.id", group)])?;
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        asked.add_partition(&partition.topic, partition.number);
    }
    let answer = consumer
        .committed_offsets(asked, REQUEST_TIMEOUT)
        .with_context(|| format!("no committed offsets of group {group}"))?;
    let mut offsets = BTreeMap::new();
    for element in answer.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert(Partition::new(element.topic(), element.partition()), offset);
        }
    }
    Ok(offsets)
}

/// Returns how many members a group has.
///
/// # Errors
/// The cluster does not answer.
pub fn members(bootstrap: &str, group: &str) -> Result<usize> {
    let consumer = consumer(bootstrap, "read_committed", &[])?;
    let list = consumer.fetch_group_list(Some(group), REQUEST_TIMEOUT)?;
    Ok(list.groups().iter().map(|group| group.members().len()).sum())
}

/// Watches how many records a topic holds, transaction markers and open transactions included.
///
/// Faults are timed by it: "once the output has grown by so much", never by the clock.
pub struct Progress {
    consumer: BaseConsumer,
    partitions: BTreeSet<Partition>,
}

impl Progress {
    /// Watches a topic.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn of(bootstrap: &str, topic: &str) -> Result<Self> {
        let consumer = consumer(bootstrap, "read_uncommitted", &[])?;
        let partitions = partitions(&consumer, &[topic])?;
        Ok(Self { consumer, partitions })
    }

    /// How many records there are now.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn now(&self) -> Result<i64> {
        let end = |partition: &Partition| {
            let (topic, number) = (&partition.topic, partition.number);
            Ok(self.consumer.fetch_watermarks(topic, number, REQUEST_TIMEOUT)?.1)
        };
        self.partitions.iter().map(end).sum()
    }

    /// Waits until there are at least so many.
    ///
    /// # Errors
    /// There are fewer when the deadline passes, or `tend` fails.
    pub fn reach(
        &self,
        at_least: i64,
        deadline: Duration,
        mut tend: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            tend()?;
            // A cluster that is down for a while is part of some tests.
            let now = self.now().unwrap_or(0);
            if now >= at_least {
                return Ok(());
            }
            ensure!(start.elapsed() < deadline, "the output holds {now} of {at_least} records");
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("partitions", &self.partitions).finish()
    }
}

/// Reads all the time while a test does its worst, as a user's own consumer would.
///
/// What such a reader saw must be what a fresh one sees later: see [`LiveReader::finish`].
#[derive(Debug)]
pub struct LiveReader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Raw>>>,
}

impl LiveReader {
    /// Starts to read the topics from the beginning.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn start(bootstrap: &str, topics: &[&str]) -> Result<Self> {
        let consumer = consumer(bootstrap, "read_committed", &[])?;
        assign_from_beginning(&consumer, topics)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut records = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                match consumer.poll(Duration::from_millis(100)) {
                    Some(Ok(message)) => records.push(Raw::new(&message)),
                    Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                    // A broker that restarts is part of the test.
                    Some(Err(KafkaError::MessageConsumption(_) | KafkaError::Global(_))) => {}
                    Some(Err(error)) => return Err(error).context("the live reader"),
                }
            }
            Ok(records)
        });
        Ok(Self { stop, thread })
    }

    /// Stops, and checks that of each partition it saw the beginning of what is there now.
    ///
    /// # Errors
    /// It saw a record that is not there, or missed one: names the first.
    pub fn finish(self, now: &[Raw]) -> Result<usize> {
        self.stop.store(true, Ordering::Release);
        let seen = self.thread.join().map_err(|_| anyhow!("the live reader panicked"))??;
        compare_live(&seen, now)?;
        Ok(seen.len())
    }
}

fn compare_live(seen: &[Raw], now: &[Raw]) -> Result<()> {
    let mut there: BTreeMap<&Partition, std::vec::IntoIter<&Raw>> = BTreeMap::new();
    let mut lists: BTreeMap<&Partition, Vec<&Raw>> = BTreeMap::new();
    for record in now {
        lists.entry(&record.partition).or_default().push(record);
    }
    there.extend(lists.into_iter().map(|(partition, list)| (partition, list.into_iter())));
    for record in seen {
        let expected = there.get_mut(&record.partition).and_then(Iterator::next);
        if expected != Some(record) {
            let expected = expected.map(|raw| raw.offset);
            bail!(
                "a reader during the test saw {} offset {}; a reader afterwards sees {expected:?}",
                record.partition,
                record.offset
            );
        }
    }
    Ok(())
}

fn consumer(bootstrap: &str, isolation: &str, more: &[(&str, &str)]) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "nubium-tests-reader")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "50");
    for (key, value) in more {
        config.set(*key, *value);
    }
    config.create().context("cannot make a consumer")
}

fn partitions(consumer: &BaseConsumer, topics: &[&str]) -> Result<BTreeSet<Partition>> {
    let mut found = BTreeSet::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
        let partitions = metadata.topics().first().map_or(&[][..], |t| t.partitions());
        ensure!(!partitions.is_empty(), "topic {topic} has no partitions");
        found.extend(partitions.iter().map(|p| Partition::new(topic, p.id())));
    }
    Ok(found)
}

fn assign_from_beginning(consumer: &BaseConsumer, topics: &[&str]) -> Result<BTreeSet<Partition>> {
    let partitions = partitions(consumer, topics)?;
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(&partition.topic, partition.number, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(number: i32, offset: i64) -> Raw {
        let partition = Partition::new("t", number);
        Raw { partition, offset, key: None, value: None, headers: Vec::new() }
    }

    #[test]
    fn a_live_reader_may_see_less_but_nothing_else() {
        let now = [raw(0, 0), raw(1, 0), raw(0, 1), raw(0, 3)];
        compare_live(&[raw(1, 0), raw(0, 0), raw(0, 1)], &now).unwrap();
        compare_live(&[], &now).unwrap();
        assert!(compare_live(&[raw(0, 0), raw(0, 2)], &now).is_err(), "an aborted record");
        assert!(compare_live(&[raw(0, 0), raw(0, 3)], &now).is_err(), "a record missed");
        assert!(compare_live(&[raw(0, 0), raw(0, 0)], &now).is_err(), "a record twice");
        assert!(compare_live(&[raw(2, 0)], &now).is_err(), "another partition");
    }
}
