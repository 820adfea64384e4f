//! Retention overtook the group: the committed offsets are not in the log any more.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::exposition::sum_by;
use nubium_test_kit::ledger::{Ledger, Partition};
use nubium_test_kit::probe::Probe;
use nubium_test_kit::process::Signal;
use nubium_test_kit::reader::committed;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario};
use nubium_test_kit::topics;
use nubium_test_kit::wait::{Look, eventually, until};

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

/// Offsets of each partition that are deleted before the app has read them.
const DELETED: i64 = 20;
const RESET: &str = "NU_CONSUMER_AUTO_OFFSET_RESET";

/// A group that has committed places which are not there any more.
struct Overtaken {
    scenario: Scenario,
    ledger: Ledger,
    probe: Probe,
    /// Where the logs begin now.
    firsts: BTreeMap<Partition, i64>,
}

fn await_committed(scenario: &Scenario, wanted: &BTreeMap<Partition, i64>) -> Result<()> {
    let partitions: Vec<_> = wanted.keys().cloned().collect();
    eventually("the places to be committed", DEADLINE, || {
        match committed(&scenario.cluster.bootstrap, &scenario.group, &partitions) {
            Ok(now) if now == *wanted => Look::Ready(()),
            Ok(now) => Look::NotYet(format!("{now:?} of {wanted:?}")),
            Err(error) => Look::NotYet(format!("{error:#}")),
        }
    })
}

/// Makes one: commits the ends, writes more, and deletes the first of it.
fn overtaken(name: &str, settings: &[(&str, &str)]) -> Result<Overtaken> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, name, 400)?;
    let mut scenario = scenario_on(&cluster, name, &ledger)?;
    let probe = Probe::on(&mut scenario)?;
    for (name, value) in settings {
        scenario.set(name, *value);
    }
    scenario.set(RESET, "latest");
    let starts = ledger.ends();
    let app = scenario.start(APP, "app")?;
    await_committed(&scenario, &starts)?;
    app.signal(Signal::TERM)?;
    app.wait(DEADLINE)?;
    ledger.write(1_000)?;
    let firsts: BTreeMap<_, _> =
        starts.into_iter().map(|(at, start)| (at, start + DELETED)).collect();
    topics::delete_records(&cluster.bootstrap, &firsts)?;
    Ok(Overtaken { scenario, ledger, probe, firsts })
}

impl Overtaken {
    /// Checks what the metric says of all topics together.
    fn assert_skipped(&self, deleted: i64, reset: i64) -> Result<()> {
        let samples = self.probe.metrics()?;
        let mut seen = sum_by(&samples, "nubium_offsets_skipped_total", "reason");
        seen.retain(|_, sum| *sum > 0.0);
        let wanted = [("deleted", deleted), ("reset", reset)].into_iter();
        let wanted: BTreeMap<_, _> = wanted
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.to_owned(), count as f64))
            .collect();
        ensure!(seen == wanted, "{seen:?} instead of {wanted:?}");
        Ok(())
    }

    fn deleted(&self) -> i64 {
        self.firsts.len() as i64 * DELETED
    }
}

#[test]
fn earliest_goes_on_at_the_first_that_is_left_and_says_what_is_lost() -> Result<()> {
    // Session and heartbeat are the broker's with the newer protocol; blank takes them back.
    let newer = [
        ("NU_CONSUMER_GROUP_PROTOCOL", "consumer"),
        ("NU_CONSUMER_HEARTBEAT_TIMEOUT_SECONDS", ""),
        ("NU_CONSUMER_HEARTBEAT_INTERVAL_SECONDS", ""),
    ];
    for settings in [&[][..], &[("NU_CONSUMER_ASSIGNMENT_STRATEGY", "range")], &newer] {
        let mut it = overtaken("overtaken-earliest", settings)?;
        it.scenario.set(RESET, "earliest");
        let mut app = Kept::start(&it.scenario, APP, "app")?;
        it.scenario.drained(&it.ledger, || app.tend())?;
        it.assert_skipped(it.deleted(), 0)?;
        let log = app.process().log();
        ensure!(log.contains("The log does not hold the offset to read next"), "{log}");
        it.ledger.write(200)?;
        it.scenario.drained(&it.ledger, || app.tend())?;
        ensure!(app.exits().is_empty(), "{:?}", app.exits());
        it.ledger.forget_before(&it.firsts);
        it.scenario.verify(&it.ledger, Extent::Complete)?;
    }
    Ok(())
}

#[test]
fn one_partition_out_of_range_leaves_the_others_as_they_are() -> Result<()> {
    for settings in [&[][..], &[("NU_CONSUMER_ASSIGNMENT_STRATEGY", "range")]] {
        let cluster = Cluster::shared();
        let mut ledger = write_ledger(&cluster, "overtaken-one", 400)?;
        let mut scenario = scenario_on(&cluster, "overtaken-one", &ledger)?;
        for (name, value) in settings {
            scenario.set(name, *value);
        }
        scenario.set(RESET, "latest");
        let mut starts = ledger.ends();
        let app = scenario.start(APP, "app")?;
        await_committed(&scenario, &starts)?;
        app.signal(Signal::TERM)?;
        app.wait(DEADLINE)?;
        ledger.write(20_000)?;
        let one = starts.iter_mut().next().map(|(at, start)| {
            *start += DELETED;
            (at.clone(), *start)
        });
        topics::delete_records(&cluster.bootstrap, &one.into_iter().collect())?;
        scenario.set(RESET, "earliest");
        let mut app = Kept::start(&scenario, APP, "app")?;
        scenario.drained(&ledger, || app.tend())?;
        ensure!(app.exits().is_empty(), "{:?}", app.exits());
        ledger.forget_before(&starts);
        scenario.verify(&ledger, Extent::Complete)?;
    }
    Ok(())
}

#[test]
fn latest_goes_on_at_the_end_and_counts_what_it_skips() -> Result<()> {
    let mut it = overtaken("overtaken-latest", &[])?;
    let ends = it.ledger.ends();
    let mut app = Kept::start(&it.scenario, APP, "app")?;
    // Without a message: the place itself is committed, so that a crash cannot move it.
    it.scenario.drained(&it.ledger, || app.tend())?;
    let skipped = ends.iter().map(|(at, end)| end - it.firsts[at]).sum();
    it.assert_skipped(it.deleted(), skipped)?;
    it.ledger.write(400)?;
    it.scenario.drained(&it.ledger, || app.tend())?;
    it.assert_skipped(it.deleted(), skipped)?;
    it.ledger.forget_before(&ends);
    it.scenario.verify(&it.ledger, Extent::Complete).map(drop)
}

#[test]
fn error_ends_the_app_and_names_the_place_and_the_setting() -> Result<()> {
    let mut it = overtaken("overtaken-error", &[])?;
    it.scenario.set(RESET, "error");
    let app = it.scenario.start(APP, "app")?;
    let status = app.wait(DEADLINE)?;
    let log = app.log_tail();
    ensure!(status.code().is_some_and(|code| code != 0), "{status}\n{log}");
    for part in ["the log does not hold it", "NU_CONSUMER_AUTO_OFFSET_RESET=error", "at offset"] {
        ensure!(log.contains(part), "no {part:?} in\n{log}");
    }
    Ok(())
}

#[test]
fn a_topic_that_is_deleted_is_not_ready_and_one_made_anew_is_read() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "deleted", 200)?;
    let mut scenario = scenario_on(&cluster, "deleted", &ledger)?;
    scenario.set(
        "NU_KAFKA_PROPERTIES_JSON",
        r#"{"topic.metadata.refresh.interval.ms": 1000,
        "topic.metadata.propagation.max.ms": 1000}"#,
    );
    let probe = Probe::on(&mut scenario)?;
    let app = scenario.start(APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    let topic = scenario.inputs[0].clone();
    topics::delete(&cluster.bootstrap, &topic)?;
    let body = probe.answers("/readyz", 503, DEADLINE)?;
    ensure!(body.contains("misses an input topic"), "{body}");
    ensure!(probe.get("/livez")?.0 == 200, "a restart would not help");
    ensure!(app.log().contains(&topic), "{}", app.log_tail());
    topics::create(&cluster.bootstrap, &[(&topic, 2)])?;
    probe.answers("/readyz", 200, DEADLINE)?;
    let back = || app.log().matches(&format!("{topic}[0]@0")).count();
    until("the new topic to be assigned", DEADLINE, || back() > 1)?;
    Ok(())
}
