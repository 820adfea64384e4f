//! What answers lead to.

use std::time::Duration;

use nubium_local::{Answer, Request};
use serde_json::json;

use super::{BATCH, Test, all_ids, done, exception, ids, ids_of};

#[test]
fn what_is_refused_goes_to_the_failure_topic_with_status_and_excerpt() {
    let script = |request: &Request, _| match ids(request).contains(&2) {
        true => Answer::body(422, "no such customer"),
        false => Answer::status(200),
    };
    let test = Test::new(script);
    let mut driver = test.driver(8, 3, "", BATCH);
    driver.run().expect("ran");
    assert_eq!(ids_of(&driver, "failed"), [0, 2, 4, 6]);
    let said = exception(&driver.delivered("failed")[0]);
    assert_eq!(said["name"], "Http422");
    let text = said["description"].as_str().expect("text");
    assert!(text.contains("422") && text.ends_with("crm POST /in: no such customer"), "{text}");
    assert!(done(&driver, 8));
}

#[test]
fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    let script = |request: &Request, _| match ids(request).len() {
        1 if ids(request) == [3] => Answer::body(413, "too large"),
        1 | 2 if !ids(request).contains(&3) => Answer::status(200),
        _ => Answer::status(413),
    };
    let test = Test::new(script);
    let mut driver = test.driver(8, 3, "", "batch: {count: 8, seconds: 0}");
    driver.run().expect("ran");
    assert_eq!(ids_of(&driver, "failed"), [3]);
    assert_eq!(exception(&driver.delivered("failed")[0])["name"], "Http413");
    assert!(ids_of(&driver, "later").is_empty());
    assert!(done(&driver, 8));
}

#[test]
fn results_of_items_are_mapped_to_messages_and_the_rest_is_tried_again() {
    let script = |request: &Request, before: usize| {
        let result = |id: &i64| match id {
            0 => json!({"ref": id, "status": 201}),
            2 => json!({"ref": id, "status": 400, "error": "bad"}),
            4 if before == 0 => json!({"ref": id, "status": 503}),
            6 => json!({"ref": id, "status": 429}),
            _ => json!({"ref": id, "status": "created"}),
        };
        let results: Vec<_> = ids(request).iter().rev().map(result).collect();
        Answer::body(207, json!({ "results": results }).to_string())
    };
    let test = Test::new(script);
    let answer = "answer: {items: /results, status: /status, done: [created], id: /ref, \
        item_id: /id}";
    let mut driver = test.driver(8, 3, "", &format!("{BATCH}\n{answer}"));
    driver.run().expect("ran");
    assert_eq!(ids_of(&driver, "failed"), [2]);
    assert!(
        exception(&driver.delivered("failed")[0])["description"]
            .as_str()
            .is_some_and(|text| text.contains("bad"))
    );
    assert_eq!(ids_of(&driver, "later"), [6]);
    let sent: Vec<_> = test.api.requests().iter().map(ids).collect();
    assert_eq!(sent, [vec![0, 2, 4, 6], vec![4, 6], vec![6], vec![1, 3, 5, 7]]);
    assert!(done(&driver, 8));
}

#[test]
fn errors_and_silence_are_tried_again_and_then_routed_to_be_retried() {
    let answers = [Answer::status(500), Answer::Hang, Answer::Close, Answer::status(200)];
    let test = Test::new(move |_, before| answers[before.min(3)].clone());
    let mut driver = test.driver(4, 4, "", "batch: {count: 4, seconds: 0}");
    driver.run().expect("ran");
    assert_eq!(test.api.requests().len(), 4);
    assert!(ids_of(&driver, "later").is_empty() && done(&driver, 4));
    assert_eq!((test.counted(500), test.counted(0), test.counted(200)), (1.0, 2.0, 1.0));

    let test = Test::new(|_, _| Answer::body(502, "bad gateway"));
    let mut driver = test.driver(4, 3, "", "batch: {count: 4, seconds: 0}");
    driver.run().expect("ran");
    assert_eq!(test.api.requests().len(), 3);
    assert_eq!(ids_of(&driver, "later"), [0, 1, 2, 3]);
    assert_eq!(exception(&driver.delivered("later")[0])["name"], "Http502");
    assert!(done(&driver, 4));
}

fn later(status: u16, when: &str) -> Answer {
    Answer::Status(status, vec![("retry-after", when.into())], String::new())
}

#[test]
fn a_service_that_says_when_to_come_back_is_obeyed_and_that_costs_no_try() {
    let script = |_: &Request, before| match before {
        0 => later(503, "1"),
        1 => later(429, "1"),
        _ => Answer::status(200),
    };
    let test = Test::new(script);
    let mut driver =
        test.driver(8, 1, "", "batch: {count: 2, seconds: 0}\nlimits: {concurrency: 1}");
    let begin = std::time::Instant::now();
    driver.run().expect("ran");
    assert!(begin.elapsed() >= Duration::from_secs(2), "it waited as it was told");
    assert!(ids_of(&driver, "later").is_empty() && done(&driver, 8));
}

#[test]
fn a_service_that_says_now_or_earlier_gets_the_back_off_and_an_end() {
    for when in ["0", "00", "Fri, 27 Nov 2020 10:00:00 GMT"] {
        for status in [429, 503] {
            let test = Test::new(move |_, _| later(status, when));
            let mut driver = test.driver(4, 3, "", "batch: {count: 4, seconds: 0}");
            driver.run().expect("ran");
            assert_eq!(test.api.requests().len(), 3, "{when}: the tries end it");
            assert_eq!(ids_of(&driver, "later"), [0, 1, 2, 3], "{when}");
            assert!(done(&driver, 4));
        }
    }
}

#[test]
fn no_wait_that_a_service_asks_for_is_shorter_than_the_back_off() {
    let test = Test::new(|_, before| match before {
        0 => later(429, "1"),
        _ => Answer::status(200),
    });
    let more = "batch: {count: 4, seconds: 0}\nretry: {backoff_seconds: 2}";
    let begin = std::time::Instant::now();
    test.driver_with(4, 1, "", more).run().expect("ran");
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[test]
fn what_is_in_flight_when_the_service_asks_for_a_break_is_all_that_is_sent() {
    let script = |_: &Request, before| match before {
        0 => later(429, "1"),
        _ => Answer::status(200),
    };
    let test = Test::new(script);
    let more = "batch: {count: 1, seconds: 0}\nlimits: {concurrency: 2, requests_per_second: 500}";
    let mut driver = test.driver(9, 1, "", more);
    driver.run().expect("ran");
    assert_eq!(all_ids(&test.api.requests()[1..]), (0..9).collect::<Vec<_>>());
    assert!(done(&driver, 9));
}

#[test]
fn a_quota_that_is_used_up_holds_the_next_requests_and_costs_no_try() {
    let test = Test::new(|_, before| {
        let left = if before == 1 { "0" } else { "5" };
        let headers = vec![("x-left", left.into()), ("x-reset", "1".into())];
        Answer::Status(200, headers, String::new())
    });
    let more = "batch: {count: 2, seconds: 0}\n\
        limits: {remaining_header: X-Left, reset_header: X-Reset}";
    let mut driver = test.driver(8, 1, "", more);
    let begin = std::time::Instant::now();
    driver.run().expect("ran");
    assert!(begin.elapsed() >= Duration::from_secs(1), "it waited for the quota");
    assert_eq!((test.api.requests().len(), test.counted(200)), (4, 4.0));
    assert!(ids_of(&driver, "later").is_empty() && done(&driver, 8));
}

#[test]
fn an_api_that_fails_again_and_again_is_left_alone_and_then_asked_once() {
    let test = Test::new(|_, before| match before {
        0..3 => Answer::status(500),
        _ => Answer::status(200),
    });
    let more = "batch: {count: 4, seconds: 0}\nlimits: {breaker: {failures: 2, seconds: 1}}";
    let mut driver = test.driver(8, 5, "", more);
    let begin = std::time::Instant::now();
    driver.run().expect("ran");
    // Two failures open it; the third request finds out, fails, and opens it again.
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!((test.counted(500), test.counted(200)), (3.0, 2.0));
    assert!(ids_of(&driver, "later").is_empty() && done(&driver, 8));
}
