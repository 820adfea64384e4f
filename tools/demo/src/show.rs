//! Real records through a funnel, shown while it works.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use nubium_core::metrics::Metrics;
use nubium_core::{App, Config, Single, Transaction};
use nubium_host::{Exit, Or as _, Outcome, Stop};

use crate::counts::Counts;
use crate::feeder::Feeder;
use crate::place::Place;
use crate::reader::{self, Shelves};
use crate::{BROKEN, FAILURES, Options, data};
use nubium_funnel::funnel::Funnel;
use nubium_funnel::settings::Settings;
use nubium_mapping::avro::{Reader, Schema, decode};
use nubium_service::{schemas, terminal};

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);
/// How long the demo waits while nothing moves at all before it gives up.
const STANDSTILL: Duration = Duration::from_secs(60);

const UNPROVEN: &str = "\
The embedded broker (librdkafka's mock cluster) speaks Kafka's protocol, so this was the real
client, engine and codec at work. It does not prove exactly-once: it keeps no transaction markers,
shows records of open and aborted transactions to everyone, forgets the offsets that transactions
commit, and loses all with the process. For that, run it on a cluster:

  scripts/demo --bootstrap host:9092 --registry http://host:8081";

/// Runs the demo and prints what became of the records.
///
/// # Errors
/// The machine, or the cluster, is in the way.
pub(crate) fn run(options: &Options) -> Outcome<ExitCode> {
    Ok(demo(options).context("demo").or_host()?.into())
}

fn demo(options: &Options) -> Result<Exit> {
    let level = "WARNING".parse().map_err(anyhow::Error::msg)?;
    nubium_host::logging::init(&level, nubium_host::logging::LogFormat::Text)?;
    let runtime = tokio::runtime::Runtime::new().context("async runtime")?;
    let settings = data::settings()?;
    let mut topics: Vec<&str> = settings.topics().into_iter().collect();
    topics.push(FAILURES);
    let place = match (&options.bootstrap, &options.registry) {
        (Some(bootstrap), Some(registry)) => {
            Place::cluster(bootstrap, registry, &topics, &runtime)?
        }
        _ => Place::embedded(&topics)?,
    };
    let show = Show::start(&settings, &place, options.records)?;
    let outcome = show.run(&runtime);
    let cleared = place.clear(&runtime);
    let (exit, end) = outcome?;
    show.report(&end)?;
    cleared?;
    Ok(exit)
}

/// One run of the demo.
struct Show<'a> {
    settings: &'a Settings,
    embedded: bool,
    config: Config,
    metrics: Metrics,
    records: u64,
    stop: Stop,
    shelves: Shelves,
    /// Messages that the app is done with; the feeder waits for it.
    done: AtomicU64,
}

/// How a run ended.
struct End {
    counts: Counts,
    fed: u64,
    took: Duration,
    mapping_took: Duration,
}

impl<'a> Show<'a> {
    fn start(settings: &'a Settings, place: &Place, records: u64) -> Result<Self> {
        let config = place.config()?;
        let stop = Stop::new();
        nubium_host::signals::install(&stop).context("signal handlers")?;
        let metrics = Metrics::new(&config.app.name, &config.app.hostname);
        let embedded = place.is_embedded();
        let (shelves, done) = (Shelves::default(), AtomicU64::new(0));
        Ok(Self { settings, embedded, config, metrics, records, stop, shelves, done })
    }

    fn input(&self) -> Result<(&str, &'static Schema, &str)> {
        let input = self.settings.inputs.first().context("the demo has no input")?;
        let schema = input.schema.as_ref().context("the demo's input has no schema")?;
        Ok((&input.topic, schema.schema, &schema.json))
    }

    fn outputs(&self) -> Vec<&str> {
        let outputs = self.settings.outputs.iter().map(|output| output.topic.as_str());
        outputs.chain([FAILURES]).collect()
    }

    fn run(&self, runtime: &tokio::runtime::Runtime) -> Result<(Exit, End)> {
        let (topic, schema, json) = self.input()?;
        let codec = schemas::codec(&self.config, runtime, |_| {})?;
        let encoder = runtime.block_on(codec.prepare_topic(topic, json, true))?;
        let (_, cluster) = self
            .config
            .cluster_for([topic].into_iter())
            .map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let feeder = Feeder::new(&self.config, cluster, encoder)?;
        let fed = feeder.fed();
        let outputs = self.outputs();
        // The app ends first, so that the reader sees its last transaction.
        let reading = Stop::new();
        std::thread::scope(|scope| {
            let reader = scope
                .spawn(|| reader::read(&self.config, cluster, &outputs, &self.shelves, &reading));
            let feeder = scope.spawn(|| feeder.feed(&schema, self.records, &self.done, &self.stop));
            let app = scope.spawn(|| self.run_app());
            let watched = self.watch(&fed, &|| {
                let failed = app.is_finished() || reader.is_finished();
                failed || (feeder.is_finished() && fed.load(Ordering::Relaxed) < self.fed_in_all())
            });
            self.stop.request("the demo is complete");
            let app = join(app.join())??;
            reading.request("the demo is complete");
            join(feeder.join())??;
            join(reader.join())??;
            let mut end = watched?;
            end.counts = Counts::of(&self.metrics);
            Ok((app, end))
        })
    }

    fn fed_in_all(&self) -> u64 {
        self.records + BROKEN.min(self.records)
    }

    fn run_app(&self) -> Result<Exit> {
        let mapping = self.settings.compile(&[]);
        let mapping = mapping.map_err(|problems| anyhow::anyhow!("{}", problems[0]))?;
        let funnel = Funnel::new(Arc::new(mapping), &self.metrics)?;
        let inputs = self.settings.inputs.iter().map(|input| input.topic.as_str());
        let mut app = App::new(self.config.clone())
            .consume(inputs)
            .metrics(self.metrics.clone())
            .embedded(self.stop.clone());
        for output in &self.settings.outputs {
            app = app.produce(&output.topic, &output.schema.json);
        }
        let ended = app.run_to_end(Single(async move |transaction: &Transaction<'_>| {
            funnel.handle(transaction)
        }));
        match ended.error {
            Some(error) => Err(error.context("the funnel ended")),
            None => Ok(ended.exit),
        }
    }

    /// Shows progress until all that was fed is mapped and read; `failed` says that somebody gave
    /// up.
    fn watch(&self, fed: &AtomicU64, failed: &dyn Fn() -> bool) -> Result<End> {
        let begun = Instant::now();
        let bar = Bar::new(self.fed_in_all());
        let mut first = None;
        let mut moved = (Instant::now(), (0, 0, 0));
        loop {
            let counts = Counts::of(&self.metrics);
            self.done.store(counts.consumed, Ordering::Relaxed);
            let state = (fed.load(Ordering::Relaxed), counts.consumed, self.shelves.records());
            if counts.consumed > 0 && first.is_none() {
                first = Some(Instant::now() - TICK);
            }
            if state != moved.1 {
                moved = (Instant::now(), state);
            }
            let mapping_took = first.map_or(Duration::ZERO, |first| first.elapsed());
            bar.show(state, mapping_took);
            let complete = state.1 >= self.fed_in_all() && state.2 >= counts.produced_in_all();
            if complete || self.stop.requested() || failed() {
                bar.finish();
                let took = begun.elapsed();
                return Ok(End { counts, fed: state.0, took, mapping_took });
            }
            if moved.0.elapsed() > STANDSTILL {
                anyhow::bail!("nothing moved for {STANDSTILL:?}: {state:?} (fed, mapped, read)");
            }
            std::thread::sleep(TICK);
        }
    }

    fn report(&self, end: &End) -> Result<()> {
        let shelves = self.shelves.now();
        let read = |topic: &str| shelves.get(topic).map_or(0, |shelf| shelf.records);
        let mut table = terminal::table(&["", "Topic", "App counted", "Read back"]);
        let (input, ..) = self.input()?;
        table.add_row(["fed", input, &end.fed.to_string(), ""]);
        table.add_row(["consumed", input, &end.counts.consumed.to_string(), ""]);
        for topic in self.outputs() {
            let what = if topic == FAILURES { "failed" } else { "produced" };
            let counted = end.counts.produced.get(topic).copied().unwrap_or_default();
            table.add_row([what, topic, &counted.to_string(), &read(topic).to_string()]);
        }
        table.add_row(["dropped by the program", "", &end.counts.dropped.to_string(), ""]);
        let retried: u64 = self.config.routes.retry.iter().map(|topic| read(topic)).sum();
        table.add_row(["retried", "(no retry topic)", &retried.to_string(), ""]);
        table.add_row(["transactions committed", "", &end.counts.committed.to_string(), ""]);
        table.add_row(["transactions aborted", "", &end.counts.aborted.to_string(), ""]);
        for output in &self.settings.outputs {
            let shelf = shelves.get(&output.topic);
            if let Some(datum) = shelf.and_then(|shelf| shelf.sample.as_deref()) {
                let schema = &output.schema.schema;
                let value = decode(schema, schema.root(), &mut Reader::new(datum))?;
                terminal::show(format!("One record of {}:\n  {value}\n", output.topic));
            }
        }
        terminal::show(table);
        let rate = end.counts.consumed as f64 / end.mapping_took.as_secs_f64().max(0.001);
        terminal::show(format!(
            "{:.1} s in all, of them {:.1} s mapping: {rate:.0} messages/s in this build.",
            end.took.as_secs_f64(),
            end.mapping_took.as_secs_f64()
        ));
        if self.embedded {
            terminal::show(format!("\n{UNPROVEN}"));
        }
        Ok(())
    }
}

fn join<T>(ended: std::thread::Result<T>) -> Result<T> {
    ended.map_err(|_| anyhow::anyhow!("a thread of the demo panicked"))
}

/// Progress on a terminal as a bar, elsewhere as a line each second.
struct Bar {
    bar: Option<ProgressBar>,
    total: u64,
    last_line: std::cell::Cell<Option<Instant>>,
}

impl Bar {
    fn new(total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{bar:30} {pos}/{len} mapped  {msg}";
            let style = ProgressStyle::with_template(style);
            let bar = ProgressBar::new(total);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, total, last_line: std::cell::Cell::new(None) }
    }

    fn show(&self, (fed, mapped, read): (u64, u64, u64), took: Duration) {
        let rate = mapped as f64 / took.as_secs_f64().max(0.1);
        match &self.bar {
            Some(bar) => {
                bar.set_position(mapped);
                bar.set_message(format!("{fed} fed, {read} read back, {rate:.0}/s"));
            }
            None => {
                let due = |last: Instant| last.elapsed() >= Duration::from_secs(1);
                if self.last_line.get().is_none_or(due) {
                    self.last_line.set(Some(Instant::now()));
                    let total = self.total;
                    terminal::tell(format!(
                        "{fed} fed, {mapped}/{total} mapped, {read} read back, {rate:.0}/s"
                    ));
                }
            }
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
