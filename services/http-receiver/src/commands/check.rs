//! `http-receiver check`: would `run` work? Changes nothing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use nubium_core::codec::{Codec, RegistryError};
use nubium_core::kafka::settings::plain_producer_properties;
use nubium_host::Exit;
use rdkafka::producer::{BaseProducer, Producer as _};
use tokio::runtime::Runtime;

use crate::cli::ConfigFile;
use crate::start::{self, Start};
use crate::terminal;

/// How long the broker and the registry may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was looked at, and what was found; `Err` if it failed.
type Finding = (String, anyhow::Result<String>);

/// Checks and prints a table; answers 1 if anything failed, 2 for bad settings.
pub fn run(file: &ConfigFile) -> ExitCode {
    let start = match Start::load_or_tell(&file.config) {
        Ok(start) => start,
        Err(exit) => return exit.into(),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime {
        Ok(runtime) => report(&check(&start, &runtime)),
        Err(error) => {
            terminal::tell(format!("async runtime: {error}"));
            Exit::HostFailed.into()
        }
    }
}

fn check(start: &Start, runtime: &Runtime) -> Vec<Finding> {
    let counted = format!(
        "{} settings, {} routes, {} callers",
        start.config.effective().len(),
        start.settings.routes.len(),
        start.settings.credentials.len()
    );
    let mut findings = vec![("settings".to_owned(), Ok(counted)), programs(start)];
    let codec = start::codec(&start.config, runtime.handle(), |registry| {
        registry.startup_deadline = PATIENCE;
    });
    match codec.and_then(|codec| runtime.block_on(reach(codec))) {
        Ok(codec) => {
            let urls = start.config.registry.urls.iter();
            let hosts: Vec<_> = urls.filter_map(|url| url.host_str()).collect();
            findings.push(("registry".to_owned(), Ok(hosts.join(", "))));
            schemas(start, &codec, runtime, &mut findings);
        }
        Err(error) => findings.push(("registry".to_owned(), Err(error))),
    }
    topics(start, &mut findings);
    findings
}

fn programs(start: &Start) -> Finding {
    let names = start.settings.routes.iter().filter_map(|route| route.program.as_ref());
    let mut names: Vec<_> = names.map(|source| source.name.as_str()).collect();
    names.dedup();
    let found = match start.compile() {
        Ok(mappings) => {
            let all = mappings.iter().flatten();
            all.flat_map(|mapping| mapping.warnings()).for_each(terminal::tell);
            Ok(if names.is_empty() { "none".into() } else { names.join(", ") })
        }
        Err(problems) => Err(anyhow::anyhow!("{}", problems.join("\n\n"))),
    };
    ("programs".to_owned(), found)
}

async fn reach(codec: Codec) -> anyhow::Result<Codec> {
    if let Some(registry) = codec.registry() {
        registry.check().await?;
    }
    Ok(codec)
}

/// Whether the schemas are registered. Where the receiver may register them, they need not be.
fn schemas(start: &Start, codec: &Codec, runtime: &Runtime, findings: &mut Vec<Finding>) {
    let Some(registry) = codec.registry() else { return };
    for output in start.settings.outputs() {
        let subject = format!("{}-value", output.topic);
        let looked_up = runtime.block_on(registry.lookup(&subject, &output.schema.json));
        let found = match looked_up {
            Ok(id) => Ok(format!("{}, registered as {id}", output.schema.name)),
            Err(RegistryError::NotRegistered { .. }) if start.config.registry.auto_register => {
                Ok(format!("{}, will be registered", output.schema.name))
            }
            Err(error) => Err(anyhow::Error::from(error)),
        };
        findings.push((format!("schema of {}", output.topic), found));
    }
}

/// Whether the topics exist.
fn topics(start: &Start, findings: &mut Vec<Finding>) {
    let known = match partitions(start) {
        Ok((brokers, known)) => {
            findings.push(("brokers".to_owned(), Ok(brokers)));
            known
        }
        Err(error) => return findings.push(("brokers".to_owned(), Err(error))),
    };
    for topic in start.topics() {
        let found = known.iter().find(|(name, _)| name == topic);
        let found = found.map(|(_, count)| format!("{count} partitions"));
        let found = found.context("there is no such topic: create it");
        findings.push((format!("topic {topic}"), found));
    }
}

/// Asks for all topics: asking for one by name may create it.
fn partitions(start: &Start) -> anyhow::Result<(String, Vec<(String, usize)>)> {
    let (_, cluster) = start
        .config
        .cluster_for(start.topics().into_iter())
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let properties = plain_producer_properties(&start.config, cluster, 0).to_client_config();
    let client: BaseProducer = properties.create().context("Kafka client")?;
    let metadata = client
        .client()
        .fetch_metadata(None, PATIENCE)
        .with_context(|| format!("{}: no broker answered within {PATIENCE:?}", cluster.url))?;
    let topics = metadata.topics().iter();
    let topics = topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
    Ok((format!("{} of {}", metadata.brokers().len(), cluster.url), topics))
}

fn report(findings: &[Finding]) -> ExitCode {
    let mut table = terminal::table(&["Check", "", "Found"]);
    for (what, found) in findings {
        let (verdict, detail) = match found {
            Ok(detail) => ("ok", detail.clone()),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        // A compiler's message has carets under its lines, which a table's cell would wrap.
        let detail = if detail.contains('\n') { "see below" } else { detail.as_str() };
        table.add_row([what.as_str(), verdict, detail]);
    }
    terminal::show(table);
    let failed = findings.iter().filter_map(|(_, found)| found.as_ref().err());
    let texts: Vec<_> = failed.map(|error| format!("{error:#}")).collect();
    let long = texts.iter().filter(|text| text.contains('\n'));
    long.for_each(|text| terminal::tell(format!("\n{text}")));
    if texts.is_empty() { Exit::Ok.into() } else { Exit::AppFailed.into() }
}
