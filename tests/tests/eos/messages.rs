//! Single messages: headers, retries, failures, and bytes that are no Avro.

use anyhow::{Context, Result};
use nubium_test_kit::checker::{Extent, Source, Violation, check};
use nubium_test_kit::ledger::{Fate, Ledger, Partition};
use nubium_test_kit::reader::{Raw, read_all, settled};
use nubium_test_kit::registry::RegistryClient;
use nubium_test_kit::scenario::{Cluster, DEADLINE, Kept, Scenario};
use nubium_test_kit::topics;

use crate::APP;
use crate::setup::{scenario_on, write_ledger};

struct Run {
    ledger: Ledger,
    scenario: Scenario,
    input: Partition,
    retry: String,
    failure: String,
}

fn prepare(name: &str) -> Result<Run> {
    let cluster = Cluster::shared();
    let ledger = write_ledger(&cluster, name, 0)?;
    let mut scenario = scenario_on(&cluster, name, &ledger)?;
    let (retry, failure) =
        (format!("{}-retry", scenario.group), format!("{}-failure", scenario.group));
    topics::create(&cluster.bootstrap, &[(&retry, 1), (&failure, 1)])?;
    let input = ledger.partitions().first().context("no partition")?.clone();
    // An app that retries consumes its own topic; the routes are named after it.
    scenario.set("NU_CONSUME_TOPICS", input.topic.clone()).set("LEDGER_INPUTS", &input.topic);
    Ok(Run { ledger, scenario, input, retry, failure })
}

impl Run {
    fn read(&self, topic: &str) -> Result<Vec<Raw>> {
        let bootstrap = &self.scenario.cluster.bootstrap;
        settled(bootstrap, &[topic], DEADLINE)?;
        read_all(bootstrap, &[topic])
    }
}

#[test]
fn headers_pass_through_and_are_overridden_added_and_dropped() -> Result<()> {
    let mut run = prepare("headers")?;
    run.ledger.write_fates(&run.input, &[Fate::Copy, Fate::Headers])?;
    let mut app = Kept::start(&run.scenario, APP, "app")?;
    run.scenario.drained(&run.ledger, || app.tend())?;
    let mut records = run.scenario.verify(&run.ledger, Extent::Complete)?;
    records.sort_by_key(|record| record.output().map(|output| output.seq).unwrap_or(-1));
    let [plain, changed] = &records[..] else { panic!("{records:?}") };
    for (header, passed, replaced) in [
        ("guid", Some("guid-0"), Some("guid-1")),
        ("last_updated_by", Some("ledger"), Some("ledger-app")),
        ("added", None, Some("by the app")),
        ("unwanted", Some("x"), None),
    ] {
        assert_eq!(plain.header(header), passed, "{header}");
        assert_eq!(changed.header(header), replaced, "{header}");
        let times = changed.headers.iter().filter(|(name, _)| name == header).count();
        assert_eq!(times, usize::from(replaced.is_some()), "{header}: {:?}", changed.headers);
    }
    Ok(())
}

#[test]
fn a_retry_goes_to_its_own_topic_then_the_retry_topic() -> Result<()> {
    let mut run = prepare("retry")?;
    run.scenario.set("NU_RETRY_COUNT_MAX", "2");
    run.scenario.set("NU_PRODUCE_RETRY_TOPICS", run.retry.clone());
    run.scenario.set("NU_PRODUCE_FAILURE_TOPICS", run.failure.clone());
    run.ledger.write_fates(&run.input, &[Fate::Retry])?;
    let _app = run.scenario.start(APP, "app")?;
    let retry = run.retry.clone();
    let progress = nubium_test_kit::reader::Progress::of(&run.scenario.cluster.bootstrap, &retry)?;
    progress.reach(1, DEADLINE, || Ok(()))?;
    // Each copy goes where its key leads, which is not where the ledger put the first.
    let mut own = run.read(&run.input.topic)?;
    own.sort_by_key(|record| record.header("kafka_retry_count").map(str::to_owned));
    let counts: Vec<_> = own.iter().map(|record| record.header("kafka_retry_count")).collect();
    assert_eq!(counts, [None, Some("1"), Some("2")]);
    let moved = run.read(&run.retry)?;
    let [last] = &moved[..] else { panic!("{moved:?}") };
    assert_eq!(last.header("kafka_retry_count"), Some("0"));
    assert_eq!((&last.key, &last.value), (&own[0].key, &own[0].value));
    assert_eq!(last.header("guid"), Some("guid-0"));
    assert_eq!(run.read(&run.failure)?, []);
    Ok(())
}

#[test]
fn a_failure_goes_to_the_failure_topic_and_says_why() -> Result<()> {
    let mut run = prepare("failure")?;
    run.scenario.set("NU_PRODUCE_FAILURE_TOPICS", run.failure.clone());
    run.ledger.write_fates(&run.input, &[Fate::Copy, Fate::Failure, Fate::Copy])?;
    let mut app = Kept::start(&run.scenario, APP, "app")?;
    run.scenario.drained(&run.ledger, || app.tend())?;
    run.scenario.verify(&run.ledger, Extent::Complete)?;
    let failed = run.read(&run.failure)?;
    let [record] = &failed[..] else { panic!("{failed:?}") };
    let original = &run.read(&run.input.topic)?[1];
    assert_eq!((&record.key, &record.value), (&original.key, &original.value));
    assert_eq!(record.header("guid"), Some("guid-1"));
    let exception: serde_json::Value =
        serde_json::from_str(record.header("exception").context("no header `exception`")?)?;
    assert_eq!(exception["name"], "Broken", "{exception}");
    Ok(())
}

#[test]
fn a_message_whose_function_fails_goes_to_the_failure_topic_alone() -> Result<()> {
    let mut run = prepare("dead-letter")?;
    run.scenario.set("NU_PRODUCE_FAILURE_TOPICS", run.failure.clone());
    run.scenario.set("NU_ERROR_POLICY", "dead_letter").set("LEDGER_FAIL_ONCE", "1");
    run.ledger.write_fates(&run.input, &[Fate::Copy; 3])?;
    let mut app = Kept::start(&run.scenario, APP, "app")?;
    run.scenario.drained(&run.ledger, || app.tend())?;
    let (evidence, _) = run.scenario.evidence(run.ledger.partitions())?;
    let broken = check(run.ledger.rows(), &evidence, Extent::Complete);
    let source = Source { partition: run.input.clone(), offset: 1 };
    assert_eq!(broken, [Violation::Lost(source)], "its copy alone is missing");
    let failed = run.read(&run.failure)?;
    let [record] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!(record.header("guid"), Some("guid-1"));
    let exception = record.header("exception").context("no header `exception`")?;
    assert!(exception.contains("Planned"), "{exception}");
    Ok(())
}

#[test]
fn undecodable_bytes_go_to_the_failure_topic_as_they_are() -> Result<()> {
    let mut run = prepare("garbage")?;
    run.scenario.set("NU_PRODUCE_FAILURE_TOPICS", run.failure.clone());
    let garbage: [&[u8]; 4] = [b"", b"no avro at all", &[0, 0, 0], &[1, 0, 0, 0, 1, 2]];
    run.ledger.write_fates(&run.input, &[Fate::Copy])?;
    for bytes in garbage {
        run.ledger.write_bytes(&run.input, bytes)?;
    }
    run.ledger.write_fates(&run.input, &[Fate::Copy])?;
    let mut app = Kept::start(&run.scenario, APP, "app")?;
    run.scenario.drained(&run.ledger, || app.tend())?;
    run.scenario.verify(&run.ledger, Extent::Complete)?;
    let failed = run.read(&run.failure)?;
    let values: Vec<_> = failed.iter().map(|record| record.value.as_deref()).collect();
    assert_eq!(values, garbage.map(Some));
    let guids: Vec<_> = failed.iter().map(|record| record.header("guid")).collect();
    assert_eq!(guids, [Some("guid-1"), Some("guid-2"), Some("guid-3"), Some("guid-4")]);
    assert!(failed.iter().all(|record| record.header("exception").is_some()));
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    Ok(())
}

#[test]
fn a_record_of_another_format_that_does_not_fit_goes_to_the_failure_topic() -> Result<()> {
    let mut run = prepare("not-avro")?;
    run.scenario.set("NU_PRODUCE_FAILURE_TOPICS", run.failure.clone());
    let registry = RegistryClient::new(&run.scenario.cluster.registry)?;
    let subject = format!("{}-json", run.scenario.group);
    let schema = r#"{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}"#;
    let id = registry.register_as("JSON", &subject, schema)?;
    let value = [&[0][..], &id.to_be_bytes(), b"{}"].concat();
    run.ledger.write_fates(&run.input, &[Fate::Copy])?;
    run.ledger.write_bytes(&run.input, &value)?;
    run.ledger.write_bytes(&run.input, &value)?;
    run.ledger.write_fates(&run.input, &[Fate::Copy])?;
    let mut app = Kept::start(&run.scenario, APP, "app")?;
    run.scenario.drained(&run.ledger, || app.tend())?;
    run.scenario.verify(&run.ledger, Extent::Complete)?;
    let failed = run.read(&run.failure)?;
    let values: Vec<_> = failed.iter().map(|record| record.value.as_deref()).collect();
    assert_eq!(values, [Some(&*value), Some(&*value)]);
    let exception = failed[0].header("exception").context("no header `exception`")?;
    let schema = format!("schema {id}");
    assert!(exception.contains("DecodeError") && exception.contains(&schema), "{exception}");
    assert!(app.exits().is_empty(), "it ended by itself: {:?}", app.exits());
    Ok(())
}

#[test]
fn without_a_failure_topic_undecodable_bytes_end_the_app_and_are_named() -> Result<()> {
    let mut run = prepare("poison")?;
    run.ledger.write_fates(&run.input, &[Fate::Copy, Fate::Copy])?;
    run.ledger.write_bytes(&run.input, b"no avro at all")?;
    run.ledger.write_fates(&run.input, &[Fate::Copy])?;
    let app = run.scenario.start(APP, "app")?;
    let status = app.wait(DEADLINE)?;
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    let log = app.log();
    for named in [run.input.topic.as_str(), "offset 2"] {
        assert!(log.contains(named), "the log does not name {named}:\n{}", app.log_tail());
    }
    // What was complete before it is committed, and it is not skipped.
    run.scenario.verify(&run.ledger, Extent::UpToCommitted)?;
    let bootstrap = &run.scenario.cluster.bootstrap;
    let committed =
        nubium_test_kit::reader::committed(bootstrap, &run.scenario.group, &[run.input.clone()])?;
    assert_eq!(committed.get(&run.input), Some(&2));
    Ok(())
}
