//! Batch apps: what a batch holds counts once, whatever happens to the process or the group.

use anyhow::Result;
use nubium_test_kit::checker::Extent;
use nubium_test_kit::exposition::sum_by;
use nubium_test_kit::ledger::{Fate, Ledger, Partition, Plan};
use nubium_test_kit::outage::Outage;
use nubium_test_kit::probe::Probe;
use nubium_test_kit::reader::read_all;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario};
use nubium_test_kit::topics;
use nubium_test_kit::wait::{Look, eventually};

use crate::BATCH_APP;
use crate::setup::{scenario_on, write_ledger};

fn batches(scenario: &mut Scenario, count: u32, milliseconds: u32) {
    let seconds = format!("{:.3}", f64::from(milliseconds) / 1_000.0);
    scenario
        .set("NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_COUNT", count.to_string())
        .set("NU_CONSUMER_DEFAULT_BATCH_CONSUME_MAX_TIME_SECONDS", seconds);
}

/// Topics for what is retried and what has failed.
fn side_topics(scenario: &mut Scenario) -> Result<[String; 2]> {
    let names = ["later", "failed"].map(|kind| format!("{}-{kind}", scenario.group));
    topics::create(&scenario.cluster.bootstrap, &[(&names[0], 1), (&names[1], 1)])?;
    scenario.set("NU_PRODUCE_RETRY_TOPICS", &names[0]).set("NU_PRODUCE_FAILURE_TOPICS", &names[1]);
    Ok(names)
}

#[test]
fn batches_that_grow_on_demand_survive_kills_and_rebalances() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "batch-kill", 20_000)?;
    let mut scenario = scenario_on(&cluster, "batch-kill", &ledger)?;
    batches(&mut scenario, 50, 20);
    scenario.set("BATCH_GROW_TO", "300");
    let progress = scenario.progress()?;
    let mut first = Kept::start(&scenario, BATCH_APP, "first")?;
    for part in 1..=3_i64 {
        progress.reach(part * 2_000, DEADLINE, || first.tend())?;
        first.kill()?;
    }
    let second = scenario.start(BATCH_APP, "second")?;
    progress.reach(10_000, DEADLINE, || first.tend())?;
    second.kill()?;
    scenario.drained(&ledger, || first.tend())?;
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

#[test]
fn an_app_asks_for_more_than_a_batch_and_gets_it() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "batch-grow", 2_000)?;
    let mut scenario = scenario_on(&cluster, "batch-grow", &ledger)?;
    batches(&mut scenario, 1, 0);
    scenario.set("BATCH_GROW_TO", "500").set("BATCH_GROW_MILLISECONDS", "3000");
    let probe = Probe::on(&mut scenario)?;
    let _app = scenario.start(BATCH_APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    scenario.verify(&ledger, Extent::Complete)?;
    let sizes = |samples: &[_], of: &str| -> f64 {
        sum_by(samples, &format!("nubium_batch_messages_{of}"), "app").values().sum()
    };
    eventually("all batches to be counted", DEADLINE, || match probe.metrics() {
        Ok(samples) if sizes(&samples, "sum") >= 2_000.0 => {
            let count = sizes(&samples, "count");
            assert!(count < 40.0, "{count} batches of 2,000 messages: they did not grow");
            Look::Ready(())
        }
        Ok(samples) => Look::NotYet(format!("{} messages", sizes(&samples, "sum"))),
        Err(error) => Look::NotYet(format!("{error:#}")),
    })
}

#[test]
fn marked_and_bad_messages_are_routed_and_their_neighbours_are_copied() -> Result<()> {
    let cluster = Cluster::shared();
    let topic = topics::unique("batch-marks");
    topics::create(&cluster.bootstrap, &[(&topic, 1)])?;
    let plan = Plan::default();
    let mut ledger = Ledger::create(&cluster.bootstrap, &cluster.registry, &[(&topic, 1)], plan)?;
    let partition = Partition::new(&topic, 0);
    for round in 0..20 {
        let odd = if round % 2 == 0 { Fate::Retry } else { Fate::Failure };
        ledger.write_fates(&partition, &[Fate::Copy, odd, Fate::Drop, Fate::Copy])?;
    }
    ledger.write_bytes(&partition, b"no Avro at all")?;
    ledger.write_without_guid(&partition)?;
    ledger.write_fates(&partition, &[Fate::Copy, Fate::Copy])?;
    // The 84th input, counted from 0: the bad one is the last, and no copy of it may be left.
    ledger.write_fates(&partition, &[Fate::Failure])?;
    let mut scenario = scenario_on(&cluster, "batch-marks", &ledger)?;
    let [later, failed] = side_topics(&mut scenario)?;
    batches(&mut scenario, 40, 200);
    scenario
        .set("NU_BATCH_ERROR_BISECT", "true")
        .set("NU_ERROR_POLICY", "dead_letter")
        .set("NU_MISSING_HEADERS", "require")
        .set("BATCH_BAD", "84");
    let _app = scenario.start(BATCH_APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    scenario.verify(&ledger, Extent::Complete)?;
    let retried = read_all(&cluster.bootstrap, &[&later])?;
    assert_eq!(retried.len(), 10);
    assert!(retried.iter().all(|r| r.header("exception").is_some_and(|e| e.contains("Later"))));
    let failures = read_all(&cluster.bootstrap, &[&failed])?;
    let count = |name: &str| {
        let named = |e: &str| e.contains(&format!("\"{name}\""));
        failures.iter().filter(|raw| raw.header("exception").is_some_and(named)).count()
    };
    assert_eq!(["Broken", "DecodeError", "MissingHeader", "Planned"].map(count), [10, 1, 1, 1]);
    assert_eq!(failures.len(), 13);
    Ok(())
}

#[test]
fn a_registry_that_is_away_longer_than_a_poll_may_last_does_not_look_like_a_hang() -> Result<()> {
    let shared = Cluster::shared();
    let mut ledger = write_ledger(&shared, "batch-registry", 200)?;
    let outage = Outage::before(&shared.registry)?;
    let cluster = Cluster { registry: outage.url().to_owned(), ..shared };
    let mut scenario = scenario_on(&cluster, "batch-registry", &ledger)?;
    batches(&mut scenario, 20, 50);
    // 6 s, as long as a session.
    scenario
        .set("NU_CONSUMER_TIMEOUT_LIMIT_MINUTES", "0.1")
        .set("NU_ERROR_RETRY_BACKOFF_MAX_MILLISECONDS", "1000");
    let probe = Probe::on(&mut scenario)?;
    let app = scenario.start(BATCH_APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    outage.begin();
    ledger.evolve(&Cluster::shared().registry)?;
    ledger.write(200)?;
    outage.noticed(1, DEADLINE)?;
    let begin = std::time::Instant::now();
    eventually("the outage to last", DEADLINE, || match probe.get("/livez") {
        Ok((200, _)) if begin.elapsed().as_secs() > 9 => Look::Ready(Ok(())),
        Ok((200, _)) => Look::NotYet("green".into()),
        answer => Look::Ready(Err(anyhow::anyhow!("/livez answers {answer:?}"))),
    })??;
    outage.end();
    scenario.drained(&ledger, || Ok(()))?;
    assert!(app.is_running(), "it ended by itself\n{}", app.log_tail());
    scenario.verify(&ledger, Extent::Complete).map(drop)
}
