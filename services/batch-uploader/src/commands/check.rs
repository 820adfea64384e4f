//! `batch-uploader check`: would `batch-uploader run` work? Sends no message and changes nothing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nubium_core::codec::{Codec, Registry};
use nubium_core::config::Config;
use nubium_core::kafka::settings::plain_producer_properties;
use nubium_host::Exit;

use crate::auth::Authorizer;
use crate::cli::ConfigFile;
use crate::start::Start;
use crate::{cluster, terminal, upload};

/// How long the broker and the registry may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says what one check found.
struct Finding {
    what: String,
    found: Result<String>,
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
    report(&check(&start, &runtime))
}

fn check(start: &Start, runtime: &tokio::runtime::Runtime) -> Vec<Finding> {
    let settings =
        format!("{} of NU_*, and {}", start.config.effective().len(), start.settings.name);
    let mut findings = vec![
        finding("settings", Ok(settings)),
        finding("registry", runtime.block_on(registry(&start.config, runtime))),
    ];
    findings.extend(runtime.block_on(api(start)));
    topics(start, &mut findings);
    findings
}

fn finding(what: impl Into<String>, found: Result<String>) -> Finding {
    Finding { what: what.into(), found }
}

async fn registry(config: &Config, runtime: &tokio::runtime::Runtime) -> Result<String> {
    let mut settings = nubium_core::app::registry_config(&config.registry);
    settings.startup_deadline = PATIENCE;
    let codec = Codec::new(Registry::new(settings, runtime.handle().clone())?);
    if let Some(registry) = codec.registry() {
        registry.check().await?;
    }
    let hosts: Vec<_> = config.registry.urls.iter().filter_map(|url| url.host_str()).collect();
    Ok(hosts.join(", "))
}

/// Whether credentials can be had, and whether anything answers at the URL: what it answers to
/// OPTIONS says nothing about the requests to come.
async fn api(start: &Start) -> Vec<Finding> {
    let client = match upload::client(&start.settings) {
        Ok(client) => client,
        Err(error) => return vec![finding("API", Err(error))],
    };
    let auth = Authorizer::new(start.settings.auth.clone(), client.clone());
    let credentials = auth.header().await.map(|header| match header {
        Some(_) => "at hand".to_owned(),
        None => "none".to_owned(),
    });
    let url = &start.settings.request.url;
    let answered = client.request(reqwest::Method::OPTIONS, url.clone()).send().await;
    let answered = answered
        .map(|response| format!("{url} answers ({} to OPTIONS)", response.status().as_u16()))
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("{url} does not answer"));
    vec![finding("credentials", credentials), finding("API", answered)]
}

/// Whether the topics exist, those for retries and failures too.
fn topics(start: &Start, findings: &mut Vec<Finding>) {
    let mut names = start.topics();
    names.extend(start.config.routes.retry.iter().map(String::as_str));
    names.extend(start.config.routes.failure.iter().map(String::as_str));
    let known = match partitions(&start.config, &names) {
        Ok((brokers, known)) => {
            findings.push(finding("brokers", Ok(brokers)));
            known
        }
        Err(error) => return findings.push(finding("brokers", Err(error))),
    };
    for name in names {
        let found = known.iter().find(|(known, _)| known == name);
        let found = found.map(|(_, count)| format!("{count} partitions"));
        let found = found.context("there is no such topic: create it");
        findings.push(finding(format!("topic {name}"), found));
    }
}

fn partitions(config: &Config, topics: &[&str]) -> Result<(String, Vec<(String, usize)>)> {
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
    for Finding { what, found } in findings {
        match found {
            Ok(detail) => table.add_row([what.as_str(), "ok", detail.as_str()]),
            Err(error) => table.add_row([what.as_str(), "FAILED", format!("{error:#}").as_str()]),
        };
    }
    terminal::show(table);
    match findings.iter().any(|finding| finding.found.is_err()) {
        true => Exit::AppFailed.into(),
        false => Exit::Ok.into(),
    }
}
