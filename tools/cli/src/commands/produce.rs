//! `dude produce`: the records of a file to a topic.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use nubium_registry::{Part, RegistryError, STRING_SCHEMA, TopicEncoder};

use crate::data::encode::{Encoder, KeyFrom, Outgoing};
use crate::data::input::{self, Format, Input, Item};
use crate::kafka::client::{self, consumer_properties, producer_properties};
use crate::kafka::producer::Producer;
use crate::session::{Session, Target};
use crate::terminal::{self, Progress};
use nubium_host::failure::{Failure, Or as _, Outcome};

/// The longest that brokers let a transaction be open, unless they are told otherwise.
const TRANSACTION: Duration = Duration::from_secs(900);
/// Records between two looks at what was not delivered.
const LOOK_EVERY: u64 = 1_000;
/// Wrong lines that are named one by one.
const NAMED: u64 = 20;

/// What values are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Values {
    /// Avro by the schema given, or else by the topic's latest one.
    Avro,
    /// The line as it is.
    Text,
}

/// Says what goes where.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude produce orders orders.jsonl --key-field id            JSON lines, by the latest schema
  dude produce orders orders.csv --schema order.avsc --key-field customer.id
  dude produce orders export.avro --header source=export
  dude consume orders -o copy.jsonl && dude produce orders-2 copy.jsonl --format messages
  echo 'hello' | dude produce notes --values text --key greeting
  dude produce orders orders.jsonl --transaction             all of the file or nothing

A line that is wrong stops the command and is named; all lines before it are delivered, and
--from-line goes on from there. With --rejects FILE wrong lines are set aside instead. Each record
gets the headers that Nubium apps ask for, guid and last_updated_by, where it has none.")]
pub struct Options {
    /// Topic to produce to.
    topic: String,
    /// File to read; standard input without it, or for -.
    file: Option<PathBuf>,
    /// What the file holds.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
    /// What values are made.
    #[arg(long, value_enum, default_value_t = Values::Avro)]
    values: Values,
    /// The values' schema, an Avro file; without it the topic's latest, or that of an Avro file.
    #[arg(long, value_name = "FILE", conflicts_with = "values")]
    schema: Option<PathBuf>,
    /// Field of the value that is the key, such as customer.id.
    #[arg(long, value_name = "FIELD", conflicts_with = "key")]
    key_field: Option<String>,
    /// Key of every record.
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    /// Make keys plain text instead of Avro strings.
    #[arg(long)]
    text_keys: bool,
    /// Header of every record; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// Leave guid and last_updated_by out where a record has none.
    #[arg(long)]
    bare: bool,
    /// Partition of every record, instead of the one that its key leads to.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Begin at this line (of an Avro file: record).
    #[arg(long, value_name = "N", default_value_t = 1)]
    from_line: u64,
    /// Set wrong lines aside in this file and go on.
    #[arg(long, value_name = "FILE", conflicts_with = "transaction")]
    rejects: Option<PathBuf>,
    /// Produce all records in one transaction: all or nothing.
    #[arg(long)]
    transaction: bool,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| format!("{text:?} is not NAME=VALUE"))
}

/// Produces a file.
///
/// # Errors
/// A line is wrong, Kafka or the registry refuses, or the file cannot be read.
pub fn run(session: &Session, options: &Options) -> Outcome {
    session.obey_signals()?;
    let target = session.target(&[&options.topic])?;
    let (consumer, context) = client::consumer(&consumer_properties(session, &target))?;
    let partitions = client::partitions(&consumer, &context, &options.topic, session.timeout())?;
    if let Some(partition) = options.partition.filter(|p| !partitions.contains(p)) {
        return Err(Failure::settings(format!("there is no {}[{partition}]", options.topic)));
    }
    let format = input::format_of(options.format, options.file.as_deref());
    let encoder = encoder(session, options, format)?;
    let schema = encoder.avro.as_ref().map(|avro| avro.schema());
    let (reader, size) = input::open(options.file.as_ref()).map_err(Failure::host)?;
    let input = Input::new(reader, format, schema.map(|schema| &**schema)).map_err(Failure::no)?;
    let producer = producer(session, options, &target)?;
    let rejects = options.rejects.as_ref().map(|path| {
        let file = File::create(path).with_context(|| path.display().to_string());
        file.map(BufWriter::new).or_host()
    });
    let rejects = rejects.transpose()?;
    let run = Run { session, options, producer, encoder, rejects, size, wrong: 0, sent: 0 };
    if options.transaction { run.whole(input) } else { run.each(input) }
}

fn producer(session: &Session, options: &Options, target: &Target) -> Outcome<Producer> {
    let mut properties = producer_properties(session, target);
    if options.transaction {
        let id = format!(
            "dude-produce-{}",
            uuid::Builder::from_random_bytes(rand::random()).into_uuid()
        );
        properties.insert("transactional.id".into(), id);
        properties.insert("transaction.timeout.ms".into(), TRANSACTION.as_millis().to_string());
        properties.insert("message.timeout.ms".into(), TRANSACTION.as_millis().to_string());
    }
    Producer::new(&properties, &options.topic, session.timeout())
}

/// Finds the schemas, and puts together how lines become records.
fn encoder(session: &Session, options: &Options, format: Format) -> Outcome<Encoder> {
    let key = match (&options.key, &options.key_field) {
        (Some(text), _) => KeyFrom::Text(text.clone()),
        (None, Some(field)) => KeyFrom::Field(field.split('.').map(Into::into).collect()),
        (None, None) => KeyFrom::Nothing,
    };
    let avro = match options.values {
        Values::Text => None,
        Values::Avro => Some(topic_encoder(session, options, format)?),
    };
    let headers = options.header.clone();
    let (whole, stamp) = (format == Format::Messages, !options.bare);
    Ok(Encoder { avro, text_keys: options.text_keys, key, whole, headers, stamp })
}

fn topic_encoder(session: &Session, options: &Options, format: Format) -> Outcome<TopicEncoder> {
    let codec = session.codec()?;
    let topic = &options.topic;
    let register = session.registry()?.auto_register;
    let what = || format!("schemas of {topic} (keys: {STRING_SCHEMA})");
    let prepared = |text: &str| {
        let prepared = session.runtime.block_on(codec.prepare_topic(topic, text, register));
        prepared.with_context(what).map_err(Failure::from)
    };
    if codec.format(topic, Part::Value).own_schema().is_some() {
        return prepared("");
    }
    if let Some(file) = &options.schema {
        let text = nubium_host::text::read(file).with_context(|| file.display().to_string());
        return prepared(&text.or_settings()?);
    }
    match (session.runtime.block_on(codec.prepare_latest(topic, register)), &options.file) {
        (Ok(latest), _) => Ok(latest),
        (Err(RegistryError::Refused { status: 404, .. }), Some(file)) if format == Format::Avro => {
            prepared(&input::schema_of(file).map_err(Failure::no)?)
        }
        (Err(RegistryError::Refused { status: 404, .. }), _) => Err(Failure::settings(format!(
            "topic {topic} has no schema: name one with --schema FILE, or produce lines as they \
             are with --values text"
        ))),
        (Err(error), _) => Err(anyhow::Error::from(error).context(what()).into()),
    }
}

/// One file on its way.
struct Run<'r> {
    session: &'r Session,
    options: &'r Options,
    producer: Producer,
    encoder: Encoder,
    rejects: Option<BufWriter<File>>,
    /// How many bytes the file has; the lines are not known before they are read.
    size: Option<u64>,
    wrong: u64,
    sent: u64,
}

impl Run<'_> {
    /// Produces record by record.
    fn each(mut self, input: Input) -> Outcome {
        let fed = self.feed(input);
        self.deliver()?;
        if let Some(mut rejects) = self.rejects.take() {
            rejects.flush().context("--rejects").or_host()?;
        }
        let end = fed?;
        terminal::tell(format!("{} records delivered to {}", self.sent, self.options.topic));
        match (end, self.wrong) {
            (End::Stopped(line), _) => Err(Failure::no(format!(
                "stopped before line {line}; go on with --from-line {line}"
            ))),
            (End::Complete, 0) => Ok(()),
            (End::Complete, wrong) => {
                Err(Failure::no(format!("{wrong} wrong lines were set aside")))
            }
        }
    }

    /// Waits for what is on its way, and tells what did not arrive.
    fn deliver(&self) -> Outcome {
        self.producer.flush(|_| ())?;
        let undelivered = self.producer.undelivered();
        match undelivered.first {
            None => Ok(()),
            Some((line, why)) => Err(anyhow!(
                "{} of {} records to {} were not delivered, the first of them that of line {line}: \
                 {why}",
                undelivered.count,
                self.sent,
                self.options.topic
            )
            .into()),
        }
    }

    /// Produces all records in one transaction.
    fn whole(mut self, input: Input) -> Outcome {
        let limit = self.session.timeout();
        let refused = |what: &str| {
            let what = format!("{what}, so nothing was produced");
            move |error: nubium_kafka::raw::RawError| anyhow!("{what}: {error}")
        };
        let calls = self.producer.transaction();
        calls.init(limit).map_err(refused("the transaction cannot begin"))?;
        calls.begin().map_err(refused("the transaction cannot begin"))?;
        let fed = self.feed(input).and_then(|end| match end {
            End::Complete => self.producer.flush(|_| ()).map_err(Into::into),
            End::Stopped(line) => Err(Failure::no(format!("stopped before line {line}"))),
        });
        if let Err(mut failure) = fed {
            let aborted = self.producer.transaction().abort(limit);
            let note = match aborted {
                Ok(()) => "; nothing was produced: the transaction was aborted".to_owned(),
                Err(error) => format!("; the transaction was not committed (abort: {error})"),
            };
            failure.error = anyhow!("{:#}{note}", failure.error);
            return Err(failure);
        }
        self.producer.transaction().commit(TRANSACTION).map_err(|error| {
            let first = self.producer.undelivered().first;
            let first = first.map(|(line, why)| format!("; line {line}: {why}"));
            anyhow!("the commit failed: {error}{}", first.unwrap_or_default())
        })?;
        terminal::tell(format!(
            "{} records committed to {} in one transaction",
            self.sent, self.options.topic
        ));
        Ok(())
    }

    /// Reads, encodes and queues, until the end or a stop.
    fn feed(&mut self, mut input: Input) -> Outcome<End> {
        let mut progress = Progress::of_file(self.size, "records");
        let mut item = Item::Text(Vec::new());
        let mut record = Outgoing::default();
        let name = self.name();
        while let Some(read) =
            input.read(&mut item).map_err(|error| Failure::host(format!("{name}: {error}")))?
        {
            let line = input.at();
            if line < self.options.from_line {
                continue;
            }
            if self.session.stop.requested() {
                return Ok(End::Stopped(line));
            }
            if let Err(why) = read.and_then(|()| self.encoder.encode(&item, &mut record)) {
                self.wrong_line(&name, line, &mut input, &item, &why)?;
                continue;
            }
            let number = usize::try_from(line).unwrap_or(usize::MAX);
            self.producer
                .send(&record, self.options.partition, number)
                .with_context(|| format!("{name}, line {line}"))?;
            self.sent += 1;
            if self.sent.is_multiple_of(LOOK_EVERY) {
                progress.at_byte(self.sent, input.bytes());
                if self.producer.undelivered().count > 0 {
                    break;
                }
            }
        }
        progress.finish();
        Ok(End::Complete)
    }

    fn name(&self) -> String {
        let file = self.options.file.as_ref().filter(|file| file.as_os_str() != "-");
        file.map_or_else(|| "standard input".into(), |file| file.display().to_string())
    }

    /// Sets a wrong line aside, or ends because of it.
    fn wrong_line(
        &mut self,
        name: &str,
        line: u64,
        input: &mut Input,
        item: &Item,
        why: &str,
    ) -> Outcome {
        let Some(rejects) = &mut self.rejects else {
            let mend = match self.options.transaction {
                true => String::new(),
                false => format!(
                    "; the lines before it are delivered, so mend it and go on with \
                     --from-line {line}"
                ),
            };
            return Err(Failure::no(format!("{name}, line {line}: {why}{mend}")));
        };
        self.wrong += 1;
        if self.wrong <= NAMED {
            terminal::tell(format!("{name}, line {line}: {why}"));
        } else if self.wrong == NAMED + 1 {
            terminal::tell("more wrong lines are in the file of --rejects alone");
        }
        let header = input.header().filter(|_| self.wrong == 1);
        for text in header.into_iter().chain([input.raw(item)]) {
            let written = rejects.write_all(&text).and_then(|()| writeln!(rejects));
            written.context("--rejects").or_host()?;
        }
        Ok(())
    }
}

/// How the reading ended.
enum End {
    /// At the end of the file.
    Complete,
    /// By a signal, before this line.
    Stopped(u64),
}
