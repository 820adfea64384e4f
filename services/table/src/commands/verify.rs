//! `table verify`: are stores what their changelog says?

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use nubium_core::Config;
use nubium_core::table::{Store, read_change};
use nubium_host::{Exit, Or as _, Outcome};
use nubium_kafka::raw::NativeMessage;
use nubium_kafka::reader::{self, Consumer, Range, Reader};
use nubium_kafka::report::Trouble;
use nubium_kafka::settings::changelog_properties;
use nubium_service::start::Start;
use nubium_service::terminal;
use rdkafka::consumer::Consumer as _;

use crate::changelog::{Difference, Latest};
use crate::service::Verify;
use crate::stores;

/// Reads changelogs from their beginning.
struct Changelog {
    properties: BTreeMap<String, String>,
    patience: Duration,
}

/// What was found about one store.
struct Report {
    records: u64,
    rows: u64,
    /// How many changelog offsets the store is behind.
    behind: i64,
    differences: Vec<Difference>,
    /// Records that are none of a changelog, as text.
    unreadable: Vec<String>,
}

impl Report {
    fn wrong(&self) -> usize {
        self.differences.len() + self.unreadable.len()
    }
}

/// Compares and prints a table; answers 1 if a store differs.
///
/// # Errors
/// A store or its changelog cannot be read.
pub fn run(options: &Verify) -> Outcome<ExitCode> {
    match Start::begin(Ok(())) {
        Ok(start) => verify(options, &start.config),
        Err(exit) => Ok(exit),
    }
}

fn verify(options: &Verify, config: &Config) -> Outcome<ExitCode> {
    let stores = stores::open(&options.directory).or_host()?;
    let patience = Duration::from_secs(options.patience);
    let header = ["Store", "", "Rows", "Records", "Behind", "Differences"];
    let mut table = terminal::table(&header);
    let mut reports = Vec::new();
    for store in &stores {
        let changelog = Changelog::open(config, store, patience).or_refused()?;
        let name = stores::name(store);
        // What the store holds is read after what the changelog says: it may be at work.
        let position = store.position();
        let (latest, mut report) = changelog.read(store, position).or_refused()?;
        compare(store, latest, &mut report).with_context(|| name.clone()).or_host()?;
        table.add_row([
            name.clone(),
            if report.wrong() == 0 { "ok" } else { "DIFFERS" }.to_owned(),
            report.rows.to_string(),
            report.records.to_string(),
            report.behind.to_string(),
            report.wrong().to_string(),
        ]);
        reports.push((name, report));
    }
    terminal::show(table);
    for (name, report) in &reports {
        tell(name, report, options.show);
    }
    let differ = reports.iter().any(|(_, report)| report.wrong() > 0);
    Ok(if differ { Exit::AppFailed.into() } else { Exit::Ok.into() })
}

fn tell(name: &str, report: &Report, most: usize) {
    let differences = report.differences.iter().map(ToString::to_string);
    let all = report.unreadable.iter().cloned().chain(differences);
    all.take(most).for_each(|text| terminal::tell(format!("{name}: {text}")));
    if report.wrong() > most {
        terminal::tell(format!("{name}: and {} more", report.wrong() - most));
    }
}

fn compare(store: &Store, mut latest: Latest, report: &mut Report) -> Result<()> {
    store.walk("", None, |row| {
        report.rows += 1;
        report.differences.extend(latest.compare(&row.key, &row.text));
        true
    })?;
    let mut missing: Vec<_> = latest.missing().collect();
    missing.sort_by_key(|difference| match difference {
        Difference::Missing { offset, .. } | Difference::Value { offset, .. } => *offset,
        Difference::Extra { .. } => 0,
    });
    report.differences.extend(missing);
    Ok(())
}

impl Changelog {
    fn open(config: &Config, store: &Store, patience: Duration) -> Result<Self> {
        let topic = &store.identity().topic;
        let (_, cluster) = config
            .cluster_for([topic.as_str()].into_iter())
            .map_err(|problems| anyhow::anyhow!("{problems}"))?;
        // It is assigned by hand and commits nothing, so the app's group does not notice.
        let properties = changelog_properties(config, cluster, 0, "read_committed");
        Ok(Self { properties: properties.expose().clone(), patience })
    }

    fn consumer(&self, isolation: &str) -> Result<(Consumer, Trouble)> {
        let mut properties = self.properties.clone();
        properties.insert("isolation.level".into(), isolation.into());
        reader::consumer(&properties).context("Kafka consumer")
    }

    /// Reads the partition of a store from its beginning to the end of what is committed.
    fn read(&self, store: &Store, position: i64) -> Result<(Latest, Report)> {
        let of = store.identity();
        let name = stores::name(store);
        // A reader of committed records is told where the first open transaction begins.
        let (watermarks, _) = self.consumer("read_uncommitted")?;
        let (low, high) = watermarks
            .fetch_watermarks(&of.topic, of.partition, self.patience)
            .with_context(|| format!("offsets of {name}"))?;
        ensure!(
            position <= high,
            "{name} has offsets up to {high}, the store goes up to {position}: the changelog was \
             created again, or this is another cluster"
        );
        let (consumer, trouble) = self.consumer("read_committed")?;
        let range = Range { partition: of.partition, start: low, end: high };
        let limit = self.patience;
        let mut reader = Reader::new(consumer, trouble, &of.topic, &[range], false, limit)?;
        let mut latest = Latest::new(position);
        let mut report = Report {
            records: 0,
            rows: 0,
            behind: (high - position).max(0),
            differences: Vec::new(),
            unreadable: Vec::new(),
        };
        let bar = bar(&name, low, high)?;
        while !reader.is_done() {
            reader.read(|message| {
                bar.set_position(u64::try_from(message.offset() - low).unwrap_or_default());
                take(&message, &mut latest, &mut report);
            })?;
        }
        bar.finish_and_clear();
        Ok((latest, report))
    }
}

fn take(message: &NativeMessage, latest: &mut Latest, report: &mut Report) {
    report.records += 1;
    match read_change(message.key(), message.value()) {
        Ok(change) => latest.take(message.offset(), change.key, change.text),
        Err(error) => {
            let offset = message.offset();
            report
                .unreadable
                .push(format!("offset {offset} was not written by a table app: {error}"));
        }
    }
}

/// Shows how far a changelog is read; nothing is drawn where standard error is no terminal.
fn bar(name: &str, low: i64, high: i64) -> Result<ProgressBar> {
    let bar = ProgressBar::new(u64::try_from(high - low).unwrap_or_default());
    let style = "{msg} {bar:40} {human_pos}/{human_len} offsets, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).context("progress bar")?);
    bar.set_message(name.to_owned());
    Ok(bar)
}
