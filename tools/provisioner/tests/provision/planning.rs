//! Plans, and what else is only looked at.

use anyhow::{Result, anyhow};
use nubium_admin::Admin;
use nubium_config::{Cluster, SecurityProtocol, Tls};
use nubium_provisioner::observed::observe;
use nubium_test_kit::registry::RegistryClient;
use nubium_test_kit::services::shared;
use serde_json::json;

use crate::place::Place;

const SCHEMA: &str = r#"{"type": "record", "name": "Out", "fields": [
    {"name": "a", "type": "string"}]}"#;
const TABLE: &str = "\
app: STEM-t
kind: table
input: STEM-in
output: STEM-out
retry: STEM-retry
failure: STEM-failure
schemas: {STEM-out: out.avsc}
";
/// With a YAML anchor, as the maps of the original have them.
const TOPICS: &str = "\
.common: &common {num_partitions: 3, replication_factor: 1, config: {retention.ms: 600000}}
STEM-in: {cluster: main, configs: *common}
STEM-out: {cluster: main, configs: {<<: *common, num_partitions: 2}}
";

fn place() -> Result<Place> {
    let place = Place::new("plan")?;
    place.topics(TOPICS)?;
    place.write("manifests/t.yaml", TABLE)?;
    place.write("manifests/out.avsc", SCHEMA)?;
    Ok(place)
}

#[test]
fn a_plan_is_applied_and_then_there_is_nothing_to_do() -> Result<()> {
    let place = place()?;
    let shown = place.run(&["plan", "--out", "plan.json"])?.ended(2);
    let changelog = format!("{}-t__changelog", place.stem);
    for text in [&changelog, "3 partitions", "retention.ms=600000", "new subject", "9 changes"] {
        assert!(shown.contains(text), "{text}:\n{shown}");
    }
    assert_eq!(place.plan()?["changes"], 9, "planning changes nothing");
    let done = place.run(&["apply", "plan.json"])?.ended(0);
    assert!(done.contains("9 done, 0 done already, 0 failed, 0 not done"), "{done}");
    let shown = place.run(&["plan"])?.ended(0);
    assert!(shown.contains("Nothing to do"), "{shown}");
    let again = place.run(&["apply", "plan.json"])?.ended(0);
    assert!(again.contains("0 done, 9 done already, 0 failed, 0 not done"), "{again}");
    place.run(&["check"])?.ended(0);
    Ok(())
}

#[test]
fn a_tables_input_grows_with_its_changelog_and_old_values_are_shown() -> Result<()> {
    let place = place()?;
    place.provision()?;
    place.topics(&TOPICS.replace("partitions: 3", "partitions: 5").replace("600000", "700000"))?;
    let shown = place.run(&["plan", "--out", "grow.json"])?.ended(2);
    for text in ["partitions: 3 → 5", "retention.ms: 600000 → 700000", "keys move"] {
        assert!(shown.contains(text), "{text}:\n{shown}");
    }
    let done = place.run(&["apply", "grow.json"])?.ended(0);
    let at = |text: String| done.find(&text).unwrap_or_else(|| panic!("{text}:\n{done}"));
    let changelog = at(format!("raise topic {}-t__changelog on main to 5", place.stem));
    assert!(changelog < at(format!("raise topic {}-in on main to 5", place.stem)), "{done}");
    place.run(&["plan"])?.ended(0);
    place.topics(&TOPICS.replace("partitions: 3", "partitions: 4").replace("600000", "700000"))?;
    let shown = place.run(&["plan", "--out", "lower.json"])?.ended(1);
    assert!(shown.contains("partitions cannot be taken away"), "{shown}");
    assert!(!place.path("lower.json").exists(), "a plan that cannot be applied is not kept");
    Ok(())
}

#[test]
fn the_registrys_verdict_is_part_of_the_plan() -> Result<()> {
    let place = place()?;
    let subject = format!("{}-value", place.name("out"));
    let registry = RegistryClient::new(&shared().registry)?;
    registry.register(&subject, SCHEMA)?;
    registry.set_compatibility(&subject, "BACKWARD")?;
    let with = |field: &str| SCHEMA.replace("[\n", &format!("[{field},"));
    place.write("manifests/out.avsc", &with(r#"{"name": "b", "type": "int", "default": 1}"#))?;
    let shown = place.run(&["plan"])?.ended(2);
    assert!(shown.contains("compatible"), "{shown}");
    place.write("manifests/out.avsc", &with(r#"{"name": "b", "type": "int"}"#))?;
    let shown = place.run(&["plan"])?.ended(1);
    assert!(shown.contains(&subject) && shown.contains("compatibility rule"), "{shown}");
    Ok(())
}

#[test]
fn every_problem_of_settings_and_manifests_is_told_at_once() -> Result<()> {
    let place = place()?;
    place.topics("STEM-in: {cluster: mian, configs: {num_partitions: none}}")?;
    place.write("manifests/t.yaml", "{app: t, kind: tabel, input: 'a b'}")?;
    let said = place.run(&["plan"])?;
    for text in ["STEM-in.cluster", "did you mean main?", "num_partitions", "tabel"] {
        let text = text.replace("STEM", &place.stem);
        assert!(said.err.contains(&text), "{text}:\n{}", said.err);
    }
    assert_eq!(said.code, 1);
    let said = Place::on("empty", json!({ "main": { "url": "127.0.0.1:1" } }))?.run(&["plan"])?;
    assert!(said.err.contains("NU_TOPIC_CONFIGS_JSON"), "{}", said.err);
    assert_eq!(said.code, 1);
    Ok(())
}

#[test]
fn services_that_do_not_answer_are_named() -> Result<()> {
    let place = Place::on("gone", json!({ "main": { "url": "127.0.0.1:1" } }))?;
    place.topics("a: {cluster: main}")?;
    let said = place.run(&["plan"])?;
    assert_eq!(said.code, 3, "{}", said.all());
    assert!(said.err.contains("main") && said.err.contains("127.0.0.1:1"), "{}", said.err);
    let place = self::place()?;
    let mut plan = place.command(&["plan"]);
    let said = Place::said(plan.env("NU_SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"))?;
    assert_eq!(said.code, 3, "{}", said.all());
    assert!(said.err.contains("schema registry"), "{}", said.err);
    Ok(())
}

#[test]
fn an_import_is_a_map_that_changes_nothing() -> Result<()> {
    let place = place()?;
    place.provision()?;
    let all = place.run(&["import"])?.ended(0);
    assert!(!all.contains("__consumer_offsets"), "internal topics are left out");
    // The cluster is shared: other tests' topics come and go.
    let map: serde_norway::Mapping = serde_norway::from_str(&all)?;
    let ours: serde_norway::Mapping = map
        .into_iter()
        .filter(|(name, _)| name.as_str().is_some_and(|name| name.starts_with(&place.stem)))
        .collect();
    assert_eq!(ours.len(), 5, "{ours:?}");
    place.topics(&serde_norway::to_string(&ours)?)?;
    place.run(&["plan"])?.ended(0);
    Ok(())
}

/// A plan's time is its number of requests, and that must not grow with the topics.
#[test]
fn hundreds_of_topics_are_planned_in_a_handful_of_requests() -> Result<()> {
    let place = Place::new("many")?;
    let map: String = (0..400)
        .map(|number| format!("STEM-{number}: {{cluster: main, configs: {{num_partitions: 1}}}}\n"))
        .collect();
    place.topics(&map)?;
    place.provision()?;
    place.run(&["plan"])?.ended(0);
    let cluster = Cluster {
        url: shared().bootstrap.clone(),
        protocol: SecurityProtocol::Plaintext,
        sasl: None,
        tls: Tls::default(),
        protected: false,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let names = (0..400).map(|number| place.name(&number.to_string())).collect();
    let admin = runtime.block_on(Admin::connect(&cluster, "many"))?;
    let before = admin.requests();
    let found =
        runtime.block_on(observe("main", &admin, &names, true)).map_err(|e| anyhow!("{e}"))?;
    assert!(names.iter().all(|name| found.topics.contains_key(name)));
    assert_eq!(admin.requests() - before, 4, "cluster, topics, configurations, rights");
    Ok(())
}

#[test]
fn the_page_and_the_manual_are_written_without_a_cluster() -> Result<()> {
    let place = place()?;
    place.run(&["docs", "--out", "page.md"])?.ended(0);
    let page = std::fs::read_to_string(place.path("page.md"))?;
    assert!(page.contains("flowchart LR") && page.contains(&place.name("in")), "{page}");
    place.run(&["man", "."])?.ended(0);
    assert!(std::fs::read_to_string(place.path("nubium-provision-plan.1"))?.contains("prune"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&["completions", shell])?.ended(0).contains("nubium-provision"));
    }
    assert!(place.run(&["--help"])?.ended(0).contains("Exit codes"));
    place.run(&["no-such-command"])?.ended(1);
    Ok(())
}
