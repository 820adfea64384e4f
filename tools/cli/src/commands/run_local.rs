//! `dude run-local`: an app on an embedded broker and registry, with nothing installed.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use nubium_host::Stop;
use nubium_local::{Broker, Registry};
use rustix::process::{Pid, Signal, kill_process};

use crate::session::Session;
use crate::terminal;
use nubium_host::failure::{Failure, Or as _, Outcome};

/// Partitions of a topic for which neither map nor command line says any.
const PARTITIONS: u32 = 4;
/// How often the app is looked at.
const TICK: Duration = Duration::from_millis(50);

/// Says what to run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dude run-local --topic orders:3 --schema orders=order.avsc -- funnel run
  dude run-local --topic orders             prints the settings, and runs until INT
  dude --bootstrap 127.0.0.1:PORT --registry URL produce orders orders.jsonl

The topics of NU_TOPIC_CONFIGS_JSON or _YAML are created too, and every cluster of the map is the
embedded broker. It keeps all in memory, and is librdkafka's own: no transaction markers, no
committed offsets of transactions, so it proves no exactly-once. Exits as the app does.")]
pub struct Options {
    /// Topic to create; may be repeated.
    #[arg(long, value_name = "TOPIC[:PARTITIONS]", value_parser = parse_topic)]
    topic: Vec<(String, Option<u32>)>,
    /// Schema of a topic's values to register; may be repeated.
    #[arg(long, value_name = "TOPIC=FILE", value_parser = parse_schema)]
    schema: Vec<(String, PathBuf)>,
    /// App with its arguments, after `--`.
    #[arg(last = true)]
    command: Vec<String>,
}

fn parse_topic(text: &str) -> Result<(String, Option<u32>), String> {
    let Some((topic, count)) = text.split_once(':') else { return Ok((text.into(), None)) };
    let count = count.parse().ok().filter(|count| (1..=1_000).contains(count));
    let count = count.ok_or_else(|| format!("{text:?}: expected TOPIC or TOPIC:PARTITIONS"))?;
    Ok((topic.into(), Some(count)))
}

fn parse_schema(text: &str) -> Result<(String, PathBuf), String> {
    let pair = text.split_once('=').ok_or_else(|| format!("{text:?} is not TOPIC=FILE"))?;
    Ok((pair.0.into(), pair.1.into()))
}

/// Runs the app, or waits for a signal.
///
/// # Errors
/// A port or file is in the way, or the app fails.
pub fn run(session: &Session, options: &Options) -> Outcome {
    let broker = Broker::start().or_host()?;
    let registry = Registry::start().or_host()?;
    let mut topics: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, topic) in &session.topology.topics {
        topics.insert(name, topic.num_partitions.unwrap_or(PARTITIONS));
    }
    for (name, count) in &options.topic {
        let known = topics.get(name.as_str()).copied();
        topics.insert(name, count.or(known).unwrap_or(PARTITIONS));
    }
    for (name, count) in &topics {
        broker.create_topic(name, i32::try_from(*count).unwrap_or(i32::MAX)).or_no()?;
    }
    for (topic, file) in &options.schema {
        let text = nubium_host::text::read(file).with_context(|| file.display().to_string());
        let registered = registry.register(&format!("{topic}-value"), &text.or_host()?);
        registered.with_context(|| file.display().to_string()).or_no()?;
    }
    let settings = settings(session, broker.bootstrap(), &registry.url(), topics.keys());
    for (name, value) in &settings {
        terminal::tell(format!("export {name}='{value}'"));
    }
    session.obey_signals()?;
    match options.command.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).envs(settings);
            for name in [
                "NU_KAFKA_CLUSTERS_CONFIGS_YAML",
                "NU_TOPIC_CONFIGS_YAML",
                "NU_SCHEMA_REGISTRY_USERNAME",
                "NU_SCHEMA_REGISTRY_PASSWORD",
                "NU_KAFKA_USERNAME",
                "NU_KAFKA_PASSWORD",
                "NU_KAFKA_SECURITY_PROTOCOL",
            ] {
                command.env_remove(name);
            }
            supervise(&session.stop, command, program)
        }
        None => {
            while !session.stop.wait_timeout(Duration::from_secs(3_600)) {}
            Ok(())
        }
    }
}

/// What leads an app to the embedded services, whatever cluster its map names.
fn settings<'t>(
    session: &Session,
    bootstrap: &str,
    registry: &str,
    topics: impl Iterator<Item = &'t &'t str>,
) -> BTreeMap<&'static str, String> {
    let mut clusters: BTreeMap<&str, serde_json::Value> = BTreeMap::new();
    for name in session.topology.clusters.keys().map(String::as_str).chain(["local"]) {
        clusters.insert(name, serde_json::json!({ "url": bootstrap }));
    }
    let cluster = |topic: &str| {
        let mapped = session.topology.topics.get(topic).map(|topic| topic.cluster.as_str());
        serde_json::json!({ "cluster": mapped.unwrap_or("local") })
    };
    let topics: BTreeMap<&str, _> = topics.map(|topic| (*topic, cluster(topic))).collect();
    BTreeMap::from([
        ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", serde_json::json!(clusters).to_string()),
        ("NU_TOPIC_CONFIGS_JSON", serde_json::json!(topics).to_string()),
        ("NU_SCHEMA_REGISTRY_URL", registry.to_owned()),
        ("NU_DO_METRICS_PUSHING", "false".to_owned()),
    ])
}

/// Waits for the app and hands a signal on to it, once.
///
/// The app has a process group of its own: INT of a terminal would reach it too, and two signals
/// end an app before its work at hand is finished.
fn supervise(stop: &Stop, mut command: Command, program: &str) -> Outcome {
    command.process_group(0);
    if std::io::stdin().is_terminal() {
        // A process in the background that reads the terminal is stopped.
        command.stdin(Stdio::null());
    }
    let mut child = command.spawn().with_context(|| format!("cannot start {program}")).or_host()?;
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait().context("waiting for the app").or_host()? {
            return match status.code() {
                Some(0) => Ok(()),
                _ => Err(Failure::no(format!("{program} ended with {status}"))),
            };
        }
        if told {
            std::thread::sleep(TICK);
        } else if stop.wait_timeout(TICK) {
            told = true;
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            pid.map_or(Ok(()), |pid| kill_process(pid, Signal::TERM)).context("stop").or_host()?;
        }
    }
}
