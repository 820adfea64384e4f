//! `dude replay`: the messages of a failure topic, produced again, exactly once.
//!
//! Records and the offset they come from are in one Kafka transaction, as in an app. The
//! transactional id is the replay's name: a second run, or one after a kill, first ends what the
//! one before had open, then asks the group where to go on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use nubium_kafka::raw::{NativeMessage, RawError};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

use crate::data::decode::{Decoder, Encoding};
use crate::data::encode::Outgoing;
use crate::data::filter::Filter;
use crate::kafka::client::{self, consumer_properties, producer_properties};
use crate::kafka::positions;
use crate::kafka::producer::Producer;
use crate::kafka::subject;
use crate::session::{Session, Target};
use crate::terminal::{self, Progress};
use nubium_host::failure::{Failure, Or as _, Outcome};
use nubium_kafka::reader::{Range, Reader};
use nubium_kafka::report::Trouble;

/// Messages that share a transaction, at most, unless told otherwise.
const BATCH: u32 = 500;
/// How long a transaction may be open; readers of the target wait no longer for a killed replay.
const TRANSACTION: Duration = Duration::from_secs(60);

/// Says what goes where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude replay billing-failure --to orders
  dude replay billing-failure --to orders --where 'header.exception~Timeout'
  dude replay billing-failure --to-header original_topic
  dude replay billing-failure --to orders --dry-run

Key, value and headers stay as they are; kafka_retry_count begins at 0 again and the header
exception is taken off. Where a message goes on is committed together with it, under the group
dude-replay.FROM.TO: after a kill the same command goes on where it was, and nothing is produced
twice. Another condition makes another group, which reads from the start; --group names one.")]
pub struct Options {
    /// Topic to read, mostly a failure topic.
    from: String,
    /// Topic to produce to; without it, the one topic of NU_CONSUME_TOPICS.
    #[arg(long, value_name = "TOPIC", conflicts_with = "to_header")]
    to: Option<String>,
    /// Header that names the topic to produce to, message by message.
    #[arg(long, value_name = "NAME")]
    to_header: Option<String>,
    /// Take only messages that meet this condition; may be repeated, all must hold.
    #[arg(long = "where", value_name = "CONDITION", value_parser = Filter::parse)]
    filters: Vec<Filter>,
    /// Group that remembers what is done.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Messages in a transaction, at most.
    #[arg(long, value_name = "N", default_value_t = BATCH)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Leave the header exception on.
    #[arg(long)]
    keep_exception: bool,
    /// Keep the timestamps instead of the moment of producing.
    #[arg(long)]
    keep_timestamp: bool,
    /// Show the plan and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Topic(String),
    Header(String),
}

/// Replays.
///
/// # Errors
/// Kafka refuses, a message names no target, or another replay of this name took over.
pub fn run(session: &Session, options: &Options) -> Outcome {
    session.obey_signals()?;
    let to = target_of(session, options)?;
    let topics: Vec<&str> = match &to {
        To::Topic(topic) => vec![&options.from, topic],
        To::Header(_) => vec![&options.from],
    };
    let target = session.target(&topics)?;
    let group = options.group.clone().unwrap_or_else(|| group_of(options, &to));
    let mut properties = consumer_properties(session, &target);
    properties.insert("group.id".into(), group.clone());
    let (consumer, context) = client::consumer(&properties)?;
    let limit = session.timeout();
    if let To::Topic(topic) = &to {
        // Producing to a topic that is not there may create it.
        client::partitions(&consumer, &context, topic, limit)?;
    }
    let producer = match options.dry_run {
        true => None,
        // Before the offsets are read: it ends what a killed run had open.
        false => Some(producer(session, &target, &group)?),
    };
    let ranges = ranges(&consumer, &context, &options.from, limit)?;
    let left: i64 = ranges.iter().map(|range| range.end - range.start).sum();
    show(session, options, &group, &to, &ranges)?;
    let Some(producer) = producer else { return Ok(()) };
    if left > 0 {
        let question = format!("Produce them again on cluster {}?", target.name);
        terminal::confirm(&question, session.options.yes)?;
    }
    let codec = session.codec_or_none()?;
    let decoder = Decoder::new(codec, session.runtime.handle().clone(), Encoding::Auto);
    let decoder = decoder.of_topic(&options.from);
    let reader =
        Reader::new(consumer, context, &options.from, &ranges, false, limit).or_refused()?;
    let replay = Replay { session, options, to, producer, reader, decoder, done: 0, skipped: 0 };
    replay.run(u64::try_from(left).unwrap_or_default())
}

fn target_of(session: &Session, options: &Options) -> Outcome<To> {
    let to = match (&options.to, &options.to_header, &session.consumed[..]) {
        (Some(topic), ..) => To::Topic(topic.clone()),
        (None, Some(header), _) => To::Header(header.clone()),
        (None, None, [topic]) => To::Topic(topic.clone()),
        (None, None, _) => {
            return Err(Failure::settings(
                "where to? say --to TOPIC or --to-header NAME, or set the app's NU_CONSUME_TOPICS",
            ));
        }
    };
    match &to {
        To::Topic(topic) if *topic == options.from => {
            Err(Failure::settings(format!("{topic} would be read and produced to without an end")))
        }
        _ => Ok(to),
    }
}

/// Names the replay, so that the same command finds its group again.
fn group_of(options: &Options, to: &To) -> String {
    let to = match to {
        To::Topic(topic) => topic.clone(),
        To::Header(header) => format!("header-{header}"),
    };
    let name = format!("dude-replay.{}.{to}", options.from);
    if options.filters.is_empty() {
        return name;
    }
    // A sum that stays the same from version to version: with another one, all would come again.
    let conditions: Vec<&str> = options.filters.iter().map(Filter::text).collect();
    format!(
        "{name}.{:08x}",
        crc32fast::hash(
            conditions
                .join(
                    "
"
                )
                .as_bytes()
        )
    )
}

fn producer(session: &Session, target: &Target, group: &str) -> Outcome<Producer> {
    let mut properties = producer_properties(session, target);
    for (name, value) in [
        ("transactional.id", group.to_owned()),
        ("transaction.timeout.ms", TRANSACTION.as_millis().to_string()),
        ("message.timeout.ms", TRANSACTION.as_millis().to_string()),
        ("linger.ms", "0".into()),
        // The next transaction waits for the markers of the last one, and asks this often.
        ("retry.backoff.ms", "1".into()),
    ] {
        properties.insert(name.into(), value);
    }
    let producer = Producer::new(&properties, "", session.timeout())?;
    let begun = producer.transaction().init(session.timeout());
    begun.map_err(|error| anyhow!("the transactional producer {group}: {error}"))?;
    Ok(producer)
}

/// Finds what is left of each partition: from what the group committed to the present end.
fn ranges(
    consumer: &BaseConsumer<Trouble>,
    context: &Trouble,
    topic: &str,
    limit: Duration,
) -> anyhow::Result<Vec<Range>> {
    let partitions = client::partitions(consumer, context, topic, limit)?;
    let bounds = positions::bounds(consumer, topic, &partitions, limit)?;
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, partition);
    }
    let committed = consumer.committed_offsets(list, limit).context("what is done already")?;
    let mut done = BTreeMap::new();
    for element in committed.elements() {
        element.error().with_context(|| format!("{topic}[{}]", element.partition()))?;
        if let Offset::Offset(offset) = element.offset() {
            done.insert(element.partition(), offset);
        }
    }
    let range = |(partition, bounds): (&i32, &positions::Bounds)| {
        let start = done.get(partition).copied().unwrap_or(bounds.first);
        let start = start.clamp(bounds.first, bounds.end.max(bounds.first));
        Range { partition: *partition, start, end: bounds.end }
    };
    Ok(bounds.iter().map(range).collect())
}

fn show(session: &Session, options: &Options, group: &str, to: &To, ranges: &[Range]) -> Outcome {
    let to = match to {
        To::Topic(topic) => topic.clone(),
        To::Header(header) => format!("the topic in header {header}"),
    };
    if session.options.json {
        let ranges: Vec<_> = ranges
            .iter()
            .map(|r| json!({"partition": r.partition, "from": r.start, "end": r.end}))
            .collect();
        return terminal::show_json(
            &json!({"from": options.from, "to": to, "group": group, "partitions": ranges}),
        );
    }
    let mut table = terminal::table(&["Partition", "From", "End", "Offsets"]);
    for range in ranges {
        table.add_row(
            [range.partition.into(), range.start, range.end, range.end - range.start]
                .map(|number: i64| number.to_string()),
        );
    }
    terminal::show(format!("From {} to {to}, as group {group}:\n{table}", options.from))
}

/// A replay at work.
struct Replay<'r> {
    session: &'r Session,
    options: &'r Options,
    to: To,
    producer: Producer,
    reader: Reader,
    decoder: Decoder,
    done: u64,
    skipped: u64,
}

impl Replay<'_> {
    fn run(mut self, left: u64) -> Outcome {
        let mut progress = Progress::start(Some(left), "messages");
        let ended = self.work(&mut progress);
        progress.finish();
        let (done, skipped) = (self.done, self.skipped);
        let whole = self.reader.is_done();
        terminal::tell(format!(
            "{done} messages produced again, {skipped} did not meet the conditions{}",
            if whole { "" } else { "; the same command goes on from here" }
        ));
        ended.map_err(Into::into)
    }

    fn work(&mut self, progress: &mut Progress) -> anyhow::Result<()> {
        let most = self.options.batch as usize;
        let mut waiting: Vec<NativeMessage> = Vec::new();
        while !(self.session.stop.requested() || self.reader.is_done() && waiting.is_empty()) {
            if !self.reader.is_done() {
                self.reader.read(|message| waiting.push(message))?;
            }
            while !waiting.is_empty() && !self.session.stop.requested() {
                let rest = waiting.split_off(most.min(waiting.len()));
                self.batch(&waiting)?;
                waiting = rest;
                progress.at(self.done + self.skipped);
            }
        }
        Ok(())
    }

    /// Carries one batch over in one transaction.
    fn batch(&mut self, messages: &[NativeMessage]) -> anyhow::Result<()> {
        let mut chosen = Vec::with_capacity(messages.len());
        for message in messages {
            let place =
                || format!("{}[{}]@{}", self.options.from, message.partition(), message.offset());
            let wanted = subject::wanted(&self.options.filters, &mut self.decoder, message);
            if wanted.map_err(|why| anyhow!("{}: {why}", place()))? {
                chosen.push((target(&self.to, message).with_context(place)?, message));
            }
        }
        let calls = self.producer.transaction();
        calls.begin().map_err(|error| failed("begin", &error))?;
        let carried = self.carry(&chosen, messages);
        if let Err(error) = carried {
            // What is not committed is aborted by the next run at the latest.
            let _ = self.producer.transaction().abort(self.session.timeout());
            return Err(error);
        }
        self.done += chosen.len() as u64;
        self.skipped += (messages.len() - chosen.len()) as u64;
        Ok(())
    }

    fn carry(
        &self,
        chosen: &[(String, &NativeMessage)],
        all: &[NativeMessage],
    ) -> anyhow::Result<()> {
        let (calls, limit) = (self.producer.transaction(), TRANSACTION);
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        for message in all {
            let offset = next.entry(message.partition()).or_default();
            *offset = (*offset).max(message.offset() + 1);
        }
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in next {
            offsets.add_partition_offset(&self.options.from, partition, Offset::Offset(offset))?;
        }
        calls
            .send_offsets(&offsets, self.reader.consumer(), limit)
            .map_err(|error| failed("offsets", &error))?;
        for (topic, message) in chosen {
            let record = self.record(message);
            self.producer.send_to(topic, &record, None, 0)?;
        }
        loop {
            match calls.commit(limit) {
                Ok(()) => return Ok(()),
                Err(error) if error.retriable && !self.session.stop.requested() => {}
                Err(error) => {
                    let first = self.producer.undelivered().first;
                    let first = first.map(|(_, why)| format!("; a record: {why}"));
                    bail!("{}{}", failed("commit", &error), first.unwrap_or_default());
                }
            }
        }
    }

    fn record(&self, message: &NativeMessage) -> Outgoing {
        let mut record = Outgoing {
            key: message.key().map(Into::into),
            value: message.value().map(Into::into),
            headers: Vec::new(),
            timestamp: message.timestamp().filter(|_| self.options.keep_timestamp),
        };
        for (name, value) in (0..).map_while(|index| message.header(index)) {
            let value = match name {
                "exception" if !self.options.keep_exception => continue,
                "kafka_retry_count" => Some(b"0".to_vec()),
                _ => value.map(Into::into),
            };
            record.headers.push((name.to_owned(), value));
        }
        record
    }
}

/// Finds where a message goes.
fn target(to: &To, message: &NativeMessage) -> anyhow::Result<String> {
    let header = match to {
        To::Topic(topic) => return Ok(topic.clone()),
        To::Header(header) => header,
    };
    let headers = (0..).map_while(|index| message.header(index));
    let found = headers.filter(|(name, _)| name == header).last().and_then(|(_, value)| value);
    let found = found.with_context(|| format!("the message has no header {header}"))?;
    let topic = std::str::from_utf8(found).with_context(|| format!("header {header}"))?;
    Ok(topic.to_owned())
}

fn failed(step: &str, error: &RawError) -> anyhow::Error {
    let advice = match error.fatal {
        true => "; another replay of this name may have taken over",
        false => "",
    };
    anyhow!("{step}: {error}{advice}; nothing is lost or doubled: the same command goes on")
}
