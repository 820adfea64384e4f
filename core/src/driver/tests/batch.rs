//! Batches under faults: whatever goes wrong at whatever step, every input counts once and in
//! order, and messages that came while the function waited are no exception.

use super::{LONG, check, driver};
use crate::driver::{Driver, Fault, Step};
use crate::pattern::{Batch, BatchTransaction, Pattern, Single, Take};
use crate::record::Record;
use crate::transaction::Transaction;
use nubium_kafka::headers::Header;
use nubium_kafka::message::{Message, MessageBody};
use nubium_topic::TopicPartition;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const NO_TIME: Duration = Duration::ZERO;
const STEPS: [Step; 9] = [
    Step::InitProducer,
    Step::Begin,
    Step::SendOffsets,
    Step::Send,
    Step::Commit,
    Step::Committed,
    Step::Abort,
    Step::Serve,
    Step::Fetch,
];
const FAULTS: [Fault; 7] = [
    Fault::Abort,
    Fault::Timeout,
    Fault::Fence,
    Fault::Fatal,
    Fault::Rebalance,
    Fault::Lose,
    Fault::Crash,
];

pub(super) fn copy_all(batch: &BatchTransaction<'_>) -> anyhow::Result<()> {
    for message in batch.messages() {
        let n: i64 = message.value()?;
        batch.produce(message, Record::to("out").value(&n).partition(message.partition()))?;
    }
    Ok(())
}

/// Copies, with what a test wants to happen before.
fn every_fault<P: Pattern>(pattern: impl Fn() -> P) {
    for (step, fault) in STEPS.iter().flat_map(|s| FAULTS.iter().map(move |f| (*s, *f))) {
        if step == Step::InitProducer && fault == Fault::Abort {
            continue; // Not an answer that call has.
        }
        for nth in 1..=5 {
            let mut driver = driver(pattern(), 20);
            driver.fail(step, nth, fault);
            if step == Step::Abort {
                driver.fail(Step::Send, 2, Fault::Abort);
            }
            let first = driver.run();
            if first.is_err() || fault == Fault::Crash {
                driver.run().unwrap_or_else(|e| panic!("{step:?} {fault:?} {nth}: {e:#}"));
            }
            let found = driver.values::<i64>("out").unwrap().len();
            assert_eq!(found, 20, "{step:?} {fault:?} {nth}");
            check(&driver, 20);
        }
    }
}

#[test]
fn every_fault_at_every_step_of_batches_still_counts_every_input_once() {
    every_fault(|| {
        Batch::new(async |batch: &BatchTransaction<'_>| copy_all(batch))
            .max_count(4)
            .max_time(NO_TIME)
    });
}

#[test]
fn every_fault_at_every_step_of_batches_that_grow_still_counts_every_input_once() {
    every_fault(|| {
        Batch::new(async |batch: &BatchTransaction<'_>| {
            batch.consume_within(NO_TIME, 4).await?;
            batch.consume_within(NO_TIME, 7).await?;
            copy_all(batch)
        })
        .max_count(2)
        .max_time(NO_TIME)
    });
}

#[test]
fn every_fault_at_every_step_of_batches_that_wait_and_commit_still_counts_every_input_once() {
    every_fault(|| {
        Batch::new(async |batch: &BatchTransaction<'_>| {
            batch.consume_within(Duration::from_micros(200), 12).await?;
            tokio::time::sleep(Duration::from_micros(200)).await;
            copy_all(batch)?;
            batch.commit().await
        })
        .max_count(3)
        .max_time(NO_TIME)
    });
}

#[test]
fn a_rebalance_while_the_function_waits_voids_the_whole_batch_grown_messages_included() {
    for fault in [Fault::Rebalance, Fault::Lose] {
        for nth in 4..14 {
            let sizes = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&sizes);
            let mut driver = driver(
                Batch::new(async move |batch: &BatchTransaction<'_>| {
                    batch.consume_within(NO_TIME, 8).await?;
                    seen.lock().unwrap().push(batch.count());
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    copy_all(batch)
                })
                .max_count(2)
                .max_time(NO_TIME),
                8,
            );
            driver.fail(Step::Serve, nth, fault);
            driver.run().unwrap();
            check(&driver, 8);
            assert!(sizes.lock().unwrap().contains(&8), "it grew over both partitions");
        }
    }
}

#[test]
fn on_demand_the_batch_has_so_many_messages_in_all_and_no_more() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let mut driver = driver(
        Batch::new(async move |batch: &BatchTransaction<'_>| {
            let before = batch.count();
            let first = batch.messages().next().unwrap();
            let value: i64 = first.value()?;
            let now = batch.consume(5).await?;
            anyhow::ensure!(now == batch.count() && first.value::<i64>()? == value);
            anyhow::ensure!(batch.consume(3).await? == now, "it has as many already");
            seen.lock().unwrap().push((before, now));
            copy_all(batch)
        })
        .max_count(2)
        .max_time(NO_TIME),
        12,
    );
    driver.run().unwrap();
    check(&driver, 12);
    assert_eq!(*sizes.lock().unwrap(), [(2, 5), (2, 5), (2, 2)], "time is over for the last");
}

#[test]
fn a_plain_function_may_ask_for_more_too() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| {
            let count = tx.consume(NO_TIME, 100).await?;
            anyhow::ensure!(count == tx.messages().count());
            tx.commit().await?;
            anyhow::ensure!(tx.consume(NO_TIME, 101).await.is_err(), "it is committed");
            Ok(())
        }),
        300,
    );
    driver.run().unwrap();
    assert_eq!(driver.transactions().0, 1 + 3, "the first positions, then a hundred each");
    assert_eq!(driver.committed("in", 0), Some(150));
}

#[test]
fn futures_beside_each_other_get_the_messages_that_they_wait_for() {
    let mut driver = driver(
        Batch::new(async |batch: &BatchTransaction<'_>| {
            use futures::stream::{FuturesUnordered, StreamExt};
            let asked: FuturesUnordered<_> =
                [4, 6, 2].map(|count| batch.consume_within(NO_TIME, count)).into_iter().collect();
            let counts: Vec<usize> = asked.map(Result::unwrap).collect().await;
            anyhow::ensure!(counts.iter().all(|count| *count >= 2), "{counts:?}");
            copy_all(batch)
        })
        .max_count(1),
        8,
    );
    driver.run().unwrap();
    check(&driver, 8);
}

fn now_millis() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn body_of<P>(driver: &Driver<P>, index: usize) -> MessageBody {
    driver.broker.borrow().log("in").nth(index).unwrap().1.clone()
}

#[test]
fn messages_that_come_while_the_function_waits_must_be_old_enough_too() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let mut driver = driver(
        Batch::new(async move |batch: &BatchTransaction<'_>| {
            let count = batch.consume_within(Duration::from_millis(1), 10).await?;
            seen.lock().unwrap().push(count);
            copy_all(batch)
        })
        .max_count(1),
        4,
    );
    driver.settings.message_age = Duration::from_millis(60);
    let (young, sent) = (body_of(&driver, 0), now_millis());
    driver.send_raw("in", 1, MessageBody { timestamp: Some(sent), ..young });
    driver.run().unwrap();
    assert!(now_millis() - sent >= 60);
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 2, 1, 3, 0]);
    assert_eq!(driver.committed("in", 1), Some(3));
    assert_eq!(sizes.lock().unwrap().last(), Some(&1), "the young one came alone, and later");
}

#[test]
fn a_message_that_must_be_handled_alone_ends_the_growth() {
    let mut driver = driver(
        Batch::new(async |batch: &BatchTransaction<'_>| {
            batch.consume_within(Duration::from_secs(600), 5).await?;
            copy_all(batch)
        })
        .max_count(1),
        0,
    );
    driver.missing_headers = nubium_config::MissingHeaders::Require;
    driver.input("in", 1, LONG).unwrap();
    for n in 0..5_i64 {
        driver.send("in", 0, "key", &n).unwrap();
    }
    let nameless = MessageBody { headers: vec![Header::new("other", "x")], ..body_of(&driver, 0) };
    driver.send_raw("in", 0, nameless);
    for n in 6..10_i64 {
        driver.send("in", 0, "key", &n).unwrap();
    }
    driver.settings.error_policy = crate::engine::ErrorPolicy::DeadLetter;
    driver.retry.failure_topics = vec!["failed".into()];
    driver.send("in", 0, "key", &10_i64).unwrap();
    driver.run().unwrap();
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]);
    assert_eq!(driver.delivered("failed").len(), 1);
    assert_eq!(driver.committed("in", 0), Some(11));
}

#[test]
fn sizes_of_batches_are_counted() {
    let pattern = Batch::new(async |batch: &BatchTransaction<'_>| copy_all(batch));
    let mut batches = driver(pattern.max_count(6).max_time(NO_TIME), 20);
    batches.run().unwrap();
    let text = batches.metrics();
    assert!(
        text.contains("nubium_batch_messages_count{app=\"driver\",job=\"driver\"} 4"),
        "{text}"
    );
    assert!(text.contains("nubium_batch_messages_sum{app=\"driver\",job=\"driver\"} 20"), "{text}");
    let mut singles = driver(super::copy(), 20);
    singles.run().unwrap();
    assert!(
        singles.metrics().contains("nubium_batch_messages_count{app=\"driver\",job=\"driver\"} 0")
    );
}

#[test]
fn waits_of_the_loop_and_waits_on_purpose_do_not_count_as_time_in_the_function() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let pattern = Batch::new(async move |batch: &BatchTransaction<'_>| {
        // First a failure with a back-off, then a wait on purpose, then one for messages.
        match counted.fetch_add(1, Ordering::Relaxed) {
            0 => anyhow::bail!("not yet"),
            1 => batch.wait(Duration::from_millis(3)).await,
            _ => drop(batch.consume_within(Duration::from_millis(3), 100).await?),
        }
        copy_all(batch)
    });
    let mut driver = driver(pattern.max_count(1), 2);
    driver.settings.error_retries = 1;
    driver.settings.backoff = (Duration::from_millis(3), Duration::from_millis(3));
    driver.run().unwrap();
    let seen = driver.broker.borrow().in_function.clone();
    assert!(!seen.is_empty() && seen.iter().all(|busy| !busy), "{seen:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 3);

    let slow = Single(async |_: &Transaction<'_>| {
        let mut polls = 0;
        std::future::poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls > 4 { std::task::Poll::Ready(Ok(())) } else { std::task::Poll::Pending }
        })
        .await
    });
    let mut driver = super::driver(slow, 1);
    driver.run().unwrap();
    assert!(driver.broker.borrow().in_function.contains(&true), "a plain wait does count");
}

/// Notes the offsets of a batch before it copies it, and the notes that an assignment came with.
struct Noting<F> {
    batch: Batch<F>,
    told: Arc<Mutex<Vec<String>>>,
}

impl<F> Pattern for Noting<F>
where
    F: AsyncFn(&BatchTransaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
{
    fn assigned(&self, _: &[TopicPartition], notes: &[(TopicPartition, String)]) {
        let notes = notes.iter().map(|(at, note)| format!("{at} {note}"));
        self.told.lock().unwrap().extend(notes);
    }

    fn take(&self, waiting: &VecDeque<Message>, since: Instant) -> Take {
        self.batch.take(waiting, since)
    }

    async fn run(&self, transaction: &Transaction<'_>) -> anyhow::Result<()> {
        self.batch.run(transaction).await
    }
}

async fn note_and_copy(batch: &BatchTransaction<'_>) -> anyhow::Result<()> {
    let note = |message: crate::Consumed<'_>| {
        let at = TopicPartition::new(message.topic(), message.partition());
        (at, format!("from {}", message.offset()))
    };
    let notes = batch.messages().take(1).map(note).collect();
    batch.note(notes).await?;
    copy_all(batch)
}

#[test]
fn notes_cost_no_message_whatever_goes_wrong() {
    every_fault(|| {
        let batch = Batch::new(note_and_copy).max_count(4).max_time(NO_TIME);
        Noting { batch, told: Arc::default() }
    });
}

#[test]
fn a_note_is_told_to_the_next_owner_until_its_messages_are_committed() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let batch = Batch::new(note_and_copy).max_count(4).max_time(NO_TIME);
    let mut driver = driver(Noting { batch, told: Arc::clone(&told) }, 12);
    // The first positions with the first note, the first batch, and the second note are committed.
    driver.fail(Step::Commit, 4, Fault::Crash);
    driver.run().unwrap();
    assert_eq!(driver.committed("in", 0), Some(4));
    driver.run().unwrap();
    check(&driver, 12);
    assert_eq!(*told.lock().unwrap(), ["in[0] from 4"]);
    driver.run().unwrap();
    assert_eq!(told.lock().unwrap().len(), 1, "it is gone with the commit of its messages");
}
