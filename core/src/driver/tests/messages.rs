//! One message at a time: errors, headers, retries and failures.

use super::{copy, driver};
use crate::driver::{Driver, Fault, Step};
use crate::engine::ErrorPolicy;
use crate::error::Exception;
use crate::pattern::{Pattern, Single};
use crate::record::Record;
use crate::retry::RetryRoutes;
use crate::transaction::Transaction;
use nubium_config::MissingHeaders;
use nubium_kafka::headers::Header;
use nubium_kafka::message::MessageBody;

#[test]
fn an_error_drops_that_message_alone_and_stops_with_its_place() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| {
            let n: i64 = tx.value()?;
            tx.produce(Record::to("out").value(&n))?;
            anyhow::ensure!(n != 4, "four is too much");
            Ok(())
        }),
        9,
    );
    let error = format!("{:#}", driver.run().unwrap_err());
    assert!(error.contains("in[0], offset 2") && error.contains("four is too much"), "{error}");
    // In-memory partitions are fetched one after the other: 0 and 2 were complete.
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 2]);
    // The other partition has its start committed.
    assert_eq!((driver.committed("in", 0), driver.committed("in", 1)), (Some(2), Some(0)));
}

#[test]
fn retries_then_dead_letters_and_goes_on() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| {
            let n: i64 = tx.value()?;
            tx.produce(Record::to("out").value(&n))?;
            if n == 4 {
                return Err(Exception::new("TooMuch", "four").into());
            }
            Ok(())
        }),
        9,
    );
    driver.settings.error_policy = ErrorPolicy::DeadLetter;
    driver.settings.error_retries = 2;
    driver.retry.failure_topics = vec!["failed".into()];
    driver.run().unwrap();
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 2, 6, 8, 1, 3, 5, 7]);
    assert_eq!(driver.values::<i64>("failed").unwrap(), [4]);
    let failed = &driver.delivered("failed")[0];
    assert!(failed.header("exception").unwrap().contains("TooMuch"));
    assert_eq!(failed.header("kafka_retry_count"), Some("0"));
    assert_eq!(driver.committed("in", 0), Some(5));
}

#[test]
fn what_cannot_be_decoded_goes_to_the_failure_topic_byte_for_byte_or_stops() {
    for topic in [true, false] {
        let mut driver = driver(copy(), 2);
        let headers = vec![Header::new("guid", "g")];
        let value = Some(b"\x01not avro".to_vec());
        let body = MessageBody { key: Some(b"k".to_vec()), value, headers, timestamp: None };
        driver.send_raw("in", 0, body.clone());
        if topic {
            driver.retry.failure_topics = vec!["failed".into()];
            driver.run().unwrap();
            let failed = &driver.delivered("failed")[0];
            assert_eq!((&failed.body.key, &failed.body.value), (&body.key, &body.value));
            assert_eq!(failed.header("guid"), Some("g"));
            assert!(failed.header("exception").unwrap().contains("DecodeError"));
            assert_eq!(driver.committed("in", 0), Some(2));
        } else {
            let error = driver.run().unwrap_err().to_string();
            assert!(error.contains("in[0], offset 1"), "{error}");
            assert_eq!(driver.committed("in", 0), Some(1));
        }
    }
}

#[test]
fn a_panic_is_an_error_of_its_message() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| {
            let n: i64 = tx.value()?;
            assert!(n != 2, "cannot do {n}");
            tx.produce(Record::to("out").value(&n))
        }),
        4,
    );
    driver.settings.error_policy = ErrorPolicy::DeadLetter;
    driver.retry.failure_topics = vec!["failed".into()];
    driver.run().unwrap();
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 1, 3]);
    assert!(driver.delivered("failed")[0].header("exception").unwrap().contains("cannot do 2"));
}

#[test]
fn headers_pass_through_are_overridden_dropped_and_required() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| {
            let n: i64 = tx.value()?;
            tx.produce(Record::to("out").value(&n))?;
            tx.produce(Record::to("out").value(&n).header("guid", "new").drop_header("extra"))?;
            let refused = tx.produce(Record::to("out").value(&n).drop_header("last_updated_by"));
            anyhow::ensure!(refused.unwrap_err().to_string().contains("last_updated_by"));
            Ok(())
        }),
        0,
    );
    driver.missing_headers = MissingHeaders::Require;
    let headers = ["guid", "last_updated_by", "extra"].map(|n| Header::new(n, n)).to_vec();
    driver.send("in", 0, "k", &7_i64).unwrap();
    let mut body = MessageBody { headers: headers.clone(), ..MessageBody::default() };
    body.value = driver.broker.borrow().log("in").next().unwrap().1.value.clone();
    driver.send_raw("in", 1, body);
    driver.run().unwrap();
    let out = driver.delivered("out");
    assert_eq!(out[2].body.headers, headers);
    let names: Vec<_> = out[3].body.headers.iter().map(|h| h.name.as_str()).collect();
    assert_eq!((names, out[3].header("guid")), (vec!["last_updated_by", "guid"], Some("new")));
}

#[test]
fn a_consumed_message_without_guid_is_an_error_where_the_setting_says_so() {
    for topic in [false, true] {
        let mut driver = driver(copy(), 0);
        driver.missing_headers = MissingHeaders::Require;
        driver.send_raw("in", 0, MessageBody::default());
        if topic {
            // Under the policy `stop` too: it would stop at this message for ever.
            driver.retry.failure_topics = vec!["failed".into()];
            driver.run().unwrap();
            assert!(driver.delivered("failed")[0].header("exception").unwrap().contains("guid"));
        } else {
            let error = format!("{:#}", driver.run().unwrap_err());
            assert!(error.contains("guid") && error.contains("in[0], offset 0"), "{error}");
        }
    }
}

/// A message whose value is 7 and that has these headers.
fn bare(driver: &mut Driver<impl Pattern>, headers: Vec<Header>) -> MessageBody {
    driver.send("in", 1, "k", &7_i64).unwrap();
    let body = driver.broker.borrow().log("in").next().unwrap().1.clone();
    MessageBody { headers, ..body }
}

#[test]
fn headers_that_are_missing_are_made_and_are_the_same_after_a_replay() {
    let mut driver = driver(copy(), 0);
    let null = Header { name: "guid".into(), value: None };
    let own = Header::new("guid", "own");
    let other = Header::new("other", b"\xff".to_vec());
    for headers in [vec![], vec![null], vec![own, other.clone(), other.clone()]] {
        let body = bare(&mut driver, headers);
        driver.send_raw("in", 0, body);
    }
    driver.fail(Step::Commit, 1, Fault::Abort);
    driver.run().unwrap();
    let out = driver.delivered("out");
    let made = |offset| nubium_kafka::headers::made_guid("in", 0, offset);
    let guids: Vec<_> = out[..3].iter().map(|d| d.header("guid").unwrap().to_owned()).collect();
    assert_eq!(guids, [made(0), made(1), "own".to_owned()]);
    assert!(out[..3].iter().all(|d| d.header("last_updated_by") == Some("driver")));
    let others = out[2].body.headers.iter().filter(|header| **header == other).count();
    assert_eq!(others, 2, "twice, and no text");
}

#[test]
fn a_made_guid_goes_with_the_message_to_the_failure_topic() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| {
            let guid = tx.message().header("guid").unwrap_or_default().to_owned();
            tx.produce_failure(Some(&Exception::new("Seen", guid)))
        }),
        0,
    );
    driver.retry.failure_topics = vec!["failed".into()];
    driver.send_raw("in", 0, MessageBody::default());
    driver.run().unwrap();
    let made = nubium_kafka::headers::made_guid("in", 0, 0);
    let failed = &driver.delivered("failed")[0];
    assert_eq!(failed.header("guid"), Some(&*made));
    assert!(failed.header("exception").unwrap().contains(&made), "the function sees it too");
    assert_eq!(failed.header("last_updated_by"), Some("driver"));
}

#[test]
fn a_value_asked_of_a_tombstone_goes_to_the_failure_topic_under_any_policy() {
    let mut driver = driver(copy(), 3);
    driver.retry.failure_topics = vec!["failed".into()];
    driver.send_raw("in", 0, MessageBody::default());
    driver.run().unwrap();
    assert_eq!(driver.values::<i64>("out").unwrap(), [0, 2, 1]);
    let failed = &driver.delivered("failed")[0];
    assert_eq!((&failed.body.key, &failed.body.value), (&None, &None));
    assert!(failed.header("exception").unwrap().contains("NullValue"));
}

#[test]
fn retry_goes_to_the_same_topic_then_the_next_then_to_failure() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| tx.produce_retry(Some(&Exception::new("Busy", "now")))),
        1,
    );
    driver.retry = RetryRoutes {
        count_max: 2,
        retry_topics: vec!["later".into()],
        failure_topics: vec!["failed".into()],
    };
    driver.run().unwrap();
    let counts: Vec<_> = driver
        .delivered("in")
        .iter()
        .map(|d| d.header("kafka_retry_count").map(str::to_owned))
        .collect();
    assert_eq!(counts, [None, Some("1".into()), Some("2".into())]);
    assert_eq!(driver.delivered("later")[0].header("kafka_retry_count"), Some("0"));
    driver.retry.retry_topics.clear();
    driver.send("in", 1, "key", &1_i64).unwrap();
    driver.run().unwrap();
    assert!(driver.delivered("failed")[0].header("exception").unwrap().contains("Busy"));
}

#[test]
fn a_message_is_retried_along_the_chain() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| tx.produce_retry(Some(&Exception::new("Busy", "now")))),
        1,
    );
    let chain = ["retry1", "retry2", "retry3"];
    chain.iter().for_each(|topic| driver.input(topic, 1, super::LONG).unwrap());
    driver.retry.retry_topics = chain.map(str::to_owned).to_vec();
    driver.retry.failure_topics = vec!["failed".into()];
    driver.fail(Step::Commit, 3, Fault::Abort);
    driver.run().unwrap();
    for topic in chain {
        assert_eq!(driver.delivered(topic).len(), 1, "{topic}");
    }
    assert_eq!(driver.delivered("failed").len(), 1);
}

#[test]
fn produce_names_undeclared_topics_and_too_large_records() {
    let mut driver = driver(
        Single(async |tx: &Transaction<'_>| {
            let wrong = tx.produce(Record::to("elsewhere").value(&1_i64)).unwrap_err();
            anyhow::ensure!(wrong.to_string().contains("elsewhere"), "{wrong}");
            let large = vec![0; 2 << 20];
            let wrong = tx.produce(Record::to("out").value_bytes(&large)).unwrap_err();
            anyhow::ensure!(wrong.to_string().contains("message.max.bytes"), "{wrong}");
            let misfit = tx.produce(Record::to("out").value("text")).unwrap_err();
            anyhow::ensure!(!misfit.to_string().is_empty());
            Ok(())
        }),
        1,
    );
    driver.run().unwrap();
    assert!(driver.delivered("out").is_empty());
    assert_eq!(driver.committed("in", 0), Some(1));
}
