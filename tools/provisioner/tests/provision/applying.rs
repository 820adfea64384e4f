//! Applying: by two at once, killed half way, and what is slow.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::thread;

use anyhow::{Context as _, Result};
use serde_json::json;

use nubium_test_kit::secure::Secure;

use crate::place::Place;

/// Writes a map of so many topics.
fn map_of(place: &Place, count: usize, partitions: u32) -> Result<()> {
    let configs = json!({ "num_partitions": partitions, "replication_factor": 1,
        "config": { "retention.ms": 600_000 + partitions } });
    let topics = (0..count)
        .map(|number| {
            let topic = json!({ "cluster": "main", "configs": configs });
            (place.name(&format!("{number:03}")), topic)
        })
        .collect::<serde_json::Map<_, _>>();
    place.topics(&serde_json::to_string(&topics)?)
}

/// The last line: so many done, done already, failed and not done.
fn tally(out: &str) -> Vec<usize> {
    let line = out.lines().last().unwrap_or_default();
    line.split(", ").filter_map(|part| part.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn two_at_once_do_it_once() -> Result<()> {
    let place = Place::new("two")?;
    // Made, then grown and changed: two steps for each topic.
    for (partitions, steps) in [(1, 150), (2, 300)] {
        map_of(&place, 150, partitions)?;
        place.run(&["plan", "--out", "plan.json"])?.ended(2);
        let apply = || place.run(&["apply", "plan.json"]);
        let (one, two) = thread::scope(|scope| {
            let one = scope.spawn(apply);
            (apply(), one.join())
        });
        let one = tally(&one?.ended(0));
        let two = tally(&two.map_err(|_| anyhow::anyhow!("a panic"))??.ended(0));
        // Setting a value again is no error, so that both may say that they did it.
        assert!(one[0] + two[0] >= steps, "nothing is left out: {one:?} {two:?}");
        if partitions == 1 {
            assert_eq!(one[0] + two[0], steps, "one of them made each: {one:?} {two:?}");
        }
        place.run(&["plan"])?.ended(0);
    }
    Ok(())
}

#[test]
fn one_that_is_killed_goes_on_when_it_is_applied_again() -> Result<()> {
    let place = Place::new("killed")?;
    map_of(&place, 300, 1)?;
    place.run(&["plan", "--out", "plan.json"])?.ended(2);
    let mut first = place
        .command(&["apply", "plan.json"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let lines = BufReader::new(first.stderr.take().context("stderr")?).lines();
    let begun = lines.map_while(Result::ok).find(|line| line.contains("of 300 done"));
    first.kill()?;
    first.wait()?;
    assert!(begun.is_some(), "it began");
    let again = tally(&place.run(&["apply", "plan.json"])?.ended(0));
    assert_eq!(again[0] + again[1], 300, "{again:?}");
    assert!(again[0] > 0 && again[1] >= 50, "killed in the middle: {again:?}");
    place.run(&["plan"])?.ended(0);
    Ok(())
}

/// Deleting is tried on a broker where only this test's topics can be hit.
#[test]
fn only_what_is_planned_named_and_confirmed_is_deleted() -> Result<()> {
    let bootstrap = Secure::guarded().cluster().bootstrap;
    let place = Place::on("prune", json!({ "main": { "url": bootstrap } }))?;
    place.topics("STEM-a: {cluster: main}\nSTEM-b: {cluster: main}\nSTEM-c: {cluster: main}")?;
    place.provision()?;
    place.topics("STEM-a: {cluster: main}")?;
    assert_eq!(place.plan()?["changes"], 0, "without --prune nothing is deleted");
    let (b, c) = (place.name("b"), place.name("c"));
    let shown = place.run(&["plan", "--prune", "--out", "plan.json"])?.ended(2);
    assert!(shown.contains(&b) && shown.contains(&c) && !shown.contains("__"), "{shown}");
    let said = place.run(&["apply", "plan.json"])?;
    assert!(said.err.contains("left alone"), "{}", said.all());
    let delete = |names: &str, yes: bool| {
        let mut arguments = vec!["apply", "plan.json", "--delete", names];
        arguments.extend(yes.then_some("--yes"));
        place.run(&arguments)
    };
    for (said, why) in [
        (delete(&b, false)?, "must be confirmed"),
        (delete(&place.name("a"), true)?, "which the plan does not delete"),
    ] {
        assert_eq!(said.code, 1, "{}", said.all());
        assert!(said.err.contains(why), "{why}: {}", said.err);
    }
    let there = || -> Result<String> { Ok(place.run(&["import"])?.out) };
    assert!(there()?.contains(&b), "nothing was deleted so far");
    delete(&b, true)?.ended(0);
    assert!(!there()?.contains(&b) && there()?.contains(&c), "only what was named");
    let again = delete(&b, true)?.ended(0);
    assert!(again.contains("0 done, 1 done already"), "{again}");
    Ok(())
}
