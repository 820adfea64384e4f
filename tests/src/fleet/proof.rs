//! What the story proves: nothing lost, nothing doubled, nothing shown.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::http;
use super::pod::Host;
use super::story::Stage;
use super::watch::{API, FAILURES};

const PATIENCE: Duration = Duration::from_secs(10);
/// So many keys are looked up through every pod of the table.
const LOOK_UPS: usize = 25;
/// Time for what was served last to be scraped.
const SCRAPE: Duration = Duration::from_secs(2);

/// What was looked at, and how it was found.
#[derive(Debug, Default)]
pub struct Proof {
    /// Each with why it does not hold.
    pub findings: Vec<(String, Option<String>)>,
    /// Pauses, as Markdown.
    pub table: String,
}

impl Proof {
    /// Notes whether something holds.
    pub fn note(&mut self, what: &str, found: Result<()>) {
        let why = found.err().map(|error| format!("{error:#}"));
        self.findings.push((what.to_owned(), why));
    }

    /// Looks at everything while it still runs.
    pub fn take(
        &mut self,
        stage: &Stage,
        accepted: &BTreeSet<String>,
        bad: &BTreeSet<String>,
        scraped: Duration,
    ) {
        let taken = stage.watch.keys(API);
        self.note("every accepted form is at the API", same(accepted, &taken));
        self.note("no form is at the API twice", none(&stage.watch.doubled(API)));
        self.note("failure topics have the planted bad forms alone", {
            same(bad, &stage.watch.keys(FAILURES))
        });
        self.note("the table has every form", table(stage, accepted));
        self.note("look-ups answer through every pod", look_ups(stage, accepted));
        self.note("the scrape never missed a series", scrapes(stage, scraped));
        self.note("dude answers in its pod", dude(stage));
        self.note("applied again, there is nothing to do", idle(stage));
        self.note("nothing started again by itself", {
            let quiet = ["provision", "dude"];
            let restarts: u32 = quiet.iter().map(|set| stage.cluster.restarts(set)).sum();
            if restarts == 0 { Ok(()) } else { Err(anyhow::anyhow!("{restarts} restarts")) }
        });
        let (failed, replayed) = stage.world.api.counts();
        self.note("the API failed often, and was asked again", {
            if failed > 0 && replayed > 0 {
                Ok(())
            } else {
                Err(anyhow::anyhow!("{failed} failed, {replayed} came again"))
            }
        });
    }

    /// Looks for secrets in everything that was printed.
    pub fn no_secret(&mut self, host: &Host) {
        let seen = host.secrets.seen_in(&host.logs).and_then(|files| none(&files));
        self.note("no log holds a secret", seen);
    }

    /// How many hold, and how many do not.
    pub fn counts(&self) -> (usize, usize) {
        let failed = self.findings.iter().filter(|(_, why)| why.is_some()).count();
        (self.findings.len() - failed, failed)
    }
}

fn same(wanted: &BTreeSet<String>, found: &BTreeSet<String>) -> Result<()> {
    let few = |keys: Vec<&String>| format!("{} {:?}", keys.len(), &keys[..keys.len().min(5)]);
    let missing: Vec<_> = wanted.difference(found).collect();
    let more: Vec<_> = found.difference(wanted).collect();
    ensure!(!wanted.is_empty(), "there was nothing to look for");
    let told = format!("missing: {}; not wanted: {}", few(missing.clone()), few(more.clone()));
    ensure!(missing.is_empty() && more.is_empty(), told);
    Ok(())
}

fn none(found: &[String]) -> Result<()> {
    ensure!(found.is_empty(), "{}: {:?}", found.len(), &found[..found.len().min(5)]);
    Ok(())
}

/// Where each pod of the table answers look-ups.
fn lookups(stage: &Stage) -> Vec<SocketAddr> {
    let pods = stage.cluster.pods("table");
    let address = |running: &std::sync::Arc<super::cluster::Running>| {
        let port = running.pod.workload.port("lookups")?;
        Some(SocketAddr::from((running.pod.address(), port)))
    };
    pods.iter().filter_map(address).collect()
}

/// Reads the whole table, page by page, through one pod.
fn table(stage: &Stage, accepted: &BTreeSet<String>) -> Result<()> {
    let server = *lookups(stage).first().context("the table has no pod")?;
    let (mut keys, mut path) = (BTreeSet::new(), "/table?limit=1000".to_owned());
    loop {
        let answer = http::get(server, &path, PATIENCE)?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        let page: Value = serde_json::from_str(&answer.body)?;
        let entries = page["entries"].as_array().context("a page without entries")?;
        keys.extend(entries.iter().filter_map(|entry| entry["key"].as_str().map(str::to_owned)));
        match page["next"].as_str() {
            Some(next) => path = local(next),
            None => return same(accepted, &keys),
        }
    }
}

/// The path of an address.
fn local(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned())
}

fn look_ups(stage: &Stage, accepted: &BTreeSet<String>) -> Result<()> {
    let pods = lookups(stage);
    ensure!(pods.len() > 1, "the table has {} pods", pods.len());
    let step = (accepted.len() / LOOK_UPS).max(1);
    for key in accepted.iter().step_by(step) {
        for server in &pods {
            let path = format!("/table/{}", key.replace('@', "%40"));
            let mut answer = http::get(*server, &path, PATIENCE)?;
            if let (307, Some(there)) = (answer.status, answer.location.clone()) {
                let host = there.split_once("://").map_or(&*there, |(_, rest)| rest);
                let owner = host.split('/').next().unwrap_or(host).parse()?;
                answer = http::get(owner, &local(&there), PATIENCE)?;
            }
            ensure!(answer.status == 200, "{key} through {server}: {}", answer.status);
        }
    }
    Ok(())
}

/// Every series that was there at the beginning was in every scrape since.
fn scrapes(stage: &Stage, scraped: Duration) -> Result<()> {
    std::thread::sleep(SCRAPE);
    let span = format!("[{}s]", scraped.as_secs());
    let up = stage.prometheus.query(&format!("min_over_time(up{span})"))?;
    ensure!(up.iter().all(|(_, up)| *up > 0.5), "a scrape failed: {up:?}");
    let all = stage.prometheus.query(&format!("max(count_over_time(up{span}))"))?;
    let all = all.first().context("nothing was scraped")?.1;
    // Pods of the three sets keep their names, so that their series go on.
    let sets = r#"app=~"contact_funnel|contact_table|contact_uploader""#;
    let series = format!("count_over_time(nubium_build_info{{{sets}}}{span})");
    let series = stage.prometheus.query(&series)?;
    ensure!(series.len() >= 6, "only {} instances were seen: {series:?}", series.len());
    let holes: Vec<_> = series.iter().filter(|(_, count)| *count < all).collect();
    ensure!(holes.is_empty(), "of {all} scrapes: {holes:?}");
    Ok(())
}

/// The last plan found everything as it shall be.
fn idle(stage: &Stage) -> Result<()> {
    let pods = stage.cluster.pods("provision");
    let pod = pods.first().context("there is no pod")?;
    let log = stage.world.host.logs.join(format!("{}.provision.log", pod.pod.name));
    let log = std::fs::read_to_string(&log)?;
    ensure!(log.contains("Nothing to do."), log);
    Ok(())
}

fn dude(stage: &Stage) -> Result<()> {
    let pods = stage.cluster.pods("dude");
    let pod = pods.first().context("there is no pod")?;
    let process = pod.pod.exec(&["dude", "topics", "list"])?;
    let status = process.wait(Duration::from_secs(60))?;
    ensure!(status.success() && process.log().contains("contact_changes"), "{}", process.log());
    Ok(())
}
