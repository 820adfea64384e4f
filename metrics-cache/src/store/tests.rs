use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use proptest::prelude::*;

use super::state::{Mode, State};
use super::{Store, compile};
use crate::family::Kind;
use crate::limits::{Bound, PushError};
use crate::path::GroupKey;
use crate::testing::{body, key, limits, scrape, store};

fn push(store: &Store, group: &str, text: &str) -> Result<(), PushError> {
    store.push(&key(group), body(text), Mode::Replace, None)
}

fn why(result: Result<(), PushError>) -> String {
    match result {
        Err(PushError::Inconsistent(why) | PushError::Refused(_, why)) => why,
        other => format!("{other:?}"),
    }
}

/// Returns the samples of the scrape, times as `0` or `set`.
fn samples(store: &Store) -> Vec<String> {
    let text = scrape(store);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| match line.rsplit_once(' ') {
        Some((series, value)) if series.starts_with("push_") && value != "0" => {
            format!("{series} set")
        }
        _ => line.to_owned(),
    });
    lines.collect()
}

#[test]
fn put_replaces_all_and_post_what_has_the_same_name() {
    let store = store();
    let group = key("job/j");
    push(&store, "job/j", "a{x=\"1\"} 1\na{x=\"2\"} 1\nb 1\n").expect("put");
    store.push(&group, body("a{x=\"3\"} 2\nc 1\n"), Mode::Merge, None).expect("post");
    let times = [
        "push_failure_time_seconds{instance=\"\",job=\"j\"} 0",
        "push_time_seconds{instance=\"\",job=\"j\"} set",
    ];
    let label = "instance=\"\",job=\"j\"";
    let (a, b, c) =
        (format!("a{{{label},x=\"3\"}} 2"), format!("b{{{label}}} 1"), format!("c{{{label}}} 1"));
    assert_eq!(samples(&store), [&a, &b, &c, times[0], times[1]]);
    push(&store, "job/j", "").expect("an empty put");
    assert_eq!(samples(&store), times, "the group stays, with its times");
    store.delete(&group);
    assert!(samples(&store).is_empty());
}

#[test]
fn the_labels_of_the_group_win_and_instance_is_added() {
    let store = store();
    push(&store, "job/j/zone/z", "a{job=\"x\",zone=\"y\",instance=\"i\"} 1\n").expect("put");
    assert_eq!(samples(&store)[0], "a{instance=\"i\",job=\"j\",zone=\"z\"} 1");
}

#[test]
fn an_inconsistent_push_changes_nothing_but_the_time_of_the_failure() {
    let store = store();
    push(&store, "job/a", "# TYPE m gauge\nm 1\n# TYPE h histogram\nh_count 1\n").expect("put");
    push(&store, "job/b", "n{instance=\"i\"} 1\nk_sum 1\n").expect("put");
    for (group, text, want) in [
        ("job/c", "m 1\n", "is not a GAUGE"),
        ("job/c", "own 1\n", "gathered metric family own has type UNTYPED but should have GAUGE"),
        ("job/c", "h_bucket 1\n", "\"h_bucket\" collides with previously collected histogram"),
        ("job/c", "# TYPE k summary\nk_count 1\n", "named \"k\" collides with previously"),
        ("job/c", "x{l=\"1\"} 1\nx{l=\"1\"} 2\n", "was collected before with the same name"),
        ("job/b/instance/i", "n 1\n", "was collected before with the same name"),
        ("job/c", "x{__y=\"\"} 1\n", "has a label with an invalid name: __y"),
        ("job/c", "x 1 5\n", "pushed metrics must not have timestamps"),
        ("job/a/instance@base64/=", "x 1\n", "was collected before with the same name"),
    ] {
        let before = samples(&store);
        let told = why(push(&store, group, text));
        assert!(told.contains(want), "{text}: {told}");
        let pushed = |lines: Vec<String>| {
            lines.into_iter().filter(|l| !l.starts_with("push_")).collect::<Vec<_>>()
        };
        assert_eq!(pushed(samples(&store)), pushed(before), "{text}");
    }
    let lines = samples(&store);
    assert!(lines.contains(&"push_failure_time_seconds{instance=\"\",job=\"c\"} set".to_owned()));
    assert!(lines.contains(&"push_time_seconds{instance=\"\",job=\"c\"} 0".to_owned()));
}

#[test]
fn a_type_may_change_once_nobody_else_has_it() {
    let store = store();
    push(&store, "job/a", "# TYPE m gauge\nm 1\n").expect("put");
    push(&store, "job/a", "# TYPE m counter\nm 1\n").expect("the only holder");
    push(&store, "job/b", "# TYPE m counter\nm 1\n").expect("the same type");
    assert!(push(&store, "job/a", "# TYPE m gauge\nm 1\n").is_err());
}

#[test]
fn limits_refuse_and_leave_the_group_alone() {
    let store = store();
    let long = format!("a{{x=\"{}\"}} 1\n", "v".repeat(101));
    let name = format!("a{{{}=\"\"}} 1\n", "n".repeat(51));
    let many: String = (0..1000).map(|n| format!("a{{x=\"{n}\"}} 1\n")).collect();
    for (text, bound) in [(&long, Bound::LabelValue), (&name, Bound::LabelName)] {
        let refused = push(&store, "job/a", text);
        assert!(matches!(refused, Err(PushError::Refused(was, _)) if was == bound), "{refused:?}");
    }
    push(&store, "job/a", &many).expect("as many as there may be");
    let refused = store.push(&key("job/a"), body("b 1\n"), Mode::Merge, None);
    assert!(matches!(refused, Err(PushError::Refused(Bound::Series, _))), "{refused:?}");
    store.delete(&key("job/a"));
    let groups = (0..1001).map(|n| push(&store, &format!("job/g{n}"), "")).filter(Result::is_err);
    assert_eq!(groups.count(), 1, "the last of 1001 groups");
    let told = why(push(&store, "job/more", ""));
    assert!(told.contains("1001 is more than the limit of 1000; --limit.groups"), "{told}");
}

#[test]
fn memory_is_bounded_and_what_shrinks_is_welcome() {
    let big: String = (0..900).map(|n| format!("a{{x=\"{n:090}\"}} 1\n")).collect();
    let mut limits = limits();
    limits.memory = 200_000;
    let store = Store::new(limits, BTreeMap::new());
    push(&store, "job/a", &big).expect("fits");
    let refused = push(&store, "job/b", &big);
    assert!(matches!(refused, Err(PushError::Refused(Bound::Memory, _))), "{refused:?}");
    push(&store, "job/a", &big).expect("the same again");
    push(&store, "job/a", "a 1\n").expect("less");
    push(&store, "job/b", &big).expect("room again");
}

#[test]
fn groups_expire_by_their_own_time_or_the_flags() {
    let store = store();
    let (hour, second) = (Duration::from_secs(3600), Duration::from_secs(1));
    for (group, own) in [("job/a", None), ("job/b", Some(hour)), ("job/c", Some(Duration::ZERO))] {
        store.push(&key(group), body("x 1\n"), Mode::Replace, own).expect(group);
    }
    let later = |seconds: u64| super::now() + seconds * 1_000_000_000;
    let stale = |at, default| store.read().stale(at, default).len();
    assert_eq!(stale(later(0), second), 0);
    assert_eq!(stale(later(2), second), 1, "a");
    assert_eq!(stale(later(2), Duration::ZERO), 0, "zero is for ever");
    assert_eq!(stale(later(3602), second), 2, "a and b, never c");
    assert_eq!(store.expire(second), 0);
}

/// The check that looks at everything, which the store's own must agree with.
fn naive(state: &State, group: &GroupKey, pushed: &super::compile::Compiled, mode: Mode) -> bool {
    let mut groups: BTreeMap<String, BTreeMap<String, (Kind, Vec<String>)>> = BTreeMap::new();
    for held in state.groups() {
        let families = held.families.iter().map(|(name, family)| {
            let series = family.series().map(|(labels, _)| labels.to_owned()).collect();
            (name.to_string(), (family.kind, series))
        });
        groups.insert(held.key.series().to_owned(), families.collect());
    }
    let entry = groups.entry(group.series().to_owned()).or_default();
    if mode == Mode::Replace {
        entry.clear();
    }
    for (name, family) in pushed {
        let series = family.series().map(|(labels, _)| labels.to_owned()).collect();
        entry.insert(name.to_string(), (family.kind, series));
    }
    let mut kinds: HashMap<&str, Kind> = [("own", Kind::Gauge)].into();
    let mut seen = BTreeSet::new();
    for (name, (kind, series)) in groups.values().flatten() {
        if *kinds.entry(name).or_insert(*kind) != *kind {
            return false;
        }
        if !series.iter().all(|labels| seen.insert((name, labels))) {
            return false;
        }
    }
    kinds.iter().all(|(name, kind)| {
        let taken: &[&str] = match kind {
            Kind::Summary => &["_count", "_sum"],
            Kind::Histogram => &["_count", "_sum", "_bucket"],
            _ => &[],
        };
        taken.iter().all(|suffix| !kinds.contains_key(format!("{name}{suffix}").as_str()))
    })
}

/// Counts anew what the state keeps in indexes.
fn assert_indexes_are_right(store: &Store) {
    let state = store.read();
    let mut series = 0;
    let mut members: BTreeMap<&str, usize> = BTreeMap::new();
    for group in state.groups() {
        for (name, family) in &group.families {
            series += family.len();
            *members.entry(name).or_default() += 1;
            for (labels, _) in family.series() {
                let hash = state.hashes.hash_one((&**name, labels));
                assert_eq!(state.series.get(&hash), Some(&group.id), "{name}{{{labels}}}");
            }
        }
        let held: usize = group.families.values().map(|family| family.len()).sum();
        assert_eq!(group.series(), held);
    }
    assert_eq!(state.series(), series);
    let held: BTreeMap<&str, usize> =
        state.names.iter().map(|(name, named)| (&**name, named.members.len())).collect();
    assert_eq!(held, members);
}

#[derive(Debug, Clone)]
enum Step {
    Push(&'static str, String, Mode),
    Delete(&'static str),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let group = || prop::sample::select(vec!["job/a", "job/b", "job/a/instance/i", "job/b/x/y"]);
    let family = (
        prop::sample::select(vec!["m", "n", "h", "h_count", "h_bucket", "own"]),
        prop::sample::select(vec!["gauge", "counter", "summary", "histogram", "untyped"]),
        prop::collection::vec(
            prop::sample::select(vec!["", "{x=\"y\"}", "{instance=\"i\"}"]),
            1..3,
        ),
    );
    let text = |families: Vec<(&str, &str, Vec<&str>)>| {
        let mut text = String::new();
        let mut seen = BTreeSet::new();
        for (name, kind, labels) in families {
            // One family of a name, and none whose samples a histogram before would take.
            if seen.insert(name) && !(name.starts_with("h_") && seen.contains("h")) {
                text += &format!("# TYPE {name} {kind}\n");
                let suffix = if matches!(kind, "summary" | "histogram") { "_sum" } else { "" };
                for label in labels {
                    text += &format!("{name}{suffix}{label} 1\n");
                }
            }
        }
        text
    };
    let mode = prop::sample::select(vec![Mode::Replace, Mode::Merge]);
    let push = (group(), prop::collection::vec(family, 0..4).prop_map(text), mode)
        .prop_map(|(group, text, mode)| Step::Push(group, text, mode));
    prop::collection::vec(prop_oneof![6 => push, 1 => group().prop_map(Step::Delete)], 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_indexed_check_agrees_with_one_that_looks_at_everything(steps in steps()) {
        let store = store();
        for step in steps {
            match step {
                Step::Delete(group) => store.delete(&key(group)),
                Step::Push(group, text, mode) => {
                    let compiled = compile(&key(group), body(&text), 1, &limits());
                    let compiled = compiled.expect("no bad labels here");
                    let want = naive(&store.read(), &key(group), &compiled, mode);
                    let got = store.push(&key(group), body(&text), mode, None);
                    prop_assert_eq!(got.is_ok(), want, "{} {:?}: {:?}", group, text, got);
                }
            }
            assert_indexes_are_right(&store);
        }
        store.wipe();
        prop_assert_eq!(store.read().bytes(), 0);
    }

    #[test]
    fn bytes_return_to_nothing(steps in steps()) {
        let store = store();
        for step in &steps {
            if let Step::Push(group, text, mode) = step {
                let _ = store.push(&key(group), body(text), *mode, None);
            }
        }
        let groups: Vec<_> = store.read().groups().map(|group| group.key.clone()).collect();
        groups.iter().for_each(|group| store.delete(group));
        let state = store.read();
        prop_assert_eq!((state.bytes(), state.series(), state.names.len()), (0, 0, 0));
    }
}
