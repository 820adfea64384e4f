//! Partitions that were added while all static members were away: nobody would ask for them.

use std::time::Duration;

use anyhow::Result;
use nubium_test_kit::services::shared;
use nubium_test_kit::wait::{Look, eventually};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::place::{Place, Said};

const DEADLINE: Duration = Duration::from_secs(60);

/// A static member as librdkafka makes them; it does not leave when it ends.
fn member(place: &Place) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &shared().bootstrap)
        .set("group.id", place.name("app"))
        .set("group.instance.id", place.name("pods-0"))
        .set("session.timeout.ms", "60000")
        .create()?;
    consumer.subscribe(&[&place.name("in")])?;
    Ok(consumer)
}

/// Waits until the member has so many partitions.
fn has(consumer: &BaseConsumer, wanted: usize) -> Result<()> {
    eventually(&format!("{wanted} partitions"), DEADLINE, || {
        let _ = consumer.poll(Duration::from_millis(100));
        match consumer.assignment().map(|list| list.count()) {
            Ok(count) if count == wanted => Look::Ready(()),
            found => Look::NotYet(format!("{found:?}")),
        }
    })
}

fn rejoin(place: &Place) -> Result<Said> {
    let mut check = place.command(&["check", "--rejoin"]);
    check.env("NU_APP_NAME", place.name("app")).env("NU_HOSTNAME", place.name("pods-0"));
    Place::said(check.env("NU_CONSUMER_GROUP_INSTANCE_ID", "hostname"))
}

#[test]
fn a_static_member_that_comes_back_gets_the_partitions_that_were_added() -> Result<()> {
    let place = Place::new("rejoin")?;
    place.topics("STEM-in: {cluster: main, configs: {num_partitions: 2}}")?;
    place.write("manifests/a.yaml", "{app: STEM-app, kind: app, input: STEM-in}")?;
    place.provision()?;
    let first = member(&place)?;
    has(&first, 2)?;
    drop(first);
    let said = rejoin(&place)?;
    assert!(!said.err.contains("joins again"), "nothing is free: {}", said.all());
    assert!(said.ended(0).contains("takes its place"));

    place.topics("STEM-in: {cluster: main, configs: {num_partitions: 3}}")?;
    place.provision()?;
    let said = rejoin(&place)?;
    let told = format!("has {}[2]", place.name("in"));
    assert!(said.err.contains(&told), "{}", said.all());
    said.ended(0);
    has(&member(&place)?, 3)?;
    // All belong to somebody now.
    assert!(!rejoin(&place)?.err.contains("joins again"));
    Ok(())
}
