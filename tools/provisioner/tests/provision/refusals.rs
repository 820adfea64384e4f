//! What brokers refuse is in the way of a plan, with topic and reason; and where it comes to light
//! only when a plan is applied, the rest is told as not done.

use anyhow::Result;

use crate::place::Place;

#[track_caller]
fn has_line(text: &str, start: &str, parts: &[&str]) {
    let found = text
        .lines()
        .any(|line| line.starts_with(start) && parts.iter().all(|part| line.contains(part)));
    assert!(found, "{start} {parts:?}:\n{text}");
}

#[test]
fn what_the_brokers_would_refuse_is_told_by_the_plan_and_nothing_is_made() -> Result<()> {
    let place = Place::new("refused")?;
    place.topics("STEM-z.last: {cluster: main}")?;
    place.provision()?;
    place.topics(
        "STEM-copies: {cluster: main, configs: {replication_factor: 7}}\n\
         STEM-good: {cluster: main, configs: {replication_factor: -1,\n  \
         config: {cleanup.policy: [compact, delete], max.message.bytes: 1e6}}}\n\
         STEM-key: {cluster: main, configs: {config: {retention.mss: 1000}}}\n\
         STEM-heartbeats: {cluster: main}\n\
         STEM-value: {cluster: main, configs: {config: {retention.ms: soon}}}\n\
         STEM-z_last: {cluster: main}\n",
    )?;
    let text = place.run(&["plan", "--out", "plan.json"])?.ended(1);
    let conflict = |topic: &str, parts: &[&str]| {
        has_line(&text, "CANNOT BE DONE", &[&[&*place.name(topic)], parts].concat());
    };
    conflict("copies", &["INVALID_REPLICATION_FACTOR"]);
    conflict("key", &["INVALID_CONFIG", "retention.mss"]);
    conflict("value", &["INVALID_CONFIG", "retention.ms"]);
    conflict("z_last", &["z.last", "rename it"]);
    assert_eq!(text.matches("CANNOT BE DONE").count(), 4, "{text}");
    assert!(!place.path("plan.json").exists(), "a plan that cannot be applied is not kept");
    Ok(())
}

#[test]
fn a_change_that_is_refused_is_told_by_the_plan_and_put_right_by_another() -> Result<()> {
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
    let text = place.run(&["plan"])?.ended(1);
    let parts = [&*place.name("a"), "INVALID_CONFIG", "min.insync.replicas"];
    has_line(&text, "CANNOT BE DONE", &parts);
    change("1")?;
    place.provision()?;
    place.run(&["plan"])?.ended(0);
    Ok(())
}

#[test]
fn lists_in_another_order_and_numbers_written_otherwise_are_no_change() -> Result<()> {
    let place = Place::new("same")?;
    for (policy, bytes) in [("[delete, compact]", "1e6"), ("'compact,delete'", "1000000")] {
        place.topics(&format!(
            "STEM-a: {{cluster: main, configs: {{replication_factor: -1, config: {{\
             cleanup.policy: {policy}, max.message.bytes: {bytes}}}}}}}"
        ))?;
        if policy.starts_with('[') {
            place.provision()?;
        }
        place.run(&["plan"])?.ended(0);
    }
    Ok(())
}

#[test]
fn what_is_refused_only_when_it_is_applied_has_its_reason_and_the_rest_is_not_done() -> Result<()> {
    let place = Place::new("late")?;
    place.topics("STEM-bad_name: {cluster: main}\nSTEM-good: {cluster: main}\n")?;
    place.write(
        "manifests/a.yaml",
        "{app: STEM, kind: app, input: STEM-good, output: STEM-good, \
        schemas: {STEM-good: a.avsc}}",
    )?;
    place.write("manifests/a.avsc", "\"string\"")?;
    place.run(&["plan", "--out", "plan.json"])?.ended(2);
    // Somebody else makes a topic meanwhile that stands in the way of one of them.
    let mut other = Place::new("late")?;
    other.stem.clone_from(&place.stem);
    other.topics("STEM-bad.name: {cluster: main}")?;
    other.provision()?;
    let text = place.run(&["apply", "plan.json"])?.ended(1);
    has_line(&text, "FAILED", &[&place.name("bad_name"), "INVALID_TOPIC_EXCEPTION"]);
    has_line(&text, "done", &[&place.name("good")]);
    has_line(&text, "NOT DONE", &["register the schema"]);
    Ok(())
}
