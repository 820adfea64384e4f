//! The loop under faults, in memory: whatever goes wrong at whatever step, every input counts once
//! and in order.

mod abreast;
mod batch;
mod batch_errors;
mod messages;
mod model;
mod patterns;
mod refused;
mod table;

use super::{Driver, Fault, Step};
use crate::pattern::{Pattern, Single, Take};
use crate::record::Record;
use crate::transaction::Transaction;
use nubium_kafka::message::{Message, MessageBody};
use nubium_topic::Topic;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const LONG: &str = r#""long""#;

fn copy() -> impl Pattern {
    Single(async |tx: &Transaction<'_>| {
        let n: i64 = tx.value()?;
        tx.produce(Record::to("out").value(&n).partition(tx.message().partition()))
    })
}

fn driver<P: Pattern>(pattern: P, inputs: i64) -> Driver<P> {
    let mut driver = Driver::new(pattern).unwrap();
    driver.input("in", 2, LONG).unwrap();
    driver.output("out", 2, LONG).unwrap();
    driver.settings.bounds.count = 3;
    for n in 0..inputs {
        driver.send("in", (n % 2) as i32, "key", &n).unwrap();
    }
    driver
}

/// Every input once, in order within its partition, and the offsets at the end.
fn check<P: Pattern>(driver: &Driver<P>, inputs: i64) {
    let expected: Vec<i64> =
        (0..inputs).filter(|n| n % 2 == 0).chain((0..inputs).filter(|n| n % 2 == 1)).collect();
    assert_eq!(driver.values::<i64>("out").unwrap(), expected);
    assert_eq!(driver.committed("in", 0), Some((inputs + 1) / 2));
    assert_eq!(driver.committed("in", 1), Some(inputs / 2));
}

#[test]
fn every_fault_at_every_step_still_counts_every_input_once() {
    use Fault::{Crash, Fatal, Fence, LateStores, Lose, LoseOne, Rebalance, Timeout};
    use Fault::{RefusePauses, RefuseSeeks, RevokeOne};
    use Step::{Begin, Commit, Committed, Fetch, InitProducer, Seek, Send, SendOffsets, Serve};
    let begins = [InitProducer, Begin, SendOffsets, Send, Commit, Committed];
    let steps = begins.into_iter().chain([Step::Abort, Serve, Fetch, Seek]);
    let whole =
        [Fault::Abort, Timeout, Fault::BrokenConnection, Fence, Fatal, Rebalance, Lose, Crash];
    let faults = whole.into_iter().chain([RevokeOne(0), RevokeOne(1), LoseOne(0), LoseOne(1)]);
    let faults = faults.chain([RefuseSeeks(2), RefusePauses(2), LateStores(3)]);
    for step in steps {
        for fault in faults.clone() {
            if step == InitProducer && fault == Fault::Abort {
                continue; // Not an answer that call has.
            }
            for nth in 1..=4 {
                let mut driver = driver(copy(), 20);
                driver.fail(step, nth, fault);
                if matches!(step, Step::Abort | Seek) {
                    driver.fail(Send, 2, Fault::Abort);
                }
                let first = driver.run();
                if first.is_err() || fault == Crash {
                    // The app ended, as it must when a producer cannot be had; it is started again.
                    driver.run().unwrap_or_else(|e| panic!("{step:?} {fault:?} {nth}: {e:#}"));
                }
                let found = driver.values::<i64>("out").unwrap().len();
                assert_eq!(found, 20, "{step:?} {fault:?} {nth}");
                check(&driver, 20);
            }
        }
    }
}

#[test]
fn pairs_of_faults_still_count_every_input_once() {
    use Fault::*;
    let steps = [Step::SendOffsets, Step::Send, Step::Commit, Step::Committed, Step::Serve];
    let faults = [Abort, Timeout, BrokenConnection, Fatal, Rebalance, Lose, Crash];
    let faults = faults.into_iter().chain([RevokeOne(1), LoseOne(0)]).collect::<Vec<_>>();
    for (a, fault_a) in steps.iter().flat_map(|s| faults.iter().map(move |f| (*s, *f))) {
        for (b, fault_b) in steps.iter().flat_map(|s| faults.iter().map(move |f| (*s, *f))) {
            let mut driver = driver(copy(), 12);
            driver.fail(a, 1, fault_a);
            driver.fail(b, 3, fault_b);
            for _ in 0..4 {
                let _ = driver.run();
            }
            check(&driver, 12);
        }
    }
}

#[test]
fn a_second_fencing_ends_the_app_with_a_clear_error() {
    let mut driver = driver(copy(), 20);
    driver.fail(Step::Send, 2, Fault::Fence);
    driver.fail(Step::Send, 6, Fault::Fence);
    let error = driver.run().unwrap_err().to_string();
    assert!(error.contains("fenced") && error.contains("driver"), "{error}");
}

#[test]
fn commit_in_the_function_commits_and_closes_the_message() {
    for fault in [None, Some(Fault::Abort), Some(Fault::Timeout), Some(Fault::Lose)] {
        let mut driver = driver(
            Single(async |tx: &Transaction<'_>| {
                let n: i64 = tx.value()?;
                tx.produce(Record::to("out").value(&n).partition(tx.message().partition()))?;
                tx.commit().await?;
                let late = tx.produce(Record::to("out").value(&n)).unwrap_err();
                anyhow::ensure!(late.to_string().contains("committed already"), "{late}");
                anyhow::ensure!(tx.commit().await.is_err(), "committing twice must be refused");
                Ok(())
            }),
            6,
        );
        if let Some(fault) = fault {
            driver.fail(Step::Commit, 2, fault);
        }
        driver.run().unwrap();
        check(&driver, 6);
        assert!(driver.transactions().0 >= 6);
    }
}

#[test]
fn a_function_that_waits_is_dropped_when_its_partitions_are_taken() {
    for fault in [Fault::Rebalance, Fault::Lose] {
        let mut driver = driver(
            Single(async |tx: &Transaction<'_>| {
                let n: i64 = tx.value()?;
                tx.produce(Record::to("out").value(&n).partition(tx.message().partition()))?;
                tokio::time::sleep(Duration::from_millis(2)).await;
                Ok(())
            }),
            8,
        );
        driver.fail(Step::Serve, 6, fault);
        driver.fail(Step::Serve, 15, fault);
        driver.run().unwrap();
        check(&driver, 8);
    }
}

/// Up to four messages a unit.
struct Fours;

impl Pattern for Fours {
    fn take(&self, waiting: &VecDeque<Message>, _: Instant) -> Take {
        Take::Now(waiting.len().min(4))
    }

    async fn run(&self, tx: &Transaction<'_>) -> anyhow::Result<()> {
        for (index, message) in tx.messages().enumerate() {
            let n: i64 = message.value()?;
            let record = Record::to("out").value(&n).partition(message.partition());
            tx.produce_from(index, record)?;
        }
        Ok(())
    }
}

#[test]
fn a_pattern_of_ones_own_makes_units_of_several_messages() {
    for (step, fault) in [
        (Step::Send, Fault::Abort),
        (Step::Commit, Fault::Crash),
        (Step::Committed, Fault::Fatal),
        (Step::Serve, Fault::Rebalance),
    ] {
        let mut driver = driver(Fours, 21);
        driver.fail(step, 2, fault);
        for _ in 0..2 {
            driver.run().unwrap();
        }
        check(&driver, 21);
    }
}

#[test]
fn latest_without_a_commit_loses_nothing_after_the_first_assignment() {
    let mut driver = driver(copy(), 4);
    driver.start_at_latest();
    driver.run().unwrap();
    assert!(driver.values::<i64>("out").unwrap().is_empty());
    assert_eq!(driver.committed("in", 0), Some(2), "the start is committed though nothing came");
    for n in [10_i64, 11] {
        driver.send("in", (n % 2) as i32, "key", &n).unwrap();
    }
    driver.fail(Step::Send, 1, Fault::Crash);
    driver.run().unwrap();
    driver.run().unwrap();
    assert_eq!(driver.values::<i64>("out").unwrap(), [10, 11]);
}

#[test]
fn the_first_position_is_committed_although_its_transaction_fails() {
    for (step, fault) in [(Step::SendOffsets, Fault::Abort), (Step::Commit, Fault::Fatal)] {
        let mut driver = driver(copy(), 4);
        driver.start_at_latest();
        driver.fail(step, 1, fault);
        driver.run().unwrap();
        assert_eq!((driver.committed("in", 0), driver.committed("in", 1)), (Some(2), Some(2)));
    }
}

#[test]
fn an_idle_app_makes_no_transaction() {
    let mut driver = driver(copy(), 4);
    driver.run().unwrap();
    let before = driver.transactions();
    driver.run().unwrap();
    assert_eq!(driver.transactions(), before);
}

#[test]
fn a_message_waits_until_it_is_old_enough_and_nothing_else_waits_for_it() {
    let mut driver = driver(copy(), 2);
    driver.settings.message_age = Duration::from_millis(30);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let young = driver.broker.borrow().log("in").next().map(|(_, body)| body.clone()).unwrap();
    let timestamp = Some(i64::try_from(now.as_millis()).unwrap());
    for _ in 0..2 {
        driver.send_raw("in", 1, MessageBody { timestamp, ..young.clone() });
    }
    driver.run().unwrap();
    let then = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(then.as_millis() - now.as_millis() >= 30, "handled after {:?}", then - now);
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 1, 0, 0]);
    assert_eq!(driver.committed("in", 1), Some(3));
}

#[test]
fn a_retry_topic_has_an_age_of_its_own() {
    let mut driver = driver(copy(), 2);
    driver.input("later", 1, LONG).unwrap();
    driver.settings.topic_ages = vec![(Topic::named("later"), Duration::from_millis(30))];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let young = driver.broker.borrow().log("in").next().map(|(_, body)| body.clone()).unwrap();
    let timestamp = Some(i64::try_from(now.as_millis()).unwrap());
    driver.send_raw("in", 0, MessageBody { timestamp, ..young.clone() });
    driver.send_raw("later", 0, MessageBody { timestamp, ..young });
    driver.run().unwrap();
    let then = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(then.as_millis() - now.as_millis() >= 30, "handled after {:?}", then - now);
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 0, 0, 1]);
}

#[test]
fn a_partition_that_waits_for_a_young_message_comes_back_awake() {
    for fault in [Fault::Rebalance, Fault::Lose] {
        let mut driver = driver(copy(), 2);
        driver.settings.message_age = Duration::from_millis(30);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let young = driver.broker.borrow().log("in").next().map(|(_, body)| body.clone()).unwrap();
        let timestamp = Some(i64::try_from(now.as_millis()).unwrap());
        driver.send_raw("in", 1, MessageBody { timestamp, ..young });
        driver.fail(Step::Serve, 5, fault);
        driver.run().unwrap();
        assert_eq!(driver.values::<i64>("out").unwrap(), [0, 1, 0], "{fault:?}");
    }
}

/// One partition goes while a unit of two waits, and the transaction before it is aborted.
#[test]
fn a_partition_that_is_taken_while_its_unit_waits_loses_nothing_of_the_others() {
    for (nth, serve) in (1..=6).flat_map(|nth| (2..=40).map(move |serve| (nth, serve))) {
        let mut driver = driver(WaitingSixes, 40);
        driver.settings.bounds.count = 100;
        driver.fail(Step::Commit, nth, Fault::Abort);
        driver.fail(Step::Serve, serve, Fault::RevokeOne(1));
        driver.run().unwrap();
        let found = driver.values::<i64>("out").unwrap().len();
        assert_eq!(found, 40, "commit {nth}, serve {serve}");
        check(&driver, 40);
    }
}

/// Up to six messages a unit, whose function waits.
struct WaitingSixes;

impl Pattern for WaitingSixes {
    fn take(&self, waiting: &VecDeque<Message>, _: Instant) -> Take {
        Take::Now(waiting.len().min(6))
    }

    async fn run(&self, tx: &Transaction<'_>) -> anyhow::Result<()> {
        Fours.run(tx).await?;
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        Ok(())
    }
}

#[test]
fn a_move_that_is_refused_is_made_later_and_nothing_is_handled_twice() {
    for refused in [1, 3, 7] {
        for serve in 3..=12 {
            let mut driver = driver(copy(), 20);
            driver.fail(Step::Commit, 2, Fault::Abort);
            driver.fail(Step::Seek, 1, Fault::RefuseSeeks(refused));
            driver.fail(Step::Serve, serve, Fault::RevokeOne(0));
            driver.run().unwrap();
            check(&driver, 20);
        }
    }
}

#[test]
fn a_young_message_whose_partition_cannot_be_held_is_not_passed_over() {
    for fault in [Fault::RefuseSeeks(2), Fault::RefusePauses(1), Fault::RefusePauses(3)] {
        let mut driver = driver(copy(), 2);
        driver.settings.message_age = Duration::from_millis(30);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let young = driver.broker.borrow().log("in").next().map(|(_, body)| body.clone()).unwrap();
        let timestamp = Some(i64::try_from(now.as_millis()).unwrap());
        for _ in 0..2 {
            driver.send_raw("in", 1, MessageBody { timestamp, ..young.clone() });
        }
        driver.fail(Step::Fetch, 1, fault);
        driver.run().unwrap();
        assert_eq!(driver.values::<i64>("out").unwrap(), [0, 1, 0, 0], "{fault:?}");
    }
}

/// What retention deletes before it is read is lost, and nothing else is lost or doubled by it.
#[test]
fn an_offset_that_retention_has_deleted_moves_its_partition_alone() {
    for (step, nth) in [(Step::Fetch, 1), (Step::Commit, 1), (Step::Serve, 3), (Step::Seek, 1)] {
        for count in [1, 3, 20] {
            let mut driver = driver(copy(), 20);
            driver.fail(Step::Send, 4, Fault::Abort);
            driver.fail(step, nth, Fault::Retention(count));
            driver.run().unwrap();
            let values = driver.values::<i64>("out").unwrap();
            let of = |partition| values.iter().copied().filter(move |n| n % 2 == partition);
            for partition in [0, 1] {
                let found: Vec<_> = of(partition).collect();
                assert!(found.is_sorted_by(|a, b| a < b), "{step:?} {count}: {found:?}");
                let left = (0..20).filter(|n| n % 2 == partition).skip(count as usize);
                left.for_each(|n| assert!(found.contains(&n), "{step:?} {count}: no {n}"));
                let committed = driver.committed("in", partition as i32);
                assert_eq!(committed, Some(10), "{step:?} {nth}, {count}");
            }
        }
    }
}

/// Blocks in every function, which the loop cannot help; between them the group is served.
#[test]
fn the_group_is_served_between_functions_that_block() {
    let units = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&units);
    let mut driver = driver(
        Single(async move |_: &Transaction<'_>| {
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(40));
            Ok(())
        }),
        30,
    );
    driver.settings.bounds.count = 1_000;
    driver.broker.borrow_mut().units = Some(units);
    driver.run().unwrap();
    let served = driver.broker.borrow().served.clone();
    let between = served.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(30);
    // 100 ms and the unit at hand; on a slower machine fewer.
    assert!(between <= 4, "{between} units without a look at the group: {served:?}");
}

#[test]
fn a_back_off_with_first_positions_in_the_outbox_does_not_spin() {
    let mut driver = driver(copy(), 0);
    driver.start_at_latest();
    driver.settings.backoff = (Duration::from_millis(100), Duration::from_millis(100));
    driver.fail(Step::SendOffsets, 1, Fault::Abort);
    driver.run().unwrap();
    assert_eq!(driver.committed("in", 0), Some(0));
    let turns = driver.broker.borrow().steps[&Step::Serve];
    assert!(turns < 60, "{turns} turns for a wait of 100 ms");
}
