//! Changelogs as they come: with aborted transactions, compaction, deletes, or made anew.

use anyhow::{Context, Result};
use nubium_test_kit::ledger::Partition;
use nubium_test_kit::reader::log_ends;
use nubium_test_kit::registry::RegistryClient;
use nubium_test_kit::scenario::{Cluster, DEADLINE};
use nubium_test_kit::table::{OriginalWriter, changelog_rows};
use nubium_test_kit::topics;
use nubium_test_kit::wait::{Look, eventually};

use crate::setup::{PARTITIONS, Table, ready, stop, write_ledger};

#[test]
fn aborted_transactions_and_compacted_records_are_no_rows() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "compacted", 10, 0)?;
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "0"),
    ];
    let table = Table::with(&cluster, "compacted", &ledger, &settings)?;
    let writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, &table.changelog)?;
    let total = || -> Result<i64> {
        let ends = log_ends(&cluster.bootstrap, &[&table.changelog])?;
        Ok(ends.values().map(|end| end.end).sum())
    };
    let mut round = 0;
    // Until the cleaner has taken records away: fewer are read than were committed.
    eventually("the log cleaner", DEADLINE, || {
        round += 1;
        let text = format!("{{\"round\":{round}}}");
        for partition in 0..PARTITIONS {
            let rows = [(partition, "a", Some(&*text)), (partition, "b", Some(&*text))];
            let gone = [(partition, "b", None), (partition, "aborted", Some("never"))];
            let written = writer
                .write(&rows, true)
                .and_then(|()| writer.write(&gone[..1], true))
                .and_then(|()| writer.write(&gone[1..], false));
            if let Err(error) = written {
                return Look::NotYet(format!("{error:#}"));
            }
        }
        let read = nubium_test_kit::reader::read_all(&cluster.bootstrap, &[&table.changelog]);
        let (committed, read) = (round * 3 * PARTITIONS as usize, read.map_or(0, |r| r.len()));
        if read < committed { Look::Ready(()) } else { Look::NotYet(format!("{read} records")) }
    })?;
    let app = table.start("app", "own")?;
    ready(&app)?;
    stop(&app)?;
    let expected = changelog_rows(&cluster.bootstrap, &table.changelog)?;
    assert_eq!(expected.len(), PARTITIONS as usize, "one row a partition: {expected:?}");
    assert_eq!(table.stores("own")?, expected);
    assert!(total()? > 0);
    Ok(())
}

#[test]
fn a_changelog_that_was_made_anew_is_noticed() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "anew", 10, 0)?;
    let table = Table::new(&cluster, "anew", &ledger)?;
    let write = |text: &str, times: usize| -> Result<()> {
        let writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, &table.changelog)?;
        (0..times).try_for_each(|_| writer.write(&[(0, text, Some(text))], true))
    };
    write("old", 3)?;
    let app = table.start("app", "own")?;
    ready(&app)?;
    stop(&app)?;
    topics::delete(&cluster.bootstrap, &table.changelog)?;
    let new = [(table.changelog.as_str(), PARTITIONS)];
    topics::create_with(&cluster.bootstrap, &new, &[("cleanup.policy", "compact")])?;
    // Longer than the old one was: the position alone does not tell.
    write("new", 9)?;
    let app = table.on("own").start_as(crate::APP, "app", "again")?;
    ready(&app)?;
    stop(&app)?;
    let rows = table.stores("own")?;
    assert_eq!(rows.keys().map(|(_, key)| key.as_str()).collect::<Vec<_>>(), ["new"]);
    Ok(())
}

#[test]
fn a_changelog_that_does_not_fit_is_refused_at_the_start() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "unfit", 10, 0)?;
    let refused = |table: &Table, says: &[&str]| -> Result<()> {
        let app = table.start("app", "own")?;
        let status = app.wait(DEADLINE)?;
        assert_eq!(status.code(), Some(3), "{}", app.log_tail());
        let log = app.log();
        assert!(says.iter().all(|text| log.contains(text)), "{log}");
        Ok(())
    };
    let missing = Table::without_changelog(&cluster, "missing", &ledger)?;
    refused(&missing, &["is missing", &missing.changelog, "NU_TABLE_CREATE_CHANGELOG"])?;
    let fewer = Table::without_changelog(&cluster, "fewer", &ledger)?;
    topics::create(&cluster.bootstrap, &[(&fewer.changelog, 3)])?;
    refused(&fewer, &["has 4 partitions", "has 3"])?;
    let deleting = Table::with(&cluster, "deleting", &ledger, &[("cleanup.policy", "delete")])?;
    refused(&deleting, &["cleanup.policy=delete"])?;
    let mut made = Table::without_changelog(&cluster, "made", &ledger)?;
    made.scenario.set("NU_TABLE_CREATE_CHANGELOG", "true");
    let app = made.start("app", "own")?;
    ready(&app)?;
    stop(&app)
}

#[test]
fn what_is_no_table_record_is_named_with_its_offset() -> Result<()> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, "foreign", 10, 0)?;
    let table = Table::new(&cluster, "foreign", &ledger)?;
    let mut other = nubium_test_kit::ledger::Ledger::create(
        &cluster.bootstrap,
        &cluster.registry,
        &[(&table.changelog, PARTITIONS)],
        nubium_test_kit::ledger::Plan::default(),
    )?;
    other.write_bytes(&Partition::new(&table.changelog, 2), b"no avro")?;
    let app = table.start("app", "own")?;
    let status = app.wait(DEADLINE)?;
    assert_eq!(status.code(), Some(6), "{}", app.log_tail());
    assert!(app.log().contains("offset 0") && app.log().contains("its value"), "{}", app.log());
    Ok(())
}

#[test]
fn keys_spelled_with_another_schema_id_are_taken_over_without_a_trace() -> Result<()> {
    let cluster = Cluster::shared();
    let mut ledger = write_ledger(&cluster, "spelled", 4, 0)?;
    let table = Table::new(&cluster, "spelled", &ledger)?;
    let mut writer = OriginalWriter::new(&cluster.bootstrap, &cluster.registry, &table.changelog)?;
    let registry = RegistryClient::new(&cluster.registry)?;
    // Any other schema's id will do: only the bytes matter.
    writer.frame_keys_with(registry.register(&table.changelog, r#"{"type":"bytes"}"#)?);
    writer.write(&[(0, "key-0", Some(r#"{"count": 5, "sum": 0}"#))], true)?;
    ledger.write(40)?;
    let app = table.start("app", "own")?;
    table.scenario.drained(&ledger, || app.is_running().then_some(()).context("it has ended"))?;
    stop(&app)?;
    let records = nubium_test_kit::reader::read_all(&cluster.bootstrap, &[&table.changelog])?;
    let first = records.iter().find(|r| r.partition.number == 0 && r.key.is_some());
    let first = first.context("no records")?;
    let same = |r: &&nubium_test_kit::reader::Raw| {
        (&r.key, &r.partition) == (&first.key, &first.partition)
    };
    let of_old = records.iter().rfind(same).context("none")?;
    assert_eq!(of_old.value, None, "compaction would keep the old spelling for ever");
    let rows = changelog_rows(&cluster.bootstrap, &table.changelog)?;
    assert_eq!(rows, table.stores("own")?);
    let inputs = ledger.rows().iter().filter(|(partition, _)| partition.number == 0);
    let count = 5 + inputs.map(|(_, inputs)| inputs.len()).sum::<usize>();
    let text = &rows[&(0, "key-0".into())];
    assert!(text.contains(&format!("\"count\":{count},")), "{text}, not {count}");
    Ok(())
}
