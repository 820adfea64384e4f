//! Tests of plans: what is decided from what shall be and what is.

use std::collections::{BTreeMap, BTreeSet};

use nubium_config::Topology;

use super::*;
use crate::desired::{desired, names};
use crate::manifest::{Manifest, parse};
use crate::observed::{Observed, Rights};

const CLUSTERS: &str = r#"{"main": {"url": "a:1"}, "east": {"url": "b:1"}}"#;

/// Plans for a map of topics as JSON, on cluster `main` as it is.
fn plan_of(topics: &str, apps: &[&str], there: &[(&str, State)]) -> Plan {
    plan_with(topics, apps, there, Rights::Unasked, Prune::No)
}

fn plan_with(
    topics: &str,
    apps: &[&str],
    there: &[(&str, State)],
    rights: Rights,
    prune: Prune,
) -> Plan {
    let vars = [("NU_KAFKA_CLUSTERS_CONFIGS_JSON", CLUSTERS), ("NU_TOPIC_CONFIGS_JSON", topics)];
    let vars = vars.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let topology = Topology::from_vars(vars, nubium_config::Clusters::Needed)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let manifests: Vec<Manifest> = apps.iter().map(|text| app(text)).collect();
    let topics = there.iter().map(|(name, state)| ((*name).to_owned(), state.clone())).collect();
    let found = Observed { id: "id".into(), topics, internal: BTreeSet::new(), rights };
    let observed = BTreeMap::from([("main".to_owned(), found)]);
    let desired = desired(&topology, &manifests, &observed);
    plan(&desired, &observed, &names(&topology, &manifests), prune)
}

fn app(text: &str) -> Manifest {
    parse("app.yaml", text, &|_| Ok("\"string\"".into())).unwrap_or_else(|e| panic!("{e:?}"))
}

fn state(partitions: u32, replication: u16, config: &[(&str, &str)]) -> State {
    State { id: "1".into(), partitions, replication, config: pairs(config) }
}

fn pairs(config: &[(&str, &str)]) -> BTreeMap<String, String> {
    config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn action<'p>(plan: &'p Plan, topic: &str) -> &'p Action {
    &plan.clusters["main"].topics[topic].action
}

fn topic(configs: &str) -> String {
    format!(r#"{{"a": {{"cluster": "main", "configs": {configs}}}}}"#)
}

#[test]
fn what_the_map_names_is_made_or_changed_and_what_it_does_not_name_stays() {
    let map = topic(r#"{"num_partitions": 3, "replication_factor": 1, "config": {"x": 2}}"#);
    let new = plan_of(&map, &[], &[]);
    let wanted =
        Action::Create { partitions: Some(3), replication: Some(1), config: pairs(&[("x", "2")]) };
    assert_eq!(*action(&new, "a"), wanted);
    for (there, wanted) in [
        (state(3, 1, &[("x", "2")]), Action::Keep),
        (state(3, 1, &[("x", "2"), ("other", "y")]), Action::Keep),
        (
            state(3, 1, &[("x", "1")]),
            Action::Change { partitions: None, config: pairs(&[("x", "2")]) },
        ),
        (state(2, 1, &[]), Action::Change { partitions: Some(3), config: pairs(&[("x", "2")]) }),
    ] {
        let plan = plan_of(&map, &[], &[("a", there.clone())]);
        assert_eq!(*action(&plan, "a"), wanted, "{there:?}");
        assert!(plan.conflicts.is_empty(), "{there:?}");
    }
    let open = plan_of(r#"{"a": {"cluster": "main"}}"#, &[], &[("a", state(9, 3, &[("x", "1")]))]);
    assert_eq!((action(&open, "a"), open.changes()), (&Action::Keep, 0));
}

#[test]
fn values_that_mean_the_same_are_no_change_and_no_drift() {
    let map = topic(
        r#"{"replication_factor": -1, "config": {"max.message.bytes": 1e6,
        "cleanup.policy": ["compact", "delete"], "min.cleanable.dirty.ratio": "0.50"}}"#,
    );
    let there = [
        ("cleanup.policy", "delete,compact"),
        ("max.message.bytes", "1000000"),
        ("min.cleanable.dirty.ratio", "0.5"),
    ];
    let there = state(3, 2, &there);
    let plan = plan_of(&map, &[], &[("a", there.clone())]);
    assert_eq!((action(&plan, "a"), &plan.conflicts[..]), (&Action::Keep, &[][..]));
    let new = plan_of(&map, &[], &[]).clusters["main"].topics["a"].clone();
    assert_eq!(standing(&new, Some(&there)), Standing::Done, "another made it");
    let Action::Create { config, replication: None, .. } = new.action else { panic!("{new:?}") };
    let before = Some(state(3, 2, &[]));
    let action = Action::Change { partitions: None, config };
    let change = TopicPlan { origin: Default::default(), before, action };
    assert_eq!(standing(&change, Some(&there)), Standing::Done);
}

#[test]
fn names_that_kafka_takes_for_one_are_in_the_way() {
    let map = r#"{"z_last": {"cluster": "main"}, "n.e.w": {"cluster": "main"},
        "n_e_w": {"cluster": "main"}, "old.a": {"cluster": "main"}}"#;
    let there = [
        ("z.last", state(1, 1, &[])),
        ("old.a", state(1, 1, &[])),
        // Some clusters have such a pair from an earlier time.
        ("old_a", state(1, 1, &[])),
    ];
    let plan = plan_of(map, &[], &there);
    let [first, second] = &plan.conflicts[..] else { panic!("{:?}", plan.conflicts) };
    assert!(first.contains("topic n_e_w on main cannot be created beside n.e.w"), "{first}");
    assert!(second.contains("topic z_last on main cannot be created beside z.last"), "{second}");
}

#[test]
fn partitions_are_never_lowered_and_copies_never_moved() {
    let map = topic(r#"{"num_partitions": 2, "replication_factor": 3}"#);
    let plan = plan_of(&map, &[], &[("a", state(4, 1, &[]))]);
    let text = plan.conflicts.join("\n");
    assert!(text.contains("has 4 partitions and shall have 2"), "{text}");
    assert!(text.contains("1 copies") && text.contains("kafka-reassign-partitions"), "{text}");
    assert_eq!(plan.changes(), 0);
}

const INPUT: &str = r#"{"in": {"cluster": "main", "configs":
    {"num_partitions": 6, "replication_factor": 2, "config": {"retention.ms": 1}}}}"#;
const TABLE: &str = "{app: t, kind: table, input: in, retry: r, failure: f}";

#[test]
fn changelog_retries_and_failures_follow_the_input() {
    let plan = plan_of(INPUT, &[TABLE], &[]);
    let like_input = |config: &[(&str, &str)]| Action::Create {
        partitions: Some(6),
        replication: Some(2),
        config: pairs(config),
    };
    assert_eq!(*action(&plan, "t__changelog"), like_input(&[("cleanup.policy", "compact")]));
    assert_eq!(*action(&plan, "r"), like_input(&[]));
    assert_eq!(*action(&plan, "f"), like_input(&[]));
    assert!(plan.conflicts.is_empty(), "{:?}", plan.conflicts);
    // An input that only the cluster knows is as good.
    let plan = plan_of(
        r#"{"x": {"cluster": "main"}}"#,
        &["{app: t, kind: table, input: in, output: x}"],
        &[],
    );
    assert!(plan.conflicts[0].contains("topic in of app t"), "{:?}", plan.conflicts);
    let there = [("in", state(5, 3, &[])), ("x", state(1, 1, &[]))];
    let app = "{app: t, kind: table, input: in, output: x}";
    let plan = plan_of(r#"{"x": {"cluster": "main"}}"#, &[app], &there);
    let Action::Create { partitions, replication, .. } = action(&plan, "t__changelog") else {
        panic!("{plan:?}")
    };
    assert_eq!((*partitions, *replication), (Some(5), Some(3)));
}

#[test]
fn a_tables_input_grows_with_its_changelog_and_a_warning_only() {
    let there = [
        ("in", state(4, 2, &[("retention.ms", "1")])),
        ("t__changelog", state(4, 2, &[("cleanup.policy", "compact")])),
        ("r", state(4, 2, &[])),
        ("f", state(1, 1, &[])),
    ];
    let plan = plan_of(INPUT, &[TABLE], &there);
    for name in ["in", "t__changelog"] {
        let Action::Change { partitions: Some(6), .. } = action(&plan, name) else {
            panic!("{name}: {plan:?}")
        };
    }
    assert_eq!(plan.warnings.len(), 1, "{:?}", plan.warnings);
    assert!(plan.warnings[0].contains("table of t"), "{:?}", plan.warnings);
    // Topics for retries and failures need not be as wide as their input.
    assert_eq!((action(&plan, "r"), action(&plan, "f")), (&Action::Keep, &Action::Keep));
    let fixed = INPUT.replace(
        r#"{"in""#,
        r#"{"t__changelog": {"cluster": "main", "configs": {"num_partitions": 4}}, "in""#,
    );
    let plan = plan_of(&fixed, &[TABLE], &there);
    assert!(plan.conflicts[0].contains("t__changelog"), "{:?}", plan.conflicts);
    assert!(plan.conflicts[0].contains("the same number"), "{:?}", plan.conflicts);
}

#[test]
fn a_changelog_that_shrinks_or_is_wider_than_its_input_is_in_the_way() {
    let there = [("in", state(6, 2, &[("retention.ms", "1")])), ("t__changelog", state(8, 2, &[]))];
    let plan = plan_of(INPUT, &[TABLE], &there);
    assert!(plan.conflicts[0].contains("t__changelog on main has 8"), "{:?}", plan.conflicts);
}

#[test]
fn internal_topics_and_mirrors_are_left_alone_even_if_the_map_names_them() {
    let map = r#"{"__consumer_offsets": {"cluster": "main", "configs": {"num_partitions": 99}},
        "east.a": {"cluster": "main", "configs": {"num_partitions": 99}}}"#;
    let there = [("__consumer_offsets", state(50, 1, &[])), ("east.a", state(1, 1, &[]))];
    let plan = plan_with(map, &[], &there, Rights::Unasked, Prune::Yes);
    assert_eq!((plan.changes(), plan.warnings.len()), (0, 2), "{plan:?}");
    let map = r#"{"heartbeats-sensors": {"cluster": "main"}, "mirror.b": {"cluster": "main"},
        "mm2-status.east.internal": {"cluster": "main"}}"#;
    let plan = plan_of(map, &[], &[("mm2-status.east.internal", state(5, 1, &[]))]);
    assert!(matches!(action(&plan, "heartbeats-sensors"), Action::Create { .. }), "{plan:?}");
    let [mirror, own] = &plan.warnings[..] else { panic!("{:?}", plan.warnings) };
    assert!(mirror.contains("by its name a mirror") && mirror.contains("is not there"), "{mirror}");
    assert!(own.contains("MirrorMaker's own") && !own.contains("not there"), "{own}");
}

#[test]
fn only_prune_plans_deletions_and_only_of_what_nobody_names() {
    let app = "{app: t, kind: app, input: in, output: used}";
    let there = [
        ("in", state(6, 2, &[("retention.ms", "1")])),
        ("used", state(1, 1, &[])),
        ("old", state(1, 1, &[])),
        ("__transaction_state", state(1, 1, &[])),
        ("east.old", state(1, 1, &[])),
        ("gone__changelog", state(1, 1, &[])),
    ];
    assert_eq!(plan_of(INPUT, &[app], &there).changes(), 0);
    let plan = plan_with(INPUT, &[app], &there, Rights::Unasked, Prune::Yes);
    let topics = plan.clusters["main"].topics.iter();
    let deleted: Vec<&str> = topics
        .filter(|(_, topic)| topic.action == Action::Delete)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(deleted, ["gone__changelog", "old"]);
}

#[test]
fn rights_that_wider_rules_cover_are_not_planned() {
    let app = "{app: t, kind: app, input: in, output: in, principal: 'User:t'}";
    let all = plan_with(INPUT, &[app], &[], Rights::Known(Vec::new()), Prune::No);
    let rights = &all.clusters["main"].rights;
    let text: Vec<_> = rights.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "User:t may Read topic in",
            "User:t may Read group t",
            "User:t may Write topic in",
            "User:t may Write transactional id t*",
        ]
    );
    let known = Rights::Known(rights[1..].to_vec());
    let plan = plan_with(INPUT, &[app], &[], known, Prune::No);
    assert_eq!(plan.clusters["main"].rights, rights[..1]);
    assert!(plan_with(INPUT, &[app], &[], Rights::Off, Prune::No).warnings.is_empty());
    let hidden = plan_with(INPUT, &[app], &[], Rights::Hidden, Prune::No);
    assert!(hidden.warnings[0].contains("4 rights"), "{:?}", hidden.warnings);
}

#[test]
fn apps_that_contradict_each_other_are_in_the_way() {
    let spread = r#"{"in": {"cluster": "main"}, "out": {"cluster": "east"}}"#;
    let plan = plan_of(spread, &["{app: t, kind: app, input: in, output: out}"], &[]);
    assert!(
        plan.conflicts[0].contains("in on main, out on east")
            || plan.conflicts[0].contains("out on east, in on main"),
        "{:?}",
        plan.conflicts
    );
    let plan = plan_of(INPUT, &["{app: t, kind: app, input: nowhere}"], &[]);
    assert!(plan.conflicts[0].contains("which of the clusters"), "{:?}", plan.conflicts);
}

#[test]
fn each_attribute_may_be_as_before_or_as_wanted_and_nothing_else() {
    let before = state(2, 1, &[("x", "1"), ("y", "1")]);
    let change = Action::Change { partitions: Some(4), config: pairs(&[("x", "2"), ("z", "3")]) };
    let plan =
        TopicPlan { origin: Default::default(), before: Some(before.clone()), action: change };
    let todo =
        |partitions, config: &[(&str, &str)]| Standing::ToDo { partitions, config: pairs(config) };
    assert_eq!(standing(&plan, Some(&before)), todo(true, &[("x", "2"), ("z", "3")]));
    let half = state(4, 1, &[("x", "2"), ("y", "1")]);
    assert_eq!(standing(&plan, Some(&half)), todo(false, &[("z", "3")]));
    let done = state(4, 1, &[("x", "2"), ("y", "1"), ("z", "3")]);
    assert_eq!(standing(&plan, Some(&done)), Standing::Done);
    for (now, why) in [
        (state(3, 1, &[("x", "1"), ("y", "1")]), "partitions was 2 and is 3"),
        (state(2, 2, &[("x", "1"), ("y", "1")]), "copies was 1 and is 2"),
        (state(2, 1, &[("x", "9"), ("y", "1")]), "x was 1 and is 9"),
        (state(2, 1, &[("x", "1"), ("y", "2")]), "y was 1 and is 2"),
        (state(2, 1, &[("x", "1")]), "y was 1 and is not set"),
        (state(2, 1, &[("x", "1"), ("y", "1"), ("q", "1")]), "q was not set and is 1"),
        (State { id: "2".into(), ..before.clone() }, "created again"),
    ] {
        match standing(&plan, Some(&now)) {
            Standing::Drifted(text) => assert!(text.contains(why), "{why}: {text}"),
            other => panic!("{now:?}: {other:?}"),
        }
    }
    assert!(matches!(standing(&plan, None), Standing::Drifted(_)));
    let keep = TopicPlan { action: Action::Keep, ..plan };
    assert_eq!(standing(&keep, Some(&before)), Standing::Done);
    assert!(matches!(standing(&keep, Some(&done)), Standing::Drifted(_)));
}

#[test]
fn a_topic_that_another_made_must_be_what_was_wanted() {
    let create =
        Action::Create { partitions: Some(2), replication: None, config: pairs(&[("x", "1")]) };
    let plan = TopicPlan { origin: Default::default(), before: None, action: create };
    assert!(matches!(standing(&plan, None), Standing::ToDo { .. }));
    assert_eq!(standing(&plan, Some(&state(2, 3, &[("x", "1"), ("y", "1")]))), Standing::Done);
    for now in [state(3, 1, &[("x", "1")]), state(2, 1, &[("x", "2")]), state(2, 1, &[])] {
        assert!(matches!(standing(&plan, Some(&now)), Standing::Drifted(_)), "{now:?}");
    }
}

#[test]
fn a_plan_in_a_file_is_found_out_if_it_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plan.json");
    let plan = plan_of(INPUT, &[TABLE], &[]);
    save(&path, &plan).unwrap();
    assert_eq!(load(&path).unwrap(), plan);
    let text = std::fs::read_to_string(&path).unwrap();
    for (changed, why) in [
        (text.replace("\"partitions\": 6", "\"partitions\": 7"), "was changed"),
        (text.replace("\"format\": 1", "\"format\": 2"), "format 2"),
        (text[..text.len() / 2].to_owned(), "no plan"),
    ] {
        std::fs::write(&path, changed).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    assert!(load(&dir.path().join("none")).is_err());
}
