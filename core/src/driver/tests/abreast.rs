//! Several messages in the function at once.

use super::{LONG, check, driver};
use crate::driver::{Concurrency, Driver, Fault, Ordering, Step};
use crate::engine::ErrorPolicy;
use crate::pattern::{Batch, BatchTransaction, Pattern, Single};
use crate::record::Record;
use crate::transaction::Transaction;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the functions were seen to do.
#[derive(Debug, Default)]
struct Seen {
    now: usize,
    most: usize,
    begun: Vec<i64>,
    ended: Vec<i64>,
}

type Watch = Arc<Mutex<Seen>>;

/// Counts a call from its begin to its end, or to its being dropped.
struct Call<'w>(&'w Watch);

impl<'w> Call<'w> {
    fn of(watch: &'w Watch, n: i64) -> Self {
        let mut seen = watch.lock().unwrap();
        seen.begun.push(n);
        seen.now += 1;
        seen.most = seen.most.max(seen.now);
        drop(seen);
        Self(watch)
    }

    fn ends(self, n: i64) {
        self.0.lock().unwrap().ended.push(n);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().now -= 1;
    }
}

fn out(tx: &Transaction<'_>, n: i64) -> anyhow::Result<()> {
    tx.produce(Record::to("out").value(&n).partition(tx.message().partition()))
}

async fn turns(count: i64) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// Copies; takes as many turns as `of` says of the message.
fn slow(watch: &Watch, of: fn(i64) -> i64) -> impl Pattern + use<> {
    let watch = Arc::clone(watch);
    Single(async move |tx: &Transaction<'_>| {
        let n: i64 = tx.value()?;
        let call = Call::of(&watch, n);
        out(tx, n)?;
        turns(of(n)).await;
        call.ends(n);
        Ok(())
    })
}

/// A key for each input, so that nothing waits for anything.
fn keyed<P: Pattern>(pattern: P, inputs: i64, key: fn(i64) -> i64) -> Driver<P> {
    let mut driver = driver(pattern, 0);
    for n in 0..inputs {
        driver.send("in", (n % 2) as i32, &key(n).to_string(), &n).unwrap();
    }
    driver
}

#[test]
fn every_fault_at_every_step_still_counts_every_input_once() {
    use Fault::{Crash, Fatal, Fence, Lose, LoseOne, Rebalance, RevokeOne, Timeout};
    use Step::{Begin, Commit, Committed, Fetch, InitProducer, Seek, Send, SendOffsets, Serve};
    let faults = [Fault::Abort, Timeout, Fence, Fatal, Rebalance, Lose, Crash, RevokeOne(0)];
    for step in [InitProducer, Begin, SendOffsets, Send, Commit, Committed, Serve, Fetch, Seek] {
        for fault in faults.into_iter().chain([RevokeOne(1), LoseOne(0)]) {
            if step == InitProducer && fault == Fault::Abort {
                continue;
            }
            for nth in 1..=4 {
                let mut driver = keyed(slow(&Watch::default(), |n| 7 * n % 5), 20, |n| n / 3);
                driver.interleave(8, nth);
                driver.fail(step, nth, fault);
                if step == Seek {
                    driver.fail(Send, 2, Fault::Abort);
                }
                if driver.run().is_err() || fault == Crash {
                    driver.run().unwrap_or_else(|e| panic!("{step:?} {fault:?} {nth}: {e:#}"));
                }
                check(&driver, 20);
            }
        }
    }
}

#[test]
fn as_many_run_at_once_as_may_and_no_more() {
    for (most, ordering, keys, expected) in [
        (8, Ordering::Key, 1_000, 8),
        (1_000, Ordering::Key, 1_000, 60),
        (8, Ordering::Key, 2, 2),
        (8, Ordering::Partition, 1_000, 2),
        (8, Ordering::None, 1, 8),
    ] {
        let watch = Watch::default();
        let mut driver = keyed(slow(&watch, |_| 3), 0, |n| n);
        for n in 0..60 {
            driver.send("in", n % 2, &(n % keys).to_string(), &n).unwrap();
        }
        driver.settings.concurrency = Concurrency { ordering, ..Concurrency::of(most) };
        driver.run().unwrap();
        check(&driver, 60);
        assert_eq!(watch.lock().unwrap().most, expected, "{most}, {ordering:?}, {keys} keys");
    }
}

#[test]
fn messages_without_a_key_wait_for_nothing() {
    let watch = Watch::default();
    let mut driver = keyed(slow(&watch, |_| 3), 1, |n| n);
    let body = driver.broker.borrow().log("in").next().map(|(_, body)| body.clone()).unwrap();
    for _ in 0..3 {
        driver.send_raw("in", 0, nubium_kafka::message::MessageBody { key: None, ..body.clone() });
    }
    driver.settings.concurrency = Concurrency::of(8);
    driver.run().unwrap();
    assert_eq!(watch.lock().unwrap().most, 4);
}

/// A key whose call takes long holds up what comes of it, and what is committed; nothing else.
#[test]
fn a_slow_key_starves_nobody() {
    let watch = Watch::default();
    let mut driver = keyed(slow(&watch, |n| if n % 10 == 0 { 400 } else { 1 }), 40, |n| n % 10);
    driver.settings.concurrency = Concurrency::of(3);
    driver.run().unwrap();
    check(&driver, 40);
    let ended = watch.lock().unwrap().ended.clone();
    assert_eq!(ended.iter().position(|n| *n == 0), Some(36), "{ended:?}");
    assert!(ended[36..].is_sorted(), "and its own come in order: {ended:?}");
}

/// Nine of ten messages are of one key: they go one by one, and the others beside them.
#[test]
fn a_hot_key_goes_in_order_and_the_others_beside_it() {
    let watch = Watch::default();
    let mut driver = keyed(slow(&watch, |_| 5), 100, |n| if n % 10 == 9 { n } else { 0 });
    driver.interleave(16, 7);
    driver.run().unwrap();
    check(&driver, 100);
    let begun = watch.lock().unwrap().begun.clone();
    for partition in 0..2 {
        let hot = begun.iter().filter(|n| *n % 10 != 9 && *n % 2 == partition);
        assert!(hot.is_sorted(), "{begun:?}");
    }
}

/// The place of a message that waits for another try is another's.
#[test]
fn messages_that_are_tried_again_keep_no_place() {
    let watch = Watch::default();
    let seen = Arc::clone(&watch);
    let tries = Mutex::new(BTreeMap::<i64, u32>::new());
    let mut driver = keyed(
        Single(async move |tx: &Transaction<'_>| {
            let n: i64 = tx.value()?;
            out(tx, n)?;
            turns(1).await;
            let mut tries = tries.lock().unwrap();
            let tried = tries.entry(n).or_default();
            *tried += 1;
            anyhow::ensure!(n >= 4 || *tried > 3, "not yet");
            seen.lock().unwrap().ended.push(n);
            Ok(())
        }),
        30,
        |n| n % 15,
    );
    driver.settings.concurrency = Concurrency::of(2);
    driver.settings.error_retries = 3;
    driver.settings.backoff = (Duration::from_millis(5), Duration::from_millis(5));
    driver.run().unwrap();
    check(&driver, 30);
    let ended = watch.lock().unwrap().ended.clone();
    assert!(ended[..26].iter().all(|n| *n >= 4), "the others do not wait for them: {ended:?}");
}

#[test]
fn what_fails_goes_to_the_failure_topic_alone_and_in_its_place() {
    let mut driver = keyed(
        Single(async |tx: &Transaction<'_>| {
            let n: i64 = tx.value()?;
            out(tx, n)?;
            turns(9 - n % 10).await;
            anyhow::ensure!(n % 5 != 3, "bad");
            Ok(())
        }),
        20,
        |n| n,
    );
    driver.settings.error_policy = ErrorPolicy::DeadLetter;
    driver.retry.failure_topics = vec!["failed".into()];
    driver.interleave(8, 3);
    driver.run().unwrap();
    let mut failed = driver.values::<i64>("failed").unwrap();
    failed.sort_unstable();
    assert_eq!(failed, [3, 8, 13, 18]);
    let even = [0, 2, 4, 6, 10, 12, 14, 16].into_iter();
    let expected: Vec<i64> = even.chain([1, 5, 7, 9, 11, 15, 17, 19]).collect();
    assert_eq!(driver.values::<i64>("out").unwrap(), expected);
    assert_eq!((driver.committed("in", 0), driver.committed("in", 1)), (Some(10), Some(10)));
}

/// With the policy to stop, what is committed is all before the message, and nothing behind it.
#[test]
fn an_error_ends_the_app_once_all_before_it_are_done() {
    let mut driver = keyed(
        Single(async |tx: &Transaction<'_>| {
            let n: i64 = tx.value()?;
            out(tx, n)?;
            // It fails at once; those before it take longer.
            turns(if n < 10 { 20 } else { 0 }).await;
            anyhow::ensure!(n != 10, "bad");
            Ok(())
        }),
        20,
        |n| n,
    );
    driver.settings.concurrency = Concurrency::of(64);
    let error = driver.run().unwrap_err().to_string();
    assert!(error.contains("in[0], offset 5") && error.contains("bad"), "{error}");
    let values = driver.values::<i64>("out").unwrap();
    let even = values.iter().filter(|n| *n % 2 == 0).copied().collect::<Vec<_>>();
    assert_eq!(even, [0, 2, 4, 6, 8]);
    assert_eq!(driver.committed("in", 0), Some(5));
}

#[test]
fn what_commits_all_before_it_is_refused() {
    let mut driver = keyed(
        Single(async |tx: &Transaction<'_>| {
            out(tx, tx.value()?)?;
            let error = tx.commit().await.unwrap_err().to_string();
            anyhow::ensure!(error.contains("NU_APP_CONCURRENCY"), "{error}");
            anyhow::ensure!(tx.note(Vec::new()).await.is_err(), "notes neither");
            anyhow::ensure!(tx.consume(Duration::from_secs(9), 5).await? == 1, "it stays alone");
            Ok(())
        }),
        6,
        |n| n,
    );
    driver.settings.concurrency = Concurrency::of(4);
    driver.run().unwrap();
    check(&driver, 6);
}

/// The window bounds what is begun and not committed; a partition does not take the others' room.
#[test]
fn the_window_bounds_what_is_in_hand_and_is_shared() {
    let watch = Watch::default();
    // The first message of partition 0 takes very long, and that has much more than partition 1.
    let mut driver = driver(slow(&watch, |n| if n == 0 { 2_000 } else { 0 }), 0);
    for n in 0..200_i64 {
        driver.send("in", i32::from(n >= 160), &n.to_string(), &n).unwrap();
    }
    driver.settings.concurrency = Concurrency { window: 40, ..Concurrency::of(4) };
    driver.run().unwrap();
    let ended = watch.lock().unwrap().ended.clone();
    let first = ended.iter().position(|n| *n == 0).unwrap();
    let ahead = ended[..first].iter().filter(|n| **n < 160).count();
    assert!((20..=40).contains(&ahead), "{ahead} came ahead of it");
    assert_eq!(ended[..first].iter().filter(|n| **n >= 160).count(), 40, "the other went on");
    assert_eq!(driver.values::<i64>("out").unwrap(), (0..200).collect::<Vec<_>>());
}

/// A partition that goes takes its own calls with it, and nobody else's.
#[test]
fn calls_of_partitions_that_stay_are_not_made_again() {
    let watch = Watch::default();
    let mut driver = keyed(slow(&watch, |_| 40), 8, |n| n);
    driver.settings.concurrency = Concurrency::of(8);
    driver.fail(Step::Serve, 12, Fault::RevokeOne(1));
    driver.run().unwrap();
    check(&driver, 8);
    let begun = watch.lock().unwrap().begun.clone();
    let count = |odd: i64| begun.iter().filter(|n| *n % 2 == odd).count();
    assert_eq!((count(0), count(1)), (4, 8), "{begun:?}");
}

#[derive(Debug, Serialize, Deserialize)]
struct Sum {
    sum: i64,
}

/// A message sees what an earlier one of its key wrote, though that waits for a slow one before it.
#[test]
fn a_table_entry_is_seen_by_one_message_at_a_time() {
    for seed in 1..=20 {
        let adding = Single(async |tx: &Transaction<'_>| {
            let n: i64 = tx.value()?;
            let sum = tx.read_table_entry::<Sum>()?.map_or(0, |entry| entry.sum);
            turns(if n % 7 == 0 { 60 } else { 2 }).await;
            if n % 11 == 10 {
                tx.delete_table_entry()?;
            } else if n % 5 != 4 {
                tx.update_table_entry(&Sum { sum: sum + n })?;
            }
            out(tx, sum)
        });
        let mut driver = Driver::new(adding).unwrap();
        driver.input("in", 2, LONG).unwrap();
        driver.output("out", 2, LONG).unwrap();
        driver.table();
        driver.settings.bounds.count = 5;
        let (mut sums, mut expected) = (BTreeMap::new(), [Vec::new(), Vec::new()]);
        for n in 0..60_i64 {
            let key = n % 8;
            driver.send("in", (n % 2) as i32, &key.to_string(), &n).unwrap();
            let sum = sums.entry(key).or_insert(0);
            expected[(n % 2) as usize].push(*sum);
            match n {
                _ if n % 11 == 10 => *sum = 0,
                _ if n % 5 != 4 => *sum += n,
                _ => {}
            }
        }
        driver.interleave(6, seed);
        driver.fail(Step::Commit, seed % 9 + 1, Fault::Abort);
        driver.run().unwrap();
        assert_eq!(driver.values::<i64>("out").unwrap(), expected.concat(), "seed {seed}");
    }
}

#[test]
fn batches_go_one_by_one_whatever_is_set() {
    let pattern = Batch::new(async |_: &BatchTransaction<'_>| Ok(()));
    assert!(!is_concurrent(&pattern) && is_concurrent(&slow(&Watch::default(), |n| n)));
}

fn is_concurrent<P: Pattern>(_: &P) -> bool {
    P::CONCURRENT
}
