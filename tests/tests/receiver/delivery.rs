//! Every 200 is in the topic once, whatever happens to the broker.

use std::time::Duration;

use anyhow::{Result, ensure};
use nubium_test_kit::faulty::Faulty;
use nubium_test_kit::receiver::{Receiver, forms, verify};
use nubium_test_kit::services::shared;
use nubium_test_kit::topics;
use serde_json::json;

use crate::RECEIVER;

const DEADLINE: Duration = Duration::from_secs(120);
const CONNECTIONS: usize = 16;

/// Starts a broker of its own, and a receiver of one route to a topic on it.
fn receiver_on(faulty: &Faulty, topic: &str) -> Result<Receiver> {
    let cluster = faulty.cluster();
    topics::create(&cluster.bootstrap, &[(topic, 3)])?;
    let settings = format!(
        "limits: {{delivery_seconds: 5, drain_delay_seconds: 0}}\n\
         routes: [{{path: /forms, topic: {topic}, schema: form.avsc, key: /id}}]\n"
    );
    let cluster = (cluster.bootstrap.as_str(), shared().registry.as_str());
    Receiver::start(RECEIVER, cluster, &settings, &[])
}

#[test]
fn what_is_answered_200_is_in_the_topic_once_though_the_broker_is_killed_and_restarted()
-> Result<()> {
    let mut faulty = Faulty::start()?;
    let topic = topics::unique("forms");
    let receiver = receiver_on(&faulty, &topic)?;
    let load = receiver.load("/forms", CONNECTIONS);
    for kill in [true, false] {
        load.acknowledged(300, DEADLINE)?;
        if kill {
            faulty.broker.kill()?
        } else {
            faulty.broker.stop()?
        }
        let reason = receiver.becomes("/readyz", 503, DEADLINE)?;
        ensure!(reason.contains("Kafka"), "{reason}");
        load.refused(50, DEADLINE)?;
        ensure!(receiver.probe("/livez")?.0 == 200, "a restart would not help");
        faulty.broker.start_again()?;
        receiver.becomes("/readyz", 200, DEADLINE)?;
    }
    load.acknowledged(300, DEADLINE)?;
    let answers = receiver.finish(load)?;
    let others: Vec<_> = answers.values().filter(|s| ![200, 503].contains(*s)).collect();
    ensure!(others.is_empty(), "an outage is answered 503: {others:?}");
    let acknowledged = verify(&faulty.broker.bootstrap(), &topic, &answers)?;
    ensure!(acknowledged >= 900, "{acknowledged}");
    Ok(())
}

#[test]
fn without_a_broker_the_answer_is_503_at_once_with_retry_after_and_each_items_fate() -> Result<()> {
    let faulty = Faulty::start()?;
    let topic = topics::unique("forms");
    let receiver = receiver_on(&faulty, &topic)?;
    let item = |n: i32| json!({"id": format!("before-{n}"), "n": n});
    ensure!(receiver.post("/forms", &item(1))?.status == 200);
    // Held back by the broker's stop and not by a refused connection: its fate is unknown.
    faulty.broker.process()?.signal(nubium_test_kit::process::Signal::STOP)?;
    let answer = receiver.post("/forms", &json!([item(2), item(3)]))?;
    ensure!(answer.status == 503, "{answer:?}");
    ensure!(answer.headers["retry-after"] == "1", "{answer:?}");
    let body = answer.json()?;
    ensure!(body["exception"] == "ServiceUnavailable", "{body}");
    for index in 0..2 {
        ensure!(body["items"][index]["status"] == "unknown", "{body}");
        ensure!(body["items"][index]["guid"].as_str().is_some_and(|guid| guid.len() == 36));
    }
    // Refused by the gate, without a wait of five seconds each.
    let refused = (0..50).filter(|_| {
        let answer = receiver.post("/forms", &item(4));
        answer.is_ok_and(|answer| answer.status == 503 && !answer.body.contains("items"))
    });
    ensure!(refused.count() >= 40, "most are refused at once");
    receiver.becomes("/readyz", 503, DEADLINE)?;
    faulty.broker.process()?.signal(nubium_test_kit::process::Signal::CONT)?;
    // No request is made meanwhile: who is not ready gets none.
    receiver.becomes("/readyz", 200, DEADLINE)?;
    ensure!(receiver.post("/forms", &item(5))?.status == 200);
    let found = forms(&faulty.broker.bootstrap(), &topic)?;
    let count = |n: i64| found.iter().filter(|form| form.n == n).count();
    ensure!(count(1) == 1 && count(5) == 1 && count(2) <= 1 && count(3) <= 1, "{found:?}");
    Ok(())
}
