//! What is sent again after a fault.

use nubium_core::driver::{Fault, Step};
use nubium_local::Answer;

use super::{Test, done, ids, order};

#[test]
fn a_replay_carries_the_same_idempotency_key_and_no_other_request_does() {
    for (step, fault) in [
        (Step::Commit, Fault::Abort),
        (Step::SendOffsets, Fault::Timeout),
        (Step::Commit, Fault::Crash),
        (Step::Serve, Fault::Rebalance),
    ] {
        let test = Test::new(|_, _| Answer::status(200));
        let request = "idempotency_header: Idempotency-Key";
        let mut driver = test.driver(12, 1, request, "batch: {count: 3, seconds: 0}");
        driver.fail(step, 3, fault);
        driver.run().expect("ran");
        driver.run().expect("ran again");
        assert!(done(&driver, 12), "{step:?} {fault:?}");
        let mut keys: Vec<(String, Vec<i64>)> = Vec::new();
        for request in test.api.requests() {
            let key = request.header("idempotency-key").expect("key").to_owned();
            let (mut same, ids) = (keys.iter().filter(|(known, _)| *known == key), ids(&request));
            assert!(same.all(|(_, known)| *known == ids), "one key, other messages");
            keys.push((key, ids));
        }
        let mut sent: Vec<i64> = keys.iter().flat_map(|(_, ids)| ids.clone()).collect();
        sent.sort_unstable();
        sent.dedup();
        assert_eq!(sent, (0..12).collect::<Vec<_>>());
        let mut distinct: Vec<_> = keys.iter().map(|(key, _)| key).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 4, "{step:?} {fault:?}: {keys:?}");
    }
}

#[test]
fn after_a_crash_the_same_requests_are_made_though_more_messages_have_come() {
    let test = Test::new(|_, _| Answer::status(200));
    let request = "idempotency_header: Idempotency-Key";
    let mut driver = test.driver(4, 1, request, "batch: {count: 100, seconds: 0}");
    // The first commit is of the announcement, the second would be of the batch.
    driver.fail(Step::Commit, 2, Fault::Crash);
    driver.run().expect("ran");
    assert_eq!(driver.committed("orders", 0), Some(0), "announced and not confirmed");
    for id in 4..8_i64 {
        let value = order(id);
        driver.send("orders", (id % 2) as i32, "key", &value).expect("sent");
    }
    driver.run().expect("ran again");
    assert!(done(&driver, 8));
    let requests = test.api.requests();
    let sent: Vec<_> = requests.iter().map(ids).collect();
    assert_eq!(sent, [[0, 2], [1, 3], [0, 2], [1, 3], [4, 6], [5, 7]]);
    let key = |index: usize| requests[index].header("idempotency-key");
    assert_eq!((key(0), key(1)), (key(2), key(3)));
    assert_eq!(requests[0].body, requests[2].body);
}
