//! A stop in the middle of a load loses nothing that was answered 200.

use std::time::Duration;

use anyhow::{Result, ensure};
use nubium_test_kit::process::Signal;
use nubium_test_kit::receiver::{Receiver, verify};
use nubium_test_kit::services::shared;
use nubium_test_kit::topics;

use crate::RECEIVER;

const DEADLINE: Duration = Duration::from_secs(60);

fn receiver(topic: &str, drain: f64) -> Result<Receiver> {
    let services = shared();
    topics::create(&services.bootstrap, &[(topic, 3)])?;
    let settings = format!(
        "limits: {{drain_delay_seconds: {drain}}}\n\
         routes: [{{path: /forms, topic: {topic}, schema: form.avsc, key: /id}}]\n"
    );
    let cluster = (services.bootstrap.as_str(), services.registry.as_str());
    Receiver::start(RECEIVER, cluster, &settings, &[])
}

#[test]
fn on_term_it_is_first_not_ready_then_finishes_what_it_has_and_ends_with_0() -> Result<()> {
    let topic = topics::unique("forms");
    let receiver = receiver(&topic, 3.0)?;
    let load = receiver.load("/forms", 16);
    load.acknowledged(300, DEADLINE)?;
    receiver.process().signal(Signal::TERM)?;
    let reason = receiver.becomes("/readyz", 503, DEADLINE)?;
    ensure!(reason.contains("stop"), "{reason}");
    load.acknowledged(50, DEADLINE)?;
    let status = receiver.process().wait(DEADLINE)?;
    ensure!(status.code() == Some(0), "{status}");
    load.refused(1, DEADLINE)?;
    let answers = receiver.finish(load)?;
    let others: Vec<_> = answers.values().filter(|status| ![200, 0].contains(*status)).collect();
    ensure!(others.is_empty(), "in hand is finished, the rest gets no connection: {others:?}");
    verify(&shared().bootstrap, &topic, &answers)?;
    ensure!(!receiver.health_file().exists(), "the health file goes with the process");
    Ok(())
}

#[test]
fn a_kill_loses_nothing_that_was_answered_200() -> Result<()> {
    let topic = topics::unique("forms");
    let receiver = receiver(&topic, 0.0)?;
    let load = receiver.load("/forms", 16);
    load.acknowledged(500, DEADLINE)?;
    receiver.process().kill()?;
    load.refused(16, DEADLINE)?;
    let answers = receiver.finish(load)?;
    let acknowledged = verify(&shared().bootstrap, &topic, &answers)?;
    ensure!(acknowledged >= 500, "{acknowledged}");
    Ok(())
}
