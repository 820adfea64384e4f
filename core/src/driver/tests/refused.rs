//! Records that the broker refuses for what they are.

use super::batch::copy_all;
use super::{copy, driver};
use crate::driver::{Driver, Fault, Step};
use crate::engine::ErrorPolicy;
use crate::pattern::{Batch, BatchTransaction, Pattern, Single};
use crate::record::Record;
use crate::transaction::Transaction;
use nubium_kafka::message::MessageBody;
use std::time::Duration;

/// The number that a record to `out` or a message has: a long below 64 is one byte.
fn number(body: &MessageBody) -> i64 {
    body.value.as_deref().and_then(|value| value.get(5)).map_or(-1, |byte| i64::from(*byte) / 2)
}

fn sevenths(topic: &str, body: &MessageBody) -> bool {
    topic == "out" && number(body) % 7 == 0
}

fn refusing<P: Pattern>(pattern: P, inputs: i64) -> Driver<P> {
    let mut driver = driver(pattern, inputs);
    driver.retry.failure_topics = vec!["failed".into()];
    driver.refuse(sevenths);
    driver
}

/// The refused ones are in the failure topic, the others came out, each once and in order.
fn check<P: Pattern>(driver: &Driver<P>, inputs: i64, what: &str) {
    let of = |partition: i64| (0..inputs).filter(move |n| n % 2 == partition);
    let good: Vec<_> = of(0).chain(of(1)).filter(|n| n % 7 != 0).collect();
    assert_eq!(driver.values::<i64>("out").unwrap(), good, "{what}");
    let mut failed = driver.values::<i64>("failed").unwrap();
    failed.sort_unstable();
    assert_eq!(failed, (0..inputs).filter(|n| n % 7 == 0).collect::<Vec<_>>(), "{what}");
    let committed = (driver.committed("in", 0), driver.committed("in", 1));
    assert_eq!(committed, (Some((inputs + 1) / 2), Some(inputs / 2)), "{what}");
}

#[test]
fn a_refused_record_costs_its_message_alone() {
    for policy in [ErrorPolicy::Stop, ErrorPolicy::DeadLetter] {
        let mut driver = refusing(copy(), 20);
        driver.settings.error_policy = policy;
        driver.run().unwrap();
        check(&driver, 20, "single");
        let failed = &driver.delivered("failed")[0];
        let exception = failed.header("exception").unwrap();
        assert!(exception.contains("RecordRefused") && exception.contains("out"), "{exception}");
    }
}

#[test]
fn a_refused_record_of_a_batch_costs_its_message_alone() {
    let pattern = Batch::new(async |batch: &BatchTransaction<'_>| copy_all(batch));
    let mut driver = refusing(pattern.max_count(8).max_time(Duration::ZERO), 20);
    driver.run().unwrap();
    check(&driver, 20, "batch");
}

#[test]
fn many_refused_in_a_row_are_no_reason_to_give_up() {
    let mut driver = driver(copy(), 60);
    driver.settings.bounds.count = 100;
    driver.retry.failure_topics = vec!["failed".into()];
    driver.refuse(|topic, _| topic == "out");
    driver.run().unwrap();
    assert_eq!(driver.values::<i64>("failed").unwrap().len(), 60);
    assert!(driver.delivered("out").is_empty());
    assert_eq!(driver.committed("in", 0), Some(30));
}

#[test]
fn without_a_failure_topic_the_app_stops_at_that_message_and_skips_nothing() {
    let mut driver = driver(copy(), 20);
    driver.refuse(|topic, body| topic == "out" && number(body) == 6);
    let error = format!("{:#}", driver.run().unwrap_err());
    assert!(error.contains("in[0], offset 3") && error.contains("refuses"), "{error}");
    assert_eq!(driver.committed("in", 0), Some(3));
}

#[test]
fn a_failure_topic_that_refuses_too_stops_the_app_and_skips_nothing() {
    let mut driver = refusing(copy(), 20);
    driver.refuse(|topic, body| topic != "in" && number(body) == 6);
    let error = format!("{:#}", driver.run().unwrap_err());
    for part in ["in[0], offset 3", "failure topic does not take it either", "max.message.bytes"] {
        assert!(error.contains(part), "no {part} in: {error}");
    }
    assert!(driver.committed("in", 0).unwrap() <= 3);
    assert_eq!(driver.values::<i64>("out").unwrap().iter().filter(|n| **n == 8).count(), 0);
}

#[test]
fn a_refused_row_of_a_table_leaves_the_row_as_it_was() {
    let pattern = Single(async |tx: &Transaction<'_>| {
        let n: i64 = tx.value()?;
        let seen = tx.read_table_entry::<Vec<i64>>()?.unwrap_or_default();
        let row: Vec<_> = seen.into_iter().chain([n]).collect();
        tx.update_table_entry(&row)?;
        tx.produce(Record::to("out").value(&n).partition(tx.message().partition()))
    });
    let mut driver = driver(pattern, 12);
    driver.table();
    driver.retry.failure_topics = vec!["failed".into()];
    driver.refuse(|topic, body| {
        let row = body.value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        topic.ends_with("__changelog") && (row.contains('4') || row.contains('7'))
    });
    driver.run().unwrap();
    let row = driver.table_entry("key").unwrap();
    let row = row.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(!row.contains('4') && row.contains('6'), "{row}");
    let mut failed = driver.values::<i64>("failed").unwrap();
    failed.sort_unstable();
    assert_eq!(failed, [4, 7]);
    assert_eq!(driver.values::<i64>("out").unwrap().len(), 10);
}

#[test]
fn any_fault_beside_a_refusal_still_counts_every_input_once() {
    use Fault::{Abort, Crash, Fatal, Fence, Lose, Rebalance, Timeout};
    let steps = [Step::Begin, Step::SendOffsets, Step::Send, Step::Commit, Step::Committed];
    for step in steps.into_iter().chain([Step::Abort, Step::Serve, Step::Seek]) {
        for fault in [Abort, Timeout, Fence, Fatal, Rebalance, Lose, Crash, Fault::RevokeOne(1)] {
            for nth in 1..=5 {
                let mut driver = refusing(copy(), 20);
                driver.fail(step, nth, fault);
                for _ in 0..3 {
                    let _ = driver.run();
                }
                check(&driver, 20, &format!("{step:?} {fault:?} {nth}"));
            }
        }
    }
}
