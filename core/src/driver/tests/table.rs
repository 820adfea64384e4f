//! Tables under faults, in memory: whatever goes wrong at whatever step, every input is counted
//! once, and the stores hold what the changelog says.

use super::{Driver, Fault, LONG, Step};
use crate::error::Exception;
use crate::pattern::{Pattern, Single};
use crate::record::Record;
use crate::transaction::Transaction;
use anyhow::ensure;
use nubium_kafka::headers::Header;
use nubium_kafka::message::MessageBody;
use nubium_registry::wire;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const KEYS: i64 = 3;
const CHANGELOG: &str = "driver__changelog";

#[derive(Debug, Serialize, Deserialize)]
struct Count {
    count: i64,
}

/// Counts messages by key and says the count.
fn count() -> impl Pattern {
    Single(async |tx: &Transaction<'_>| {
        let count = tx.read_table_entry::<Count>()?.map_or(0, |entry| entry.count) + 1;
        tx.update_table_entry(&Count { count })?;
        tx.produce(Record::to("out").value(&count).partition(tx.message().partition()))
    })
}

fn driver<P: Pattern>(pattern: P, inputs: i64) -> Driver<P> {
    let mut driver = Driver::new(pattern).unwrap();
    driver.input("in", 2, LONG).unwrap();
    driver.output("out", 2, LONG).unwrap();
    driver.table();
    driver.settings.bounds.count = 3;
    send(&mut driver, 0..inputs);
    driver
}

fn send<P: Pattern>(driver: &mut Driver<P>, inputs: std::ops::Range<i64>) {
    for n in inputs {
        let partition = (n % 2) as i32;
        driver.send("in", partition, &format!("{partition}-{}", n / 2 % KEYS), &n).unwrap();
    }
}

/// The last text of every key in the changelog.
fn latest<P: Pattern>(driver: &Driver<P>) -> BTreeMap<String, Option<String>> {
    let text = |bytes: &[u8]| {
        let (_, body) = wire::split(bytes).unwrap();
        wire::read_string(body).unwrap().to_owned()
    };
    let records = driver.delivered(CHANGELOG).into_iter();
    let row = |body: MessageBody| (text(&body.key.unwrap()), body.value.map(|value| text(&value)));
    records.map(|delivered| row(delivered.body)).collect()
}

/// Every key was counted from 1 to its number of inputs, and store and changelog agree.
fn check<P: Pattern>(driver: &Driver<P>, inputs: i64, case: &str) {
    assert_eq!(driver.values::<i64>("out").unwrap().len() as i64, inputs, "{case}");
    let latest = latest(driver);
    for (key, text) in &latest {
        assert_eq!(&driver.table_entry(key).unwrap(), text, "{case}: {key}");
    }
    let total = |text: &Option<String>| {
        serde_json::from_str::<Count>(text.as_deref().unwrap()).unwrap().count
    };
    assert_eq!(latest.values().map(total).sum::<i64>(), inputs, "{case}");
}

#[test]
fn every_fault_at_every_step_still_counts_every_input_once() {
    use Fault::{Crash, Fatal, Fence, Lose, Rebalance, Timeout};
    use Step::{Begin, Commit, Committed, Fetch, InitProducer, Send, SendOffsets, Serve};
    let steps =
        [InitProducer, Begin, SendOffsets, Send, Commit, Committed, Step::Abort, Serve, Fetch];
    let faults = [Fault::Abort, Timeout, Fence, Fatal, Rebalance, Lose, Crash];
    for (step, fault) in steps.iter().flat_map(|step| faults.map(|fault| (*step, fault))) {
        if step == InitProducer && fault == Fault::Abort {
            continue; // Not an answer that call has.
        }
        for (nth, wipe) in [(1, false), (2, true), (3, false), (4, true)] {
            let case = format!("{step:?} {fault:?} {nth}");
            let mut driver = driver(count(), 20);
            driver.fail(step, nth, fault);
            if step == Step::Abort {
                driver.fail(Send, 2, Fault::Abort);
            }
            finish(&mut driver, 20, wipe, &case);
            // A store that lost a write, or has one too many, shows in what comes next.
            send(&mut driver, 20..40);
            finish(&mut driver, 40, false, &case);
        }
    }
}

/// Runs the app until it has handled everything, as an orchestrator does, and checks.
fn finish<P: Pattern>(driver: &mut Driver<P>, inputs: i64, wipe: bool, case: &str) {
    for _ in 0..4 {
        let ended = driver.run();
        if ended.is_ok() && driver.values::<i64>("out").unwrap().len() as i64 == inputs {
            return check(driver, inputs, case);
        }
        if wipe {
            driver.wipe_table().unwrap();
        }
    }
    panic!("{case}: it does not get through");
}

#[test]
fn a_restored_table_goes_on_where_it_was() {
    let mut driver = driver(count(), 20);
    driver.run().unwrap();
    driver.wipe_table().unwrap();
    send(&mut driver, 20..40);
    driver.run().unwrap();
    check(&driver, 40, "wiped");
}

#[test]
fn a_message_that_fails_leaves_no_write_behind() {
    static FAILS: AtomicI64 = AtomicI64::new(0);
    let pattern = Single(async |tx: &Transaction<'_>| {
        let n: i64 = tx.value()?;
        let count = tx.read_table_entry::<Count>()?.map_or(0, |entry| entry.count) + 1;
        tx.update_table_entry(&Count { count: count * 1_000 })?;
        ensure!(n % 5 != 4 || FAILS.fetch_add(1, Ordering::Relaxed) % 2 == 1, "as planned");
        tx.update_table_entry(&Count { count })?;
        tx.produce(Record::to("out").value(&count).partition(tx.message().partition()))
    });
    let mut driver = driver(pattern, 20);
    driver.settings.error_retries = 1;
    driver.run().unwrap();
    check(&driver, 20, "retried");
}

#[test]
fn several_writes_to_a_key_in_one_transaction_are_one_record() {
    let mut driver = driver(count(), 20);
    driver.settings.bounds.count = 100;
    driver.run().unwrap();
    check(&driver, 20, "compacted");
    let (transactions, _) = driver.transactions();
    let most = transactions as i64 * 2 * KEYS;
    assert!((driver.delivered(CHANGELOG).len() as i64) <= most.min(19), "{transactions}");
}

#[test]
fn deletes_are_tombstones_and_a_deleted_entry_is_gone() {
    let pattern = Single(async |tx: &Transaction<'_>| {
        let n: i64 = tx.value()?;
        if n < 0 {
            tx.delete_table_entry()?;
            ensure!(tx.read_table_entry::<String>()?.is_none(), "it is still there");
        } else {
            tx.update_table_entry(&format!("value {n}"))?;
            ensure!(tx.read_table_entry::<String>()?.is_some_and(|v| v == format!("value {n}")));
        }
        Ok(())
    });
    let mut driver = driver(pattern, 0);
    for n in [1, 2, -1] {
        driver.send("in", 0, "gone", &n).unwrap();
    }
    driver.send("in", 0, "kept", &7_i64).unwrap();
    driver.run().unwrap();
    assert_eq!(driver.table_entry("gone").unwrap(), None);
    assert_eq!(driver.table_entry("kept").unwrap().as_deref(), Some("\"value 7\""));
    assert_eq!(latest(&driver)["gone"], None);
    driver.wipe_table().unwrap();
    driver.run().unwrap();
    assert_eq!(driver.table_entry("gone").unwrap(), None);
}

#[test]
fn entries_expire_from_the_table_and_from_the_changelog() {
    let pattern = Single(async |tx: &Transaction<'_>| {
        let n: i64 = tx.value()?;
        ensure!(tx.read_table_entry::<i64>()?.is_none(), "an expired entry is seen");
        tx.update_table_entry(&n)
    });
    let mut driver = driver(pattern, 0);
    driver.expire_after(Duration::ZERO);
    for n in 0..3 {
        driver.send("in", 0, "key", &n).unwrap();
    }
    driver.run().unwrap();
    let values = driver.delivered(CHANGELOG).into_iter().map(|delivered| delivered.body.value);
    assert!(values.flatten().count() > 0, "nothing was ever written");
    assert_eq!(latest(&driver)["key"], None);
    assert_eq!(driver.table_entry("key").unwrap(), None);
    assert_eq!(driver.committed("in", 0).unwrap(), driver.delivered("in").len() as i64);
}

#[test]
fn misuse_is_named() {
    let mut without = Driver::new(count()).unwrap();
    without.input("in", 1, LONG).unwrap();
    without.send("in", 0, "key", &1_i64).unwrap();
    let error = without.run().unwrap_err().to_string();
    assert!(error.contains(".table()"), "{error}");
    let mut driver = driver(count(), 0);
    let headers = vec![Header::new("guid", "1")];
    driver.send_raw("in", 0, MessageBody { headers, ..MessageBody::default() });
    let error = driver.run().unwrap_err().to_string();
    assert!(error.contains("no key"), "{error}");
    let wrong = Single(async |tx: &Transaction<'_>| {
        tx.update_table_entry("some text")?;
        tx.read_table_entry::<Count>()
            .map(drop)
            .map_err(|error| Exception::new("Wrong", format!("{error:#}")).into())
    });
    let mut driver = self::driver(wrong, 1);
    let error = driver.run().unwrap_err().to_string();
    assert!(error.contains("\"0-0\"") && error.contains("cannot be read"), "{error}");
}

#[test]
fn messages_that_wait_for_their_store_are_dropped_by_a_rewind() {
    for (late, nth, step) in (1..=12).flat_map(|late| {
        (1..=3).flat_map(move |n| [Step::Commit, Step::SendOffsets].map(|s| (late, n, s)))
    }) {
        let mut driver = driver(count(), 60);
        driver.fail(Step::Begin, 1, Fault::LateStores(late));
        driver.fail(step, nth, Fault::Abort);
        driver.run().unwrap();
        check(&driver, 60, &format!("{late} turns late, {step:?} {nth} aborted"));
    }
}

#[test]
fn keys_of_any_bytes_have_rows_and_changelog_records_have_headers() {
    let mut driver = driver(count(), 4);
    let sent = driver.broker.borrow().log("in").next().unwrap().1.clone();
    for key in [&b"plain text"[..], b"plain text", &[0xff, 1]] {
        driver.send_raw("in", 0, MessageBody { key: Some(key.to_vec()), ..sent.clone() });
    }
    driver.run().unwrap();
    let row = |key: &str| driver.table_entry(key).unwrap().unwrap_or_default();
    assert!(row("plain text").contains('2') && row("0xff01").contains('1'));
    let records = driver.delivered("driver__changelog");
    assert!(!records.is_empty());
    for record in records {
        assert_eq!(record.header("last_updated_by"), Some("driver"));
        assert!(record.header("guid").is_some_and(|guid| !guid.is_empty()), "{record:?}");
    }
}
