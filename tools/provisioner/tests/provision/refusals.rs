//! What brokers refuse is shown with topic and reason, and the rest is told as not done.

use anyhow::Result;

use crate::place::Place;

/// Plans and applies; gives what was said by an application that stopped.
fn stopped(place: &Place) -> Result<String> {
    place.run(&["plan", "--out", "plan.json"])?.ended(2);
    Ok(place.run(&["apply", "plan.json"])?.ended(1))
}

#[track_caller]
fn has_line(text: &str, start: &str, parts: &[&str]) {
    let found = text
        .lines()
        .any(|line| line.starts_with(start) && parts.iter().all(|part| line.contains(part)));
    assert!(found, "{start} {parts:?}:\n{text}");
}

#[test]
fn each_refused_topic_has_its_reason_and_the_rest_is_not_done() -> Result<()> {
    let place = Place::new("refused")?;
    place.topics(
        "STEM-copies: {cluster: main, configs: {replication_factor: 7}}\n\
         STEM-good: {cluster: main}\n\
         STEM-key: {cluster: main, configs: {config: {no.such.key: 1}}}\n\
         STEM-value: {cluster: main, configs: {config: {retention.ms: soon}}}\n",
    )?;
    place.write(
        "manifests/a.yaml",
        "{app: STEM, kind: app, input: STEM-good, output: STEM-good, \
        schemas: {STEM-good: a.avsc}}",
    )?;
    place.write("manifests/a.avsc", "\"string\"")?;
    let text = stopped(&place)?;
    has_line(&text, "FAILED", &[&place.name("copies"), "INVALID_REPLICATION_FACTOR"]);
    has_line(&text, "FAILED", &[&place.name("key"), "INVALID_CONFIG", "no.such.key"]);
    has_line(&text, "FAILED", &[&place.name("value"), "INVALID_CONFIG", "retention.ms"]);
    has_line(&text, "done", &[&place.name("good")]);
    has_line(&text, "NOT DONE", &["register the schema"]);
    Ok(())
}

#[test]
fn a_refused_change_has_its_reason_and_is_put_right_by_another_plan() -> Result<()> {
    let place = Place::new("refused-change")?;
    place.topics("STEM-a: {cluster: main}\nSTEM-b: {cluster: main}")?;
    place.provision()?;
    let change = |value: &str| {
        place.topics(&format!(
            "STEM-a: {{cluster: main, configs: {{config: {{min.insync.replicas: {value}}}}}}}\n\
             STEM-b: {{cluster: main, configs: {{num_partitions: 2}}}}"
        ))
    };
    change("-3")?;
    let text = stopped(&place)?;
    has_line(&text, "FAILED", &[&place.name("a"), "INVALID_CONFIG", "min.insync.replicas"]);
    has_line(&text, "done", &[&place.name("b"), "2 partitions"]);
    change("1")?;
    place.provision()?;
    place.run(&["plan"])?.ended(0);
    Ok(())
}
