//! The checks of `check` commands: would `run` work? They change nothing.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use nubium_core::codec::{Codec, RegistryError};
use nubium_core::config::Config;
use nubium_host::Exit;
use nubium_kafka::settings::plain_producer_properties;
use nubium_mapping::avro::Schema;
use nubium_mapping::mapping::{Mapping, ProgramError};
use tokio::runtime::Runtime;

use crate::cluster::{self, Topics};
use crate::topics::{Input, Output};
use crate::{schemas, terminal};

/// How long the broker and the registry may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Says what one check found.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was found, or why it failed.
    pub detail: String,
}

/// Says how a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// `run` would not work.
    Failed,
    /// Not looked at, because something before it failed.
    Skipped,
}

impl Finding {
    /// Makes a finding.
    pub fn new(what: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { what: what.into(), verdict, detail: detail.into() }
    }

    /// Makes a finding of a result.
    pub fn of(what: impl Into<String>, found: anyhow::Result<String>) -> Self {
        match found {
            Ok(detail) => Self::new(what, Verdict::Passed, detail),
            Err(error) => Self::new(what, Verdict::Failed, format!("{error:#}")),
        }
    }
}

/// Collects findings about one service.
pub struct Checks<'a> {
    config: &'a Config,
    runtime: &'a Runtime,
    findings: Vec<Finding>,
}

impl<'a> Checks<'a> {
    /// Begins with what the settings hold, as `counted` says it.
    pub fn new(config: &'a Config, runtime: &'a Runtime, counted: &str) -> Self {
        let counted = format!("{} settings, {counted}", config.effective().len());
        let findings = vec![Finding::new("settings", Verdict::Passed, counted)];
        Self { config, runtime, findings }
    }

    /// Gives what runs the checks that wait.
    #[must_use]
    pub fn runtime(&self) -> &'a Runtime {
        self.runtime
    }

    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Looks whether the registry answers; gives a client of it when it does.
    pub fn registry(&mut self) -> Option<Codec> {
        let codec = schemas::codec(self.config, self.runtime, |registry| {
            registry.startup_deadline = PATIENCE;
        });
        match codec.and_then(|codec| self.runtime.block_on(reach(codec))) {
            Ok(codec) => {
                let urls = self.config.registry.urls.iter().map(|url| url.host_str());
                let hosts: Vec<_> = urls.flatten().collect();
                self.add(Finding::new("registry", Verdict::Passed, hosts.join(", ")));
                Some(codec)
            }
            Err(error) => {
                self.add(Finding::of("registry", Err(error)));
                None
            }
        }
    }

    /// Finds the schema of each input: of its file, or the registry's.
    pub fn inputs(
        &mut self,
        inputs: &[Input],
        codec: Option<&Codec>,
    ) -> Vec<Option<&'static Schema>> {
        inputs.iter().map(|input| self.input(input, codec)).collect()
    }

    fn input(&mut self, input: &Input, codec: Option<&Codec>) -> Option<&'static Schema> {
        let what = format!("schema of {}", input.topic);
        match (&input.schema, codec) {
            (Some(file), _) => {
                self.add(Finding::new(what, Verdict::Passed, &file.name));
                Some(file.schema)
            }
            (None, None) => {
                self.add(Finding::new(what, Verdict::Skipped, "no registry"));
                None
            }
            (None, Some(codec)) => {
                let one = schemas::of_inputs(codec, std::slice::from_ref(input));
                let (schema, found) = match self.runtime.block_on(one) {
                    Ok(schemas) => {
                        let schema = schemas.into_iter().next().flatten();
                        (schema, Ok("latest of the registry".to_owned()))
                    }
                    Err(error) => (None, Err(error)),
                };
                self.add(Finding::of(what, found));
                schema
            }
        }
    }

    /// Compiles the programs, when the types of all inputs are known.
    pub fn programs(
        &mut self,
        inputs: &[Input],
        schemas: &[Option<&'static Schema>],
        compile: impl FnOnce(&[Option<&'static Schema>]) -> Result<Mapping, Vec<ProgramError>>,
    ) {
        if schemas.iter().any(Option::is_none) {
            let why = "the types of an input are not known";
            return self.add(Finding::new("programs", Verdict::Skipped, why));
        }
        match compile(schemas) {
            Ok(mapping) => {
                let names: BTreeSet<_> =
                    inputs.iter().map(|input| input.source.name.as_str()).collect();
                let names = names.into_iter().collect::<Vec<_>>().join(", ");
                self.add(Finding::new("programs", Verdict::Passed, names));
                mapping.warnings().for_each(terminal::tell);
            }
            Err(problems) => {
                for problem in problems {
                    self.add(Finding::new("programs", Verdict::Failed, problem.to_string()));
                }
            }
        }
    }

    /// Looks whether the outputs' schemas are registered. Where the app may register them, they
    /// need not be.
    pub fn outputs(&mut self, outputs: &[Output], codec: &Codec) {
        for output in outputs {
            let what = format!("schema of {}", output.topic);
            let subject = format!("{}-value", output.topic);
            let Some(registry) = codec.registry() else { continue };
            let name = &output.schema.name;
            let found = registry.lookup(&subject, &output.schema.json);
            let found = match self.runtime.block_on(found) {
                Ok(id) => Ok(format!("{name}, registered as {id}")),
                Err(RegistryError::NotRegistered { .. }) if self.config.registry.auto_register => {
                    Ok(format!("{name}, will be registered"))
                }
                Err(error) => Err(anyhow::Error::from(error)),
            };
            self.add(Finding::of(what, found));
        }
    }

    /// Looks whether the brokers answer and the topics exist; gives what the cluster has.
    pub fn topics(&mut self, topics: &BTreeSet<&str>) -> Option<Topics> {
        let known = match self.cluster(&topics.iter().copied().collect::<Vec<_>>()) {
            Ok((url, known)) => {
                let detail = format!("{} of {url}", known.brokers);
                self.add(Finding::new("brokers", Verdict::Passed, detail));
                known
            }
            Err(error) => {
                self.add(Finding::of("brokers", Err(error)));
                return None;
            }
        };
        for topic in topics {
            let count = known.partitions(topic).map(|count| format!("{count} partitions"));
            let found = count.context("there is no such topic: create it");
            self.add(Finding::of(format!("topic {topic}"), found));
        }
        Some(known)
    }

    fn cluster(&self, topics: &[&str]) -> anyhow::Result<(String, Topics)> {
        let (_, cluster) = self
            .config
            .cluster_for(topics.iter().copied())
            .map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let properties = plain_producer_properties(self.config, cluster, 0);
        let found = cluster::topics(properties.expose(), PATIENCE);
        Ok((cluster.url.clone(), found.with_context(|| cluster.url.clone())?))
    }

    /// Prints the findings; answers 1 if one failed.
    pub fn report(self) -> ExitCode {
        report(&self.findings)
    }
}

async fn reach(codec: Codec) -> anyhow::Result<Codec> {
    if let Some(registry) = codec.registry() {
        registry.check().await?;
    }
    Ok(codec)
}

/// Prints findings as a table; answers 1 if one failed.
pub fn report(findings: &[Finding]) -> ExitCode {
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
