//! `funnel check`: would `funnel run` work? Changes nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nubium_core::codec::Codec;
use nubium_core::config::Config;
use nubium_core::kafka::settings::plain_producer_properties;
use nubium_host::Exit;

use crate::cli::ConfigFile;
use crate::cluster;
use crate::settings::{Input, Settings};
use crate::start::{self, Start};
use crate::terminal;
use nubium_mapping::avro::Schema;

/// How long the broker and the registry may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says what one check found.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    what: String,
    verdict: Verdict,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// Not looked at, because something before it failed.
    Skipped,
}

impl Finding {
    fn new(what: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { what: what.into(), verdict, detail: detail.into() }
    }

    fn of(what: impl Into<String>, found: anyhow::Result<String>) -> Self {
        match found {
            Ok(detail) => Self::new(what, Verdict::Passed, detail),
            Err(error) => Self::new(what, Verdict::Failed, format!("{error:#}")),
        }
    }
}

/// Checks and prints a table; answers 1 if anything failed, 2 for bad settings.
pub fn run(file: &ConfigFile) -> ExitCode {
    let start = match Start::load(&file.config) {
        Ok(start) => start,
        Err(problems) => {
            terminal::tell(problems);
            return Exit::BadSettings.into();
        }
    };
    start.warnings.iter().for_each(|warning| terminal::tell(format!("warning: {warning}")));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::tell(format!("async runtime: {error}"));
            return Exit::HostFailed.into();
        }
    };
    let findings = check(&start, &runtime);
    report(&findings)
}

fn check(start: &Start, runtime: &tokio::runtime::Runtime) -> Vec<Finding> {
    let settings = &start.settings;
    let counted = format!(
        "{} settings, {} inputs, {} outputs",
        start.config.effective().len(),
        settings.inputs.len(),
        settings.outputs.len()
    );
    let mut findings = vec![Finding::new("settings", Verdict::Passed, counted)];
    let codec = start::codec(&start.config, runtime, |registry| {
        registry.startup_deadline = PATIENCE;
    });
    let registry = codec.and_then(|codec| runtime.block_on(reach(codec)));
    let codec = match registry {
        Ok(codec) => {
            let urls = start.config.registry.urls.iter().map(|url| url.host_str());
            let hosts: Vec<_> = urls.flatten().collect();
            findings.push(Finding::new("registry", Verdict::Passed, hosts.join(", ")));
            Some(codec)
        }
        Err(error) => {
            findings.push(Finding::of("registry", Err(error)));
            None
        }
    };
    let schemas = inputs(settings, codec.as_ref(), runtime, &mut findings);
    programs(settings, &schemas, &mut findings);
    if let Some(codec) = &codec {
        outputs(&start.config, settings, codec, runtime, &mut findings);
    }
    topics(&start.config, settings, &mut findings);
    findings
}

async fn reach(codec: Codec) -> anyhow::Result<Codec> {
    if let Some(registry) = codec.registry() {
        registry.check().await?;
    }
    Ok(codec)
}

/// The schema of each input: of its file, or the registry's.
fn inputs(
    settings: &Settings,
    codec: Option<&Codec>,
    runtime: &tokio::runtime::Runtime,
    findings: &mut Vec<Finding>,
) -> Vec<Option<Arc<Schema>>> {
    let mut schemas = Vec::new();
    for input in &settings.inputs {
        let what = format!("schema of {}", input.topic);
        let found = match (&input.schema, codec) {
            (Some(file), _) => {
                findings.push(Finding::new(what, Verdict::Passed, &file.name));
                Some(Arc::clone(&file.schema))
            }
            (None, None) => {
                findings.push(Finding::new(what, Verdict::Skipped, "no registry"));
                None
            }
            (None, Some(codec)) => {
                let fetched = runtime.block_on(one_schema(codec, input));
                let detail = "latest of the registry".to_owned();
                let (schema, found) = match fetched {
                    Ok(schema) => (schema, Ok(detail)),
                    Err(error) => (None, Err(error)),
                };
                findings.push(Finding::of(what, found));
                schema
            }
        };
        schemas.push(found);
    }
    schemas
}

async fn one_schema(codec: &Codec, input: &Input) -> anyhow::Result<Option<Arc<Schema>>> {
    let schemas = start::input_schemas(codec, std::slice::from_ref(input)).await?;
    Ok(schemas.into_iter().next().flatten())
}

fn programs(settings: &Settings, schemas: &[Option<Arc<Schema>>], findings: &mut Vec<Finding>) {
    if schemas.iter().any(Option::is_none) {
        let why = "the types of an input are not known";
        return findings.push(Finding::new("programs", Verdict::Skipped, why));
    }
    match settings.compile(schemas) {
        Ok(mapping) => {
            let names: std::collections::BTreeSet<_> =
                settings.inputs.iter().map(|input| input.source.name.as_str()).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            findings.push(Finding::new("programs", Verdict::Passed, names));
            mapping.warnings().for_each(terminal::tell);
        }
        Err(problems) => {
            for problem in problems {
                findings.push(Finding::new("programs", Verdict::Failed, problem.to_string()));
            }
        }
    }
}

/// Whether the outputs' schemas are registered. Where the app may register them, they need not be.
fn outputs(
    config: &Config,
    settings: &Settings,
    codec: &Codec,
    runtime: &tokio::runtime::Runtime,
    findings: &mut Vec<Finding>,
) {
    for output in &settings.outputs {
        let what = format!("schema of {}", output.topic);
        let subject = format!("{}-value", output.topic);
        let Some(registry) = codec.registry() else { continue };
        let found = match runtime.block_on(registry.lookup(&subject, &output.schema.json)) {
            Ok(id) => Ok(format!("{}, registered as {id}", output.schema.name)),
            Err(nubium_core::codec::RegistryError::NotRegistered { .. })
                if config.registry.auto_register =>
            {
                Ok(format!("{}, will be registered", output.schema.name))
            }
            Err(error) => Err(anyhow::Error::from(error)),
        };
        findings.push(Finding::of(what, found));
    }
}

/// Whether the topics exist, those for retries and failures too.
fn topics(config: &Config, settings: &Settings, findings: &mut Vec<Finding>) {
    let mut names = settings.topics();
    names.extend(config.routes.retry.iter().map(String::as_str));
    names.extend(config.routes.failure.iter().map(String::as_str));
    let known = match partitions(config, &names.iter().copied().collect::<Vec<_>>()) {
        Ok((brokers, known)) => {
            findings.push(Finding::new("brokers", Verdict::Passed, brokers));
            known
        }
        Err(error) => return findings.push(Finding::of("brokers", Err(error))),
    };
    for name in names {
        let found = known.iter().find(|(known, _)| known == name);
        let found = found.map(|(_, count)| format!("{count} partitions"));
        let what = format!("topic {name}");
        findings.push(Finding::of(what, found.context("there is no such topic: create it")));
    }
    if config.routes.failure.is_empty() {
        let detail = "none: a message that cannot be mapped stops the funnel";
        findings.push(Finding::new("failure topic", Verdict::Passed, detail));
    }
}

fn partitions(config: &Config, topics: &[&str]) -> anyhow::Result<(String, Vec<(String, usize)>)> {
    let (_, cluster) = config
        .cluster_for(topics.iter().copied())
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let properties = plain_producer_properties(config, cluster, 0);
    let found =
        cluster::topics(properties.expose(), PATIENCE).with_context(|| cluster.url.clone())?;
    Ok((format!("{} of {}", found.brokers, cluster.url), found.topics))
}

fn report(findings: &[Finding]) -> ExitCode {
    let mut table = terminal::table(&["Check", "", "Found"]);
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Passed => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "skipped",
        };
        // A compiler's message has carets under its lines, which a table's cell would wrap.
        let detail = match finding.detail.contains('\n') {
            true => "see below",
            false => &finding.detail,
        };
        table.add_row([finding.what.as_str(), verdict, detail]);
    }
    terminal::show(table);
    let long = findings.iter().filter(|finding| finding.detail.contains('\n'));
    long.for_each(|finding| terminal::tell(format!("\n{}", finding.detail)));
    match findings.iter().any(|finding| finding.verdict == Verdict::Failed) {
        true => Exit::AppFailed.into(),
        false => Exit::Ok.into(),
    }
}
