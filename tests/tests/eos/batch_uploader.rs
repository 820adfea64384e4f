//! The batch-uploader on a real broker: every message reaches the API at least once, under the same
//! idempotency key whenever it is sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use nubium_local::{Answer, Api, Request};
use nubium_test_kit::ledger::Ledger;
use nubium_test_kit::probe::Probe;
use nubium_test_kit::reader::{members, read_all};
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario};
use nubium_test_kit::topics;
use nubium_test_kit::wait::until;
use serde_json::{Value, json};

use crate::UPLOADER;
use crate::setup::{scenario_on, write_ledger};

const KEY: &str = "idempotency-key";

struct Run {
    api: Api,
    ledger: Ledger,
    scenario: Scenario,
    later: String,
    failed: String,
    _directory: tempfile::TempDir,
}

impl Run {
    fn new(
        name: &str,
        inputs: u32,
        more: &str,
        script: impl FnMut(&Request, usize) -> Answer + Send + 'static,
    ) -> Result<Self> {
        let (cluster, api) = (Cluster::shared(), Api::start(script)?);
        let ledger = write_ledger(&cluster, name, inputs)?;
        let mut scenario = scenario_on(&cluster, name, &ledger)?;
        let [later, failed] = ["later", "failed"].map(|kind| format!("{}-{kind}", scenario.group));
        topics::create(&cluster.bootstrap, &[(&later, 1), (&failed, 1)])?;
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("batch-uploader.yaml");
        let (topics, url) = (scenario.inputs.join(", "), api.url("/in"));
        std::fs::write(
            &file,
            format!(
                "topics: [{topics}]\n\
             request: {{url: '{url}', item: envelope, timeout_seconds: 1, \
             idempotency_header: Idempotency-Key}}\n\
             batch: {{count: 50, seconds: 0.05}}\n{more}"
            ),
        )?;
        scenario
            .set("NU_BATCH_UPLOADER_CONFIG", file.display().to_string())
            .set("NU_PRODUCE_RETRY_TOPICS", &later)
            .set("NU_PRODUCE_FAILURE_TOPICS", &failed);
        Ok(Self { api, ledger, scenario, later, failed, _directory: directory })
    }

    /// Everything that the ledger holds, by the ids of the items.
    fn all(&self) -> BTreeSet<String> {
        let rows = self.ledger.rows().iter();
        rows.flat_map(|(partition, rows)| {
            let (topic, number) = (&partition.topic, partition.number);
            rows.iter().map(move |row| format!("{topic}-{number}-{}", row.offset))
        })
        .collect()
    }

    /// The ids that lie on one of the side topics, by their headers' message.
    fn routed(&self, topic: &str) -> Result<usize> {
        Ok(read_all(&self.scenario.cluster.bootstrap, &[topic])?.len())
    }
}

fn ids(request: &Request) -> Vec<String> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let items = body.as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect()
}

/// Checks that one key always meant the same messages, and that no message ever had two keys,
/// and returns all messages.
fn one_key_each(requests: &[Request]) -> Result<BTreeSet<String>> {
    let (mut by_key, mut by_id) = (BTreeMap::new(), BTreeMap::new());
    for request in requests {
        let (key, ids) = (request.header(KEY).context("a request without a key")?, ids(request));
        let known = by_key.entry(key.to_owned()).or_insert_with(|| ids.clone());
        assert_eq!(*known, ids, "key {key} with other messages");
        for id in ids {
            let known = by_id.entry(id.clone()).or_insert_with(|| key.to_owned());
            assert_eq!(known, key, "message {id} with two keys");
        }
    }
    Ok(by_id.into_keys().collect())
}

#[test]
fn kills_in_the_middle_of_requests_replay_them_with_the_same_keys() -> Result<()> {
    let run =
        Run::new("upload-kill", 3_000, "limits: {concurrency: 2}", |_, _| Answer::status(200))?;
    let mut app = Kept::start(&run.scenario, UPLOADER, "app")?;
    for part in 1..=4 {
        // Killed while this request is at the API: the commit of its batch cannot have begun.
        let at = run.api.requests().len() + 3 + part;
        run.api.answer(move |_, before| match before >= at {
            true => Answer::Hang,
            false => Answer::status(200),
        });
        run.api.wait_for(at + 1, DEADLINE)?;
        run.api.answer(|_, _| Answer::status(200));
        app.kill()?;
    }
    run.scenario.drained(&run.ledger, || app.tend())?;
    let requests = run.api.requests();
    assert_eq!(one_key_each(&requests)?, run.all());
    let sent: usize = requests.iter().map(|request| ids(request).len()).sum();
    assert!(sent > 3_000, "something was sent again");
    assert_eq!((run.routed(&run.later)?, run.routed(&run.failed)?), (0, 0));
    Ok(())
}

#[test]
fn every_answer_leads_every_message_to_its_place() -> Result<()> {
    let more = "retry: {tries: 8, backoff_seconds: 0.01}\n\
        answer: {items: /results, status: /status}";
    let results = |request: &Request| {
        let status = |id: &String| match id.rsplit('-').next().map(str::parse::<i64>) {
            Some(Ok(offset)) if offset % 10 == 3 => 422,
            Some(Ok(offset)) if offset % 10 == 7 => 503,
            _ => 200,
        };
        let results: Vec<_> =
            ids(request).iter().map(|id| json!({ "status": status(id) })).collect();
        json!({ "results": results }).to_string()
    };
    let run = Run::new("upload-answers", 600, more, move |request, before| match before % 11 {
        1 => Answer::Status(429, vec![("retry-after", "0".into())], "slow down".into()),
        3 => Answer::Status(503, vec![("retry-after", "0".into())], String::new()),
        5 => Answer::body(500, "oops"),
        7 => Answer::Hang,
        9 => Answer::Close,
        _ => Answer::body(207, results(request)),
    })?;
    let mut app = Kept::start(&run.scenario, UPLOADER, "app")?;
    run.scenario.drained(&run.ledger, || app.tend())?;
    let all = run.all();
    let with = |digit: char| all.iter().filter(|id| id.ends_with(digit)).count();
    assert_eq!(run.routed(&run.failed)?, with('3'), "422");
    assert_eq!(run.routed(&run.later)?, with('7'), "503");
    let sent: BTreeSet<String> = run.api.requests().iter().flat_map(ids).collect();
    assert_eq!(sent, all);
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    let failed = read_all(&run.scenario.cluster.bootstrap, &[&run.failed])?;
    assert!(
        failed.iter().all(|raw| raw.header("exception").is_some_and(|e| e.contains("Http422")))
    );
    Ok(())
}

#[test]
fn while_the_api_is_down_the_app_keeps_its_place_in_the_group_and_loses_nothing() -> Result<()> {
    let more = "retry: {tries: 0, backoff_seconds: 0.2, backoff_max_seconds: 1}";
    let down = |_: &Request, _| Answer::Close;
    let mut run = Run::new("upload-down", 500, more, down)?;
    // 6 s, as long as a session: twice that is a long outage.
    run.scenario
        .set("NU_CONSUMER_TIMEOUT_LIMIT_MINUTES", "0.1")
        .set("NU_ERROR_RETRY_BACKOFF_MAX_MILLISECONDS", "1000");
    let probe = Probe::on(&mut run.scenario)?;
    let app = run.scenario.start(UPLOADER, "app")?;
    run.api.wait_for(1, DEADLINE)?;
    let begin = std::time::Instant::now();
    until("the outage to last", DEADLINE, || {
        let (status, body) = probe.get("/livez").unwrap_or_default();
        assert_eq!(status, 200, "{body}");
        begin.elapsed() > Duration::from_secs(14)
    })?;
    let group = &run.scenario.group;
    assert_eq!(members(&run.scenario.cluster.bootstrap, group)?, 1);
    let requests = run.api.requests();
    let first: Vec<_> = requests.iter().filter_map(|request| request.header(KEY)).collect();
    assert!(requests.len() > 5, "it goes on trying: {}", requests.len());
    assert!(first.iter().collect::<BTreeSet<_>>().len() <= 4, "the same requests, and no others");
    run.api.answer(|_, _| Answer::status(200));
    run.scenario.drained(&run.ledger, || Ok(()))?;
    assert_eq!(one_key_each(&run.api.requests())?, run.all());
    assert_eq!((run.routed(&run.later)?, run.routed(&run.failed)?), (0, 0));
    assert!(
        !app.log().contains("Partitions revoked."),
        "it has left its group\n{}",
        app.log_tail()
    );
    assert!(app.is_running());
    Ok(())
}

#[test]
fn a_stop_ends_a_wait_that_the_service_asked_for() -> Result<()> {
    let run = Run::new("upload-stop", 100, "", |_, _| {
        Answer::Status(503, vec![("retry-after", "3600".into())], String::new())
    })?;
    let app = run.scenario.start(UPLOADER, "app")?;
    run.api.wait_for(1, DEADLINE)?;
    until("the wait to begin", DEADLINE, || app.log().contains("come back later"))?;
    app.signal(nubium_test_kit::process::Signal::TERM)?;
    let status = app.wait(DEADLINE)?;
    assert!(status.success(), "{status}\n{}", app.log_tail());
    run.api.answer(|_, _| Answer::status(200));
    let _app = run.scenario.start(UPLOADER, "app")?;
    run.scenario.drained(&run.ledger, || Ok(()))?;
    assert_eq!(one_key_each(&run.api.requests())?, run.all());
    Ok(())
}
