//! What an orchestrator and a metrics scraper see of an app: at work, idle, without brokers, and
//! when they are back.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::exposition::sum_by;
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::kproxy::{ApiKey, Side};
use nubium_test_kit::ledger::Ledger;
use nubium_test_kit::probe::Probe;
use nubium_test_kit::scenario::{DEADLINE, Scenario};
use nubium_test_kit::wait::{Look, eventually};

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

const INPUTS: u32 = 3_000;

/// Waits until the counters are those of the ledger, neither more nor less.
fn counts(probe: &Probe, scenario: &Scenario, ledger: &Ledger) -> Result<()> {
    let (mut consumed, mut copied) = (BTreeMap::<_, f64>::new(), 0_u32);
    for (partition, rows) in ledger.rows() {
        *consumed.entry(partition.topic.clone()).or_default() += rows.len() as f64;
        copied += rows.iter().filter(|row| row.fate.is_copied()).count() as u32;
    }
    let wanted = (consumed, BTreeMap::from([(scenario.output.clone(), f64::from(copied))]));
    eventually("the counters of the ledger", DEADLINE, || match probe.metrics() {
        Ok(samples) => {
            let sum = |name| sum_by(&samples, name, "topic");
            let seen = (sum("messages_consumed"), sum("messages_produced"));
            if seen == wanted {
                Look::Ready(Ok(()))
            } else {
                Look::NotYet(format!("{seen:?} of {wanted:?}"))
            }
        }
        Err(error) => Look::Ready(Err(error)),
    })?
}

/// An idle app stays green past the limit of 2 s; heartbeats, one a second, are the clock.
fn stays_green(probe: &Probe, faulty: &Faulty) -> Result<()> {
    for _ in 0..5 {
        let heartbeats = faulty.proxy.count(ApiKey::HEARTBEAT, Side::Response) + 1;
        faulty.proxy.wait_for(ApiKey::HEARTBEAT, Side::Response, heartbeats, DEADLINE)?;
        for path in ["/livez", "/readyz"] {
            let (status, body) = probe.get(path)?;
            ensure!(status == 200, "an idle app's {path} answers {status}: {body}");
        }
    }
    Ok(())
}

#[test]
fn green_at_work_and_idle_red_without_brokers_and_green_again() -> Result<()> {
    let mut faulty = Faulty::start()?;
    let cluster = faulty.cluster();
    let mut ledger = write_ledger(&cluster, "probes", INPUTS)?;
    let mut scenario = scenario_on(&cluster, "probes", &ledger)?;
    scenario.set("NU_BROKER_OUTAGE_LIMIT_SECONDS", "2");
    let probe = Probe::on(&mut scenario)?;
    let app = scenario.start(APP, "app")?;
    scenario.drained(&ledger, || Ok(()))?;
    probe.answers("/livez", 200, DEADLINE)?;
    probe.answers("/readyz", 200, DEADLINE)?;
    counts(&probe, &scenario, &ledger)?;
    stays_green(&probe, &faulty)?;

    faulty.broker.stop()?;
    let reason = probe.answers("/livez", 503, DEADLINE)?;
    assert!(reason.contains("no broker"), "{reason}");
    probe.answers("/readyz", 503, DEADLINE)?;
    assert!(app.is_running(), "it ended by itself\n{}", app.log_tail());

    faulty.broker.start_again()?;
    probe.answers("/livez", 200, DEADLINE)?;
    probe.answers("/readyz", 200, DEADLINE)?;
    ledger.write(INPUTS)?;
    scenario.drained(&ledger, || Ok(()))?;
    counts(&probe, &scenario, &ledger)?;
    stays_green(&probe, &faulty)?;
    scenario.verify(&ledger, Extent::Complete).map(drop)
}
