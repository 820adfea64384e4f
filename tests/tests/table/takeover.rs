//! From Python and back: an app goes on with the table of an app of nubium-utils, and writes what
//! that one reads.

use anyhow::{Context, Result};
use nubium_test_kit::reader::read_all;
use nubium_test_kit::scenario::{Cluster, DEADLINE};
use nubium_test_kit::table::{OriginalWriter, changelog_rows};
use nubium_test_kit::wait::until;
use nubium_test_kit::wire::Reader;

use crate::setup::{Table, ready, stop, write_ledger};

#[test]
fn an_app_goes_on_with_the_table_of_a_python_app() -> Result<()> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, "takeover", 4, 0)?;
    let mut table = Table::new(&cluster, "takeover", &ledger)?;
    let original = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, &table.changelog)?;
    // As json.dumps writes it, with spaces; one entry was deleted, one deleted and written again.
    original.write(&[(0, "key-0", Some(r#"{"count": 1, "sum": 0}"#)), (1, "key-1", None)], true)?;
    original.write(&[(2, "key-2", None), (2, "key-2", Some(r#"{"count": 7, "sum": 0}"#))], true)?;
    original.write(&[(0, "key-0", Some(r#"{"count": 99, "sum": 0}"#))], false)?;
    ledger.write(400)?;
    table.scenario.set("NU_TABLE_DELETE_MARKER", "original");
    let app = table.start("app", "own")?;
    let alive = || app.is_running().then_some(()).with_context(|| app.log_tail());
    table.scenario.drained(&ledger, alive)?;
    stop(&app)?;
    let rows = changelog_rows(&cluster.bootstrap, &table.changelog)?;
    assert_eq!(rows, table.stores("own")?);
    for (key, before) in [(0, 1), (1, 0), (2, 7), (3, 0)] {
        let of_key = |(_, inputs): (_, &Vec<nubium_test_kit::ledger::Input>)| inputs.len();
        let inputs = ledger.rows().iter().filter(|(p, _)| p.number == key).map(of_key);
        let count = before + inputs.sum::<usize>();
        let text = &rows[&(key, format!("key-{key}"))];
        assert!(text.contains(&format!("\"count\":{count},")), "{key}: {text}, not {count}");
    }
    Ok(())
}

#[test]
fn what_is_written_is_what_a_python_app_reads() -> Result<()> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, "handback", 4, 40)?;
    let partition = ledger.partitions()[1].clone();
    ledger.write_fates(&partition, &[nubium_test_kit::ledger::Fate::Drop])?;
    let mut table = Table::new(&cluster, "handback", &ledger)?;
    table.scenario.set("NU_TABLE_DELETE_MARKER", "original");
    let app = table.start("app", "own")?;
    let alive = || app.is_running().then_some(()).with_context(|| app.log_tail());
    table.scenario.drained(&ledger, alive)?;
    stop(&app)?;
    // The bytes of nubium-utils' own writer: same schema ids, same framing, no tombstones.
    let original = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, &table.changelog)?;
    original.write(&[(1, "key-1", Some("{}"))], true)?;
    let records = read_all(&cluster.bootstrap, &[&table.changelog])?;
    let of_key = |r: &&nubium_test_kit::reader::Raw| r.partition.number == 1;
    let ours: Vec<_> = records.iter().filter(of_key).collect();
    let (theirs, ours) = ours.split_last().context("no records")?;
    assert!(ours.iter().any(|record| record.key == theirs.key), "the keys' bytes differ");
    let (id, _) = Reader::framed(theirs.value.as_deref().context("no value")?)?;
    for record in ours {
        let (ours, mut text) = Reader::framed(record.value.as_deref().context("a tombstone")?)?;
        assert_eq!(ours, id, "another schema id");
        text.string()?;
        text.end()?;
    }
    Ok(())
}

#[test]
fn a_standby_takes_over_and_a_table_is_looked_up_by_another_app() -> Result<()> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, "standby", 100, 2_000)?;
    let mut table = Table::new(&cluster, "standby", &ledger)?;
    table.scenario.set("NU_TABLE_STANDBY_REPLICAS", "1");
    let first = table.start("one", "one")?;
    let second = table.start("two", "two")?;
    table.scenario.drained(&ledger, || Ok(()))?;
    let follows = |log: &str| log.matches("role=Standby").count() >= 2;
    until("both to follow the other", DEADLINE, || {
        follows(&first.log()) && follows(&second.log())
    })?;
    first.kill()?;
    ledger.write(2_000)?;
    let alive = || second.is_running().then_some(()).with_context(|| second.log_tail());
    table.scenario.drained(&ledger, alive)?;
    stop(&second)?;
    table.verify(&ledger, "two")?;
    let mut other = Table::new(&cluster, "looks-up", &ledger)?;
    other.scenario.set("TABLE_LOOKUP", table.changelog.clone());
    let app = other.start("app", "own")?;
    other.scenario.drained(&ledger, || app.is_running().then_some(()).context("it has ended"))?;
    ready(&app)?;
    stop(&app)?;
    let sum = |text: &String| -> Result<i64> {
        serde_json::from_str::<serde_json::Value>(text)?["sum"].as_i64().context("no sum")
    };
    let theirs = changelog_rows(&cluster.bootstrap, &table.changelog)?;
    let ours = changelog_rows(&cluster.bootstrap, &other.changelog)?;
    assert_eq!(ours.len(), theirs.len());
    for (at, text) in &theirs {
        assert_eq!(sum(text)?, sum(&ours[at])?, "{at:?}");
    }
    Ok(())
}
