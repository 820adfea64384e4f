//! Tests of manifests.

use super::*;

const RECORD: &str = r#"{"type": "record", "name": "R", "fields": []}"#;

fn read(file: &str) -> std::io::Result<String> {
    match file {
        "good.avsc" => Ok(RECORD.to_owned()),
        "bad.avsc" => Ok("{".to_owned()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    }
}

fn good(text: &str) -> Manifest {
    parse("a.yaml", text, &read).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn bad(text: &str) -> String {
    let problems = parse("a.yaml", text, &read).expect_err(text);
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn a_table_has_a_changelog_that_it_reads_and_writes() {
    let manifest = good(
        "{app: t, kind: table, input: in, output: [out], failure: [t_failure], \
         schemas: {out: good.avsc}, principal: 'User:t'}",
    );
    assert_eq!(manifest.changelog().as_deref(), Some("t__changelog"));
    let names = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(names(manifest.reads()), "in t__changelog");
    assert_eq!(names(manifest.writes()), "out t__changelog t_failure");
    let subjects: Vec<_> = manifest.subjects().into_keys().collect();
    assert_eq!(subjects, ["out-key", "out-value", "t__changelog-key", "t__changelog-value"]);
    assert_eq!(manifest.transactional_ids, "t");
}

#[test]
fn a_key_schema_of_ones_own_replaces_the_built_in_one() {
    let manifest = good(
        "{app: a, kind: app, input: in, output: out, \
         schemas: {out: {key: good.avsc, value: good.avsc}}}",
    );
    assert_eq!(manifest.subjects()["out-key"].file, "good.avsc");
    let manifest = good("{.anchor: 1, app: a, kind: app, input: in}");
    assert!(manifest.subjects().is_empty());
}

#[test]
fn every_problem_is_told_at_once() {
    let text = bad("{kind: tabel, input: ['a b', x, x], outputs: y, principal: t, schemas: \
        {x: none.avsc, y: bad.avsc}}");
    for part in ["app", "kind", "principal", "outputs"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text =
        bad("{app: a, kind: app, input: ['a b', x, x], schemas: {x: none.avsc, y: bad.avsc}}");
    for part in ["input[0]", "input[2]", "none.avsc", "bad.avsc"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    for (manifest, reason) in [
        ("{app: t, kind: table, input: [a, b]}", "exactly one topic"),
        ("{app: t, kind: app}", "at least one topic"),
        ("{app: t, kind: producer, input: a}", "reads no topic"),
        ("{app: t, kind: app, input: a, schemas: {a: good.avsc}}", "topics that the app writes"),
        ("[]", "a map"),
        ("{", "no YAML"),
    ] {
        let text = bad(manifest);
        assert!(text.contains(reason), "{manifest}: {text}");
    }
}

#[test]
fn a_chain_names_topics_and_groups() {
    let text = "{app: a, kind: batch, output: out, principal: 'User:a', \
        retries: {stem: s, delays_minutes: [5, 0.5], deployments: each}}";
    let manifest = good(text);
    let names = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(names(manifest.reads()), "s_FirstTry s_Retry1 s_Retry2");
    assert_eq!(names(manifest.writes()), "out s_Failure s_Retry1 s_Retry2");
    assert_eq!(manifest.groups(), ["a", "a_Retry1", "a_Retry2"]);
    let one = good("{app: a, kind: app, input: in, retries: {stem: s, delays_minutes: [5]}}");
    assert_eq!((one.input, one.failure), (vec!["in".to_owned()], vec!["s_Failure".to_owned()]));
    let text = bad("{app: a, kind: table, input: in, retry: x, retries: {stem: 'a b', \
        delays_minutes: [0], partitions: 0, deployments: two, more: 1}}");
    for part in ["stem", "delays_minutes", "partitions", "deployments", "more"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = bad("{app: a, kind: table, input: in, retry: x, \
        retries: {stem: s, delays_minutes: [1]}}");
    assert!(text.contains("`retries` names the topics") && text.contains("kind: app"), "{text}");
}

#[test]
fn two_manifests_of_one_app_are_a_problem() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["a.yaml", "b.yml"] {
        std::fs::write(dir.path().join(file), "{app: t, kind: app, input: x}").unwrap();
    }
    std::fs::write(dir.path().join("c.txt"), "not one").unwrap();
    let problems = load(&[dir.path().display().to_string()]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].read.contains("a.yaml"), "{problems:?}");
    assert!(load(&["no-such-directory".to_owned()]).is_err());
}
