//! Batches that fail, as a whole or in part.

use super::batch::copy_all;
use super::{check, driver};
use crate::driver::{Driver, Fault, Step};
use crate::engine::ErrorPolicy;
use crate::error::Exception;
use crate::pattern::{Batch, BatchTransaction, Pattern};
use crate::retry::RetryRoutes;
use nubium_config::MissingHeaders;
use nubium_kafka::headers::Header;
use nubium_kafka::message::MessageBody;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Copies batches and fails if one of `bad` is among them; notes the size of every call.
fn picky(bad: &'static [i64], calls: &Arc<Mutex<Vec<usize>>>) -> impl Pattern {
    picky_batch(bad, calls).bisect_errors(true)
}

fn picky_batch(
    bad: &'static [i64],
    calls: &Arc<Mutex<Vec<usize>>>,
) -> Batch<impl AsyncFn(&BatchTransaction<'_>) -> anyhow::Result<()> + Send + Sync + 'static> {
    let calls = Arc::clone(calls);
    let function = async move |batch: &BatchTransaction<'_>| {
        calls.lock().unwrap().push(batch.count());
        copy_all(batch)?;
        for message in batch.messages() {
            let n: i64 = message.value()?;
            anyhow::ensure!(!bad.contains(&n), Exception::new("Bad", format!("{n} is bad")));
        }
        Ok(())
    };
    Batch::new(function).max_count(16).max_time(Duration::ZERO)
}

fn dead_letters<P: Pattern>(pattern: P, inputs: i64) -> Driver<P> {
    let mut driver = driver(pattern, inputs);
    driver.settings.error_policy = ErrorPolicy::DeadLetter;
    driver.retry.failure_topics = vec!["failed".into()];
    driver
}

fn failed<P: Pattern>(driver: &Driver<P>) -> Vec<i64> {
    let mut failed = driver.values::<i64>("failed").unwrap();
    failed.sort_unstable();
    failed
}

#[test]
fn bisecting_finds_one_bad_message_in_few_calls_and_keeps_the_others() {
    for bad in [&[0_i64][..], &[6], &[14], &[1], &[15]] {
        let bad: &'static [i64] = Box::leak(bad.to_vec().into_boxed_slice());
        let calls = Arc::default();
        let mut driver = dead_letters(picky(bad, &calls), 16);
        driver.run().unwrap();
        assert_eq!(failed(&driver), bad);
        assert_eq!(driver.values::<i64>("out").unwrap().len(), 15);
        let calls = calls.lock().unwrap();
        assert!(calls.len() <= 2 * 4 + 1, "{calls:?} for {bad:?}");
        let said = driver.delivered("failed")[0].header("exception").unwrap().to_owned();
        assert!(said.contains("Bad") && said.contains("is bad"), "{said}");
        assert_eq!((driver.committed("in", 0), driver.committed("in", 1)), (Some(8), Some(8)));
    }
}

#[test]
fn bisecting_finds_several_and_survives_every_fault() {
    use Fault::*;
    const BAD: &[i64] = &[3, 4, 9, 17];
    for step in [Step::Begin, Step::Send, Step::Commit, Step::Committed, Step::Serve, Step::Fetch] {
        for fault in [Abort, Timeout, Fatal, Rebalance, Lose, Crash] {
            for nth in 1..=6 {
                let mut driver = dead_letters(picky(BAD, &Arc::default()), 20);
                driver.fail(step, nth, fault);
                driver.run().unwrap();
                driver.run().unwrap_or_else(|e| panic!("{step:?} {fault:?} {nth}: {e:#}"));
                assert_eq!(failed(&driver), BAD, "{step:?} {fault:?} {nth}");
                let expected: Vec<i64> = [0, 2, 6, 8, 10, 12, 14, 16, 18]
                    .into_iter()
                    .chain([1, 5, 7, 11, 13, 15, 19])
                    .collect();
                assert_eq!(driver.values::<i64>("out").unwrap(), expected);
            }
        }
    }
}

#[test]
fn with_the_policy_to_stop_bisecting_names_the_message_and_commits_what_is_before_it() {
    let mut driver = driver(picky(&[6], &Arc::default()), 16);
    let error = format!("{:#}", driver.run().unwrap_err());
    assert!(error.contains("the message at in[0], offset 3 could not"), "{error}");
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 2, 4]);
    assert_eq!(driver.committed("in", 0), Some(3));
}

#[test]
fn without_bisecting_the_whole_batch_fails_and_says_so() {
    let calls = Arc::default();
    let mut driver = dead_letters(picky_batch(&[6], &calls), 16);
    driver.settings.error_retries = 2;
    driver.run().unwrap();
    assert_eq!(failed(&driver), (0..16).collect::<Vec<_>>());
    assert_eq!(*calls.lock().unwrap(), [16, 16, 16]);

    let mut driver = super::driver(picky_batch(&[6], &calls), 16);
    let error = format!("{:#}", driver.run().unwrap_err());
    assert!(error.contains("the batch of 16 messages that begins at in[0], offset 0"), "{error}");
    assert!(driver.values::<i64>("out").unwrap().is_empty());
}

#[test]
fn a_batch_that_grew_is_bisected_as_it_is() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    let function = async move |batch: &BatchTransaction<'_>| {
        let count = batch.consume_within(Duration::ZERO, 8).await?;
        noted.lock().unwrap().push(count);
        copy_all(batch)?;
        let mut values = batch.messages().map(|message| message.value::<i64>());
        anyhow::ensure!(!values.any(|n| n.is_ok_and(|n| n == 10)), "ten");
        Ok(())
    };
    let pattern = Batch::new(function).max_count(2).bisect_errors(true);
    let mut driver = dead_letters(pattern, 16);
    driver.run().unwrap();
    assert_eq!(failed(&driver), [10]);
    assert_eq!(driver.values::<i64>("out").unwrap().len(), 15);
    assert_eq!(calls.lock().unwrap()[..4], [8, 4, 2, 1], "halves do not grow");
}

#[test]
fn what_cannot_be_decoded_or_has_no_guid_costs_its_neighbours_nothing() {
    let pattern = Batch::new(async |batch: &BatchTransaction<'_>| copy_all(batch));
    let mut driver = dead_letters(pattern.max_count(100).max_time(Duration::ZERO), 10);
    driver.missing_headers = MissingHeaders::Require;
    let value = Some(b"\x01not avro".to_vec());
    let broken =
        MessageBody { value, headers: vec![Header::new("guid", "g")], ..Default::default() };
    driver.send_raw("in", 0, broken);
    driver.send_raw("in", 1, MessageBody::default());
    for n in 10..14_i64 {
        driver.send("in", (n % 2) as i32, "key", &n).unwrap();
    }
    driver.run().unwrap();
    let said: Vec<_> = driver.delivered("failed");
    let said: Vec<_> = said.iter().map(|d| d.header("exception").unwrap()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("DecodeError") && said[1].contains("MissingHeader"), "{said:?}");
    let values = driver.values::<i64>("out").unwrap();
    assert_eq!(values, [0, 2, 4, 6, 8, 10, 12, 1, 3, 5, 7, 9, 11, 13]);
}

#[test]
fn messages_marked_for_retry_or_as_failed_are_routed_in_the_same_transaction() {
    for fault in [None, Some(Fault::Abort), Some(Fault::Timeout), Some(Fault::Crash)] {
        let function = async |batch: &BatchTransaction<'_>| {
            for message in batch.messages() {
                let n: i64 = message.value()?;
                batch.fail(message, Exception::new("Unsure", "at first"));
                match n % 4 {
                    0 => batch.retry(message, Exception::new("Busy", "later")),
                    1 => batch.fail(message, Exception::new("Wrong", "never")),
                    _ => batch.done(message),
                }
            }
            Ok(())
        };
        let mut driver = driver(Batch::new(function).max_count(8).max_time(Duration::ZERO), 8);
        driver.retry = RetryRoutes {
            count_max: 0,
            retry_topics: vec!["later".into()],
            failure_topics: vec!["failed".into()],
        };
        if let Some(fault) = fault {
            driver.fail(Step::Commit, 1, fault);
        }
        driver.run().unwrap();
        driver.run().unwrap();
        assert_eq!(driver.values::<i64>("later").unwrap(), [0, 4], "{fault:?}");
        assert_eq!(driver.values::<i64>("failed").unwrap(), [1, 5]);
        let said = |topic| driver.delivered(topic)[0].header("exception").unwrap().to_owned();
        assert!(said("later").contains("Busy") && said("failed").contains("Wrong"));
        assert_eq!(driver.transactions().0, 1, "all in one");
        assert_eq!((driver.committed("in", 0), driver.committed("in", 1)), (Some(4), Some(4)));
    }
}

#[test]
fn all_messages_are_retried_or_failed_at_once() {
    let function = async |batch: &BatchTransaction<'_>| {
        batch.produce_retry_all(Some(&Exception::new("Busy", "later")))
    };
    let mut driver = driver(Batch::new(function).max_count(8).max_time(Duration::ZERO), 6);
    driver.retry.retry_topics = vec!["later".into()];
    driver.run().unwrap();
    assert_eq!(driver.values::<i64>("later").unwrap(), [0, 2, 4, 1, 3, 5]);
    let function = async |batch: &BatchTransaction<'_>| batch.produce_failure_all(None);
    let mut driver = dead_letters(Batch::new(function).max_count(8).max_time(Duration::ZERO), 6);
    driver.run().unwrap();
    assert_eq!(driver.values::<i64>("failed").unwrap(), [0, 2, 4, 1, 3, 5]);
}

#[test]
fn a_mark_with_nowhere_to_go_fails_the_batch_and_names_the_setting() {
    let function = async |batch: &BatchTransaction<'_>| {
        batch.messages().for_each(|message| batch.fail(message, Exception::new("Wrong", "never")));
        copy_all(batch)
    };
    let mut driver = driver(Batch::new(function).max_count(8).max_time(Duration::ZERO), 6);
    let error = format!("{:#}", driver.run().unwrap_err());
    assert!(error.contains("NU_PRODUCE_FAILURE_TOPICS"), "{error}");
    assert!(driver.values::<i64>("out").unwrap().is_empty());
}

#[test]
fn marks_are_routed_by_a_commit_in_the_function() {
    let function = async |batch: &BatchTransaction<'_>| {
        let first = batch.messages().next().unwrap();
        batch.fail(first, Exception::new("Wrong", "never"));
        copy_all(batch)?;
        batch.commit().await
    };
    let mut driver = dead_letters(Batch::new(function).max_count(8).max_time(Duration::ZERO), 6);
    driver.fail(Step::Commit, 1, Fault::Abort);
    driver.run().unwrap();
    check(&driver, 6);
    assert_eq!(failed(&driver), [0]);
}
