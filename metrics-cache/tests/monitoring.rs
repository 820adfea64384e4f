//! What is in `deploy/monitoring`: the alerts fire when they should, and name what exists.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{cache, install};
use serde_json::Value;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/monitoring").join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn promtool_takes_rules_and_configuration_and_every_alert_passes_its_test() {
    for (arguments, name) in [
        (["check", "rules"], "rules.yaml"),
        (["test", "rules"], "rules_test.yaml"),
        (["check", "config"], "prometheus.yaml"),
    ] {
        let mut promtool = Command::new(install::program("promtool", "prometheus"));
        promtool.args(arguments).arg(file(name));
        install::run(&mut promtool, name);
    }
    let (rules, tests) = (read(&file("rules.yaml")), read(&file("rules_test.yaml")));
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n");
        assert!(tests.contains(&fires), "no test in rules_test.yaml in which {alert} fires");
    }
}

/// The rules once more, as the object that Prometheus' operator and OpenShift take.
#[test]
fn the_object_for_the_operator_has_the_same_rules() {
    let rules = read(&file("rules.yaml"));
    let groups = &rules[rules.find("groups:").expect("groups")..];
    let indented = groups.lines().map(|line| match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("  {line}\n"),
    });
    let want = "# Made of rules.yaml. Change it there, then run\n\
                # NUBIUM_BLESS=1 cargo test -p nubium-metrics-cache --test monitoring\n\
                apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n\
                metadata:\n  name: nubium\nspec:\n"
        .to_owned()
        + &indented.collect::<String>();
    let place = file("prometheusrule.yaml");
    if std::env::var_os("NUBIUM_BLESS").is_some() {
        std::fs::write(&place, &want).expect("written");
    }
    assert!(read(&place) == want, "prometheusrule.yaml is not what rules.yaml makes: bless it");
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md"));
    let mut known: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    let server = cache(&[]);
    server.put("/metrics/job/j", "");
    let scrape = server.metrics();
    let types = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    known.extend(types.map(|(name, _)| name.to_owned()));
    assert!(known.contains("messages_consumed") && known.contains("metrics_cache_groups"));

    let dashboard: Value = serde_json::from_str(&read(&file("dashboard.json"))).expect("JSON");
    let mut queries = vec![read(&file("rules.yaml"))];
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64()), "two panels have the id {}", panel["id"]);
        let targets = panel["targets"].as_array();
        assert!(targets.is_some() || panel["type"] == "row", "no query: {}", panel["title"]);
        for target in targets.into_iter().flatten() {
            queries.push(target["expr"].as_str().expect("a query").to_owned());
        }
    }
    assert!(queries.len() > 20, "{}", queries.len());
    for query in &queries {
        for name in words(query) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let exists = known.contains(name) || base.is_some_and(|base| known.contains(base));
            assert!(exists || !looks_like_ours(name), "no metric has the name {name}: {query}");
        }
    }
}

fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

fn looks_like_ours(name: &str) -> bool {
    let prefixes = ["nubium_", "metrics_cache_", "pushgateway_", "messages_", "push_", "process_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
        || ["message_errors", "seconds_behind", "external_requests"].contains(&name)
}
