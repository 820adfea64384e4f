//! Messages without the header `guid`, which every message of these apps carries: what
//! `NU_MISSING_HEADERS=require` makes of them. `any_message.rs` has the default.

use anyhow::{Context, Result};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::ledger::{Fate, Ledger, Partition};
use nubium_test_kit::reader::{committed, read_all, settled};
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario};
use nubium_test_kit::topics;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

/// Writes a partition whose second input has no `guid`.
fn prepare(name: &str) -> Result<(Ledger, Scenario, Partition)> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, name, 0)?;
    let mut scenario = scenario_on(&cluster, name, &ledger)?;
    scenario.set("NU_MISSING_HEADERS", "require");
    // Not the first partition, so that its number says something.
    let input = ledger.partitions().get(1).context("one partition alone")?.clone();
    ledger.write_fates(&input, &[Fate::Copy])?;
    ledger.write_without_guid(&input)?;
    ledger.write_fates(&input, &[Fate::Copy])?;
    Ok((ledger, scenario, input))
}

#[test]
fn ends_the_app_and_is_named() -> Result<()> {
    let (ledger, scenario, input) = prepare("no-guid")?;
    let app = scenario.start(APP, "app")?;
    let status = app.wait(DEADLINE)?;
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    let log = app.log();
    let place = format!("{input}, offset 1");
    for named in ["has no header", "guid", &place] {
        assert!(log.contains(named), "the log does not say {named}:\n{}", app.log_tail());
    }
    // What was complete before it is committed, and it is not skipped.
    scenario.verify(&ledger, Extent::UpToCommitted)?;
    let done = committed(&scenario.cluster.bootstrap, &scenario.group, ledger.partitions())?;
    assert_eq!(done.get(&input), Some(&1));
    Ok(())
}

#[test]
fn goes_to_the_failure_topic_where_there_is_one() -> Result<()> {
    let (ledger, mut scenario, input) = prepare("no-guid-failure")?;
    let (bootstrap, failure) =
        (scenario.cluster.bootstrap.clone(), format!("{}-failure", scenario.group));
    topics::create(&bootstrap, &[(&failure, 1)])?;
    scenario.set("NU_PRODUCE_FAILURE_TOPICS", &failure);
    let mut app = Kept::start(&scenario, APP, "app")?;
    scenario.drained(&ledger, || app.tend())?;
    scenario.verify(&ledger, Extent::Complete)?;
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    settled(&bootstrap, &[&failure], DEADLINE)?;
    let failed = read_all(&bootstrap, &[&failure])?;
    let [record] = &failed[..] else { panic!("{failed:?}") };
    let original = &read_all(&bootstrap, &[&input.topic])?[1];
    assert_eq!((&record.key, &record.value), (&original.key, &original.value));
    let exception = record.header("exception").context("no header `exception`")?;
    assert!(exception.contains("guid"), "{exception}");
    Ok(())
}
