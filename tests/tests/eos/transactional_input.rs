//! Input written in transactions, one in three aborted: no aborted input is handled, and the lag
//! ends at zero though the logs end with records that nobody is to see.

use anyhow::Result;
use nubium_test_kit::checker::Extent;
use nubium_test_kit::exposition::sum_by;
use nubium_test_kit::ledger::Ending;
use nubium_test_kit::probe::Probe;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, seeded};
use nubium_test_kit::wait::{Look, eventually};
use rand::Rng;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

const TRANSACTIONS: u32 = 18;
const INPUTS: u32 = 200;
const LAG: &str = "nubium_consumer_lag_messages";

#[test]
fn aborted_inputs_are_never_handled_and_the_lag_ends_at_zero() -> Result<()> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, "transactional", 0)?;
    ledger.make_transactional(&cluster.bootstrap)?;
    for number in 1..=TRANSACTIONS {
        // The last one too: the logs then end with what is not to be seen.
        let ending = if number % 3 == 0 { Ending::Abort } else { Ending::Commit };
        ledger.write_transaction(INPUTS, ending)?;
    }
    let aborted = TRANSACTIONS / 3 * INPUTS;
    assert!(ledger.unseen() > aborted.into(), "no markers in the logs");
    let mut scenario = scenario_on(&cluster, "transactional", &ledger)?;
    scenario.set("NU_OUTBOX_MAX_COUNT", "50");
    let probe = Probe::on(&mut scenario)?;
    let mut app = Kept::start(&scenario, APP, "app")?;
    let at = seeded("transactional").random_range(200..1_500);
    scenario.progress()?.reach(at, DEADLINE, || app.tend())?;
    app.kill()?;
    scenario.drained(&ledger, || app.tend())?;
    eventually("the lag of every partition to be zero", DEADLINE, || match probe.metrics() {
        Ok(samples) => {
            let lags = samples.iter().filter(|sample| sample.name == LAG);
            let lags: Vec<_> = lags.map(|sample| sample.value).collect();
            if lags == vec![0.0; ledger.partitions().len()] {
                Look::Ready(())
            } else {
                Look::NotYet(format!("{lags:?} {:?}", sum_by(&samples, LAG, "topic")))
            }
        }
        Err(error) => Look::NotYet(format!("{error:#}")),
    })?;
    scenario.verify(&ledger, Extent::Complete).map(drop)
}
