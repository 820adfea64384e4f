//! The published nubium-utils itself in turns with our apps: same group, same topics, same
//! changelog, killed in between.

use anyhow::{Context, Result, ensure};
use nubium_test_kit::checker::Extent;
use nubium_test_kit::ledger::{Ledger, Plan};
use nubium_test_kit::process::{Process, Signal};
use nubium_test_kit::reader::{Raw, read_all};
use nubium_test_kit::scenario::{Cluster, DEADLINE, Scenario};
use nubium_test_kit::table::{changelog_rows, expected_rows};
use nubium_test_kit::topics;
use nubium_test_kit::wait::until;
use nubium_tests::original::{Original, Version};

use crate::{APP, PLAIN_APP};

/// One input with one partition: with several, the Python app's changelog follows the key's hash.
fn prepare(name: &str, keys: u32) -> Result<(Cluster, Ledger, Scenario)> {
    let cluster = Cluster::shared();
    let topic = topics::unique(name);
    topics::create(&cluster.bootstrap, &[(&topic, 1)])?;
    let plan = Plan { keys, ..Plan::default() };
    let named = [(topic.as_str(), 1)];
    let ledger = Ledger::create(&cluster.bootstrap, &cluster.registry, &named, plan)?;
    let mut scenario = Scenario::new(name, &cluster, &[&topic], 1)?;
    scenario.set("NU_TABLE_DELETE_MARKER", "original");
    Ok((cluster, ledger, scenario))
}

/// Says that no Python is at hand, which is no failure.
/// On a developer's machine the Python may be missing; where CI is set, nothing is left out.
fn skipped() -> Result<()> {
    anyhow::ensure!(
        std::env::var_os("CI").is_none(),
        "there is no Python 3.9 here; install one, or name it with NUBIUM_TEST_PYTHON"
    );
    #[expect(clippy::print_stderr, reason = "shown with the test's output")]
    {
        eprintln!("skipped: there is no Python 3.9 here (NUBIUM_TEST_PYTHON names one)");
    }
    Ok(())
}

fn alive(app: &Process) -> Result<()> {
    ensure!(app.is_running(), "{}", app.log_tail());
    Ok(())
}

/// Ends an instance as an orchestrator does.
fn end(app: &Process) -> Result<()> {
    app.signal(Signal::TERM)?;
    app.wait(DEADLINE).map(drop)
}

/// Starts the Python table app on an empty volume, with no input waiting, and waits until it has
/// recovered: while it does, it takes input for rows.
fn recovered(original: &Original, scenario: &Scenario, host: &str) -> Result<Process> {
    let app = original.start(scenario, "table", host)?;
    until("the Python app to recover", DEADLINE, || {
        assert!(app.is_running(), "it has ended\n{}", app.log_tail());
        original.version.recovered(&app.log())
    })?;
    Ok(app)
}

#[test]
fn table_apps_take_turns_and_no_count_has_a_gap() -> Result<()> {
    tables_take_turns(Version::Two)
}

#[test]
fn table_apps_of_version_4_take_turns_and_no_count_has_a_gap() -> Result<()> {
    tables_take_turns(Version::Four)
}

fn tables_take_turns(version: Version) -> Result<()> {
    let Some(original) = Original::find(version)? else { return skipped() };
    let (cluster, mut ledger, mut scenario) = prepare("in-turns", 7)?;
    let changelog = format!("{}__changelog", scenario.group);
    let compact = [("cleanup.policy", "compact")];
    topics::create_with(&cluster.bootstrap, &[(&changelog, 1)], &compact)?;
    let volume = scenario.logs().join("volume").display().to_string();
    scenario.set("NU_TABLE_PATH", volume);

    // Ours, killed in between.
    ledger.write(300)?;
    let first = scenario.start(APP, "first")?;
    scenario.progress()?.reach(20, DEADLINE, || Ok(()))?;
    first.kill()?;
    let first = scenario.start(APP, "first")?;
    scenario.drained(&ledger, || alive(&first))?;
    end(&first)?;

    // Theirs, killed while it works.
    let theirs = recovered(&original, &scenario, "second")?;
    ledger.write(150)?;
    scenario.progress()?.reach(340, DEADLINE, || alive(&theirs))?;
    theirs.kill()?;
    scenario.settle("second")?;

    // Ours takes the rest.
    let third = scenario.start(APP, "third")?;
    scenario.drained(&ledger, || alive(&third))?;
    end(&third)?;

    // And theirs again, anew.
    let last = recovered(&original, &scenario, "fourth")?;
    ledger.write(50)?;
    scenario.drained(&ledger, || alive(&last))?;
    end(&last)?;

    scenario.verify(&ledger, Extent::Complete)?;
    let rows = changelog_rows(&cluster.bootstrap, &changelog)?;
    for (at, entry) in expected_rows(&ledger) {
        let text = rows.get(&at).with_context(|| format!("no row {at:?}"))?;
        let found: serde_json::Value = serde_json::from_str(text)?;
        ensure!(found == entry, "{at:?}: {found}, not {entry}");
    }
    Ok(())
}

#[test]
fn plain_apps_take_turns_and_copy_every_input_once() -> Result<()> {
    copies_take_turns(Version::Two)
}

#[test]
fn plain_apps_of_version_4_take_turns_and_copy_every_input_once() -> Result<()> {
    copies_take_turns(Version::Four)
}

fn copies_take_turns(version: Version) -> Result<()> {
    let Some(original) = Original::find(version)? else { return skipped() };
    let (_, mut ledger, scenario) = prepare("plain-turns", 50)?;
    ledger.write(100)?;
    let theirs = original.start(&scenario, "plain", "first")?;
    scenario.progress()?.reach(30, DEADLINE, || alive(&theirs))?;
    theirs.kill()?;
    scenario.settle("first")?;
    let ours = scenario.start(PLAIN_APP, "second")?;
    scenario.drained(&ledger, || alive(&ours))?;
    ours.kill()?;
    ledger.write(60)?;
    let theirs = original.start(&scenario, "plain", "third")?;
    scenario.drained(&ledger, || alive(&theirs))?;
    end(&theirs)?;
    ledger.write(100)?;
    let ours = scenario.start(PLAIN_APP, "second")?;
    scenario.drained(&ledger, || alive(&ours))?;
    end(&ours)?;
    scenario.verify(&ledger, Extent::Complete).map(drop)
}

/// The headers that Python asks for on what it reads, as it decodes them.
fn assert_readable(record: &Raw) -> Result<()> {
    for name in ["guid", "last_updated_by"] {
        ensure!(record.header(name).is_some_and(|text| !text.is_empty()), "{name}: {record:?}");
    }
    let key = record.key.as_deref().context("no key")?;
    let (_, mut key) = nubium_test_kit::wire::Reader::framed(key)?;
    key.string()?;
    key.end()
}

#[test]
fn changelog_records_have_what_a_python_app_asks_for() -> Result<()> {
    let (cluster, mut ledger, mut scenario) = prepare("asked-for", 3)?;
    let partition = ledger.partitions()[0].clone();
    ledger.write(20)?;
    ledger.write_without_guid(&partition)?;
    ledger.write_fates(&partition, &[nubium_test_kit::ledger::Fate::Drop])?;
    scenario.set("NU_TABLE_CREATE_CHANGELOG", "true");
    scenario.set("NU_TABLE_PATH", scenario.logs().join("volume").display().to_string());
    let app = scenario.start(APP, "app")?;
    scenario.drained(&ledger, || alive(&app))?;
    end(&app)?;
    let changelog = format!("{}__changelog", scenario.group);
    let records = read_all(&cluster.bootstrap, &[&changelog])?;
    ensure!(!records.is_empty());
    for record in &records {
        assert_readable(record)?;
        assert_eq!(record.header("last_updated_by"), Some(&*scenario.group));
        let value = record.value.as_deref().context("a tombstone: Python stops at it")?;
        let (_, mut value) = nubium_test_kit::wire::Reader::framed(value)?;
        serde_json::from_str::<serde_json::Value>(value.string()?)?;
    }
    Ok(())
}
