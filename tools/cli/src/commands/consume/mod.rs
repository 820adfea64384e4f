//! `dude consume`: the messages of a topic, to the terminal, a pipe or a file.

mod last;
mod output;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use nubium_kafka::raw::NativeMessage;

use crate::data::decode::{Decoder, Encoding};
use crate::data::filter::Filter;
use crate::kafka::client::{self, consumer_properties};
use crate::kafka::positions::{self, From};
use crate::kafka::subject;
use crate::session::Session;
use crate::terminal::Progress;
use nubium_host::failure::{Failure, Or as _, Outcome};
use nubium_kafka::reader::{Consumer, Range, Reader};
use nubium_kafka::report::Trouble;
use output::{Form, Output};

/// Says what to read and how to show it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude consume orders                                  all there is, then ends
  dude consume orders --last 10 --format table
  dude consume orders --from -2h --where 'value.status=open' | jq .value
  dude consume orders --follow --from end
  dude consume orders --offset 0=1500 --partition 0 --count 5
  dude consume orders --format messages -o orders.jsonl   a copy that `produce` reads again
  dude consume orders --format raw -o values.bin

Reads committed messages, up to where the topic ends at the start of the command. Conditions
(--where) are FIELD, !FIELD, or FIELD and one of = != ~ !~ < <= > >= and a value; fields are key,
value, value.a.b, value.list[0], header.NAME, partition, offset and timestamp.")]
pub struct Options {
    /// Topic to read.
    pub topic: String,
    /// Where to begin: beginning, end, an offset, or a time such as 2026-11-24T09:30:00Z or -2h.
    #[arg(long, default_value = "beginning", allow_hyphen_values = true, value_name = "WHERE")]
    #[arg(value_parser = From::parse)]
    from: From,
    /// Where to begin in one partition; may be repeated.
    #[arg(long, value_name = "PARTITION=OFFSET", value_parser = positions::parse_offset)]
    offset: Vec<(i32, i64)>,
    /// Read this partition alone; may be repeated.
    #[arg(long, value_name = "N")]
    partition: Vec<i32>,
    /// The newest N messages of all partitions.
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "offset", "follow", "count"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// End after N messages.
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// Go on and wait for new messages.
    #[arg(long, short = 'f')]
    follow: bool,
    /// Take only messages that meet this condition; may be repeated, all must hold.
    #[arg(long = "where", value_name = "CONDITION", value_parser = Filter::parse)]
    filters: Vec<Filter>,
    /// How to show messages.
    #[arg(long, value_enum, default_value_t = Form::Messages)]
    format: Form,
    /// What keys and values are taken for.
    #[arg(long, value_enum, default_value_t = Encoding::Auto)]
    encoding: Encoding,
    /// File to write to, instead of standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// Read messages of open and aborted transactions too.
    #[arg(long)]
    uncommitted: bool,
}

/// Reads and shows.
///
/// # Errors
/// The topic is not there, Kafka refuses, a value could not be decoded, or the output cannot be
/// written.
pub fn run(session: &Session, options: &Options) -> Outcome {
    session.obey_signals()?;
    let codec = match options.encoding {
        Encoding::Avro => Some(session.codec()?),
        Encoding::Auto => session.codec_or_none()?,
        Encoding::Text | Encoding::Base64 => None,
    };
    let decoder = Decoder::new(codec, session.runtime.handle().clone(), options.encoding);
    let decoder = decoder.of_topic(&options.topic);
    let plan = Plan::make(session, options)?;
    let mut output = Output::open(options.output.as_ref(), options.format, decoder)?;
    let shown = match options.last {
        Some(count) => last::show(&plan, count as usize, &mut output),
        None => stream(&plan, &mut output),
    };
    match shown {
        // Who reads the pipe has seen enough.
        Err(failure) if is_closed(&failure) => Ok(()),
        Err(failure) => Err(failure),
        Ok(()) => output.finish(),
    }
}

/// Says whether standard output was closed by who reads it.
fn is_closed(failure: &Failure) -> bool {
    let io = failure.error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// What is read, from where to where.
struct Plan<'c> {
    session: &'c Session,
    options: &'c Options,
    properties: BTreeMap<String, String>,
    ranges: Vec<Range>,
    /// The consumer that the ranges were asked with, for the first that reads: it is connected.
    connected: Cell<Option<(Consumer, Trouble)>>,
}

impl<'c> Plan<'c> {
    fn make(session: &'c Session, options: &'c Options) -> Outcome<Self> {
        let (topic, limit) = (&options.topic, session.timeout());
        let target = session.target(&[topic])?;
        let mut properties = consumer_properties(session, &target);
        if options.uncommitted {
            properties.insert("isolation.level".into(), "read_uncommitted".into());
        }
        let (consumer, context) = client::consumer(&properties)?;
        let mut partitions = client::partitions(&consumer, &context, topic, limit)?;
        if let Some(absent) = options.partition.iter().find(|p| !partitions.contains(p)) {
            return Err(Failure::settings(format!("there is no partition {topic}[{absent}]")));
        }
        partitions.retain(|p| options.partition.is_empty() || options.partition.contains(p));
        let bounds = positions::bounds(&consumer, topic, &partitions, limit)?;
        let (from, offsets) = (options.from, &options.offset);
        let ranges = positions::ranges(&consumer, topic, &bounds, from, offsets, limit)?;
        let connected = Cell::new(Some((consumer, context)));
        Ok(Self { session, options, properties, ranges, connected })
    }

    /// Starts to read some ranges.
    fn reader(&self, ranges: &[Range]) -> Outcome<Reader> {
        let (consumer, context) = match self.connected.take() {
            Some(connected) => connected,
            None => client::consumer(&self.properties)?,
        };
        let (topic, follow) = (&self.options.topic, self.options.follow);
        Reader::new(consumer, context, topic, ranges, follow, self.session.timeout()).or_refused()
    }

    /// Says whether a message is wanted; one whose value cannot be looked at is not, and is told.
    fn wants(&self, message: &NativeMessage, output: &mut Output) -> bool {
        match subject::wanted(&self.options.filters, output.decoder(), message) {
            Ok(wanted) => wanted,
            Err(why) => {
                output.note(&self.options.topic, message, &why);
                false
            }
        }
    }
}

/// Shows messages as they come.
fn stream(plan: &Plan<'_>, output: &mut Output) -> Outcome {
    let mut reader = plan.reader(&plan.ranges)?;
    let total = plan.ranges.iter().map(|range| u64::try_from(range.end - range.start));
    let total = total.filter_map(Result::ok).sum();
    let total = (!plan.options.follow).then_some(total);
    let mut progress = Progress::start(total, "messages").quiet(output.is_terminal());
    let (mut shown, mut seen) = (0, 0);
    let most = plan.options.count.unwrap_or(u64::MAX);
    while !reader.is_done() && shown < most && !plan.session.stop.requested() {
        let mut failed = None;
        let any = reader.read(|message| {
            seen += 1;
            if shown >= most || failed.is_some() || !plan.wants(&message, output) {
                return;
            }
            shown += 1;
            failed = output.put(&plan.options.topic, &message).err();
        });
        let any = any.or_refused()?;
        failed.map_or(Ok(()), Err).or_host()?;
        if !any || plan.options.follow {
            output.flush().or_host()?;
        }
        progress.at(seen);
    }
    progress.finish();
    Ok(())
}
