//! Checks the rules of the tree that neither compiler nor clippy knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/packages.rs"]
mod packages;

/// Lines a source file may have, without its tests.
const SOFT_CAP: usize = 400;
/// Lines of tests that may stand in the file they test.
const IN_FILE_TESTS: usize = 100;
/// Files over the cap, with what they are allowed. Only ever shorten this list.
const RATCHET: [(&str, usize); 0] = [];
/// Spelled in two parts so that this file passes its own check.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
const REGISTRY_HOSTS: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("npmjs", ".org"),
    concat!("repo.maven", ".apache"),
    concat!("deb.debian", ".org"),
    concat!("pythonhosted", ".org"),
];
/// The layers of the core, low to high; a room may use those of lower layers and itself.
const LAYERS: [&[&str]; 7] = [
    &["random", "retry", "liveness"],
    &["error", "record"],
    &["transaction"],
    &["kafka", "pattern"],
    &["engine"],
    &["app", "client"],
    &["driver"],
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text files of the tree that git knows, by path from the root.
fn tracked(suffixes: &[&str]) -> Vec<(String, String)> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let names = names.split('\0').filter(|name| !name.is_empty());
    let wanted = |name: &&str| suffixes.is_empty() || suffixes.iter().any(|s| name.ends_with(s));
    let files: Vec<_> = names
        .filter(wanted)
        .filter_map(|name| Some((name.to_owned(), fs::read_to_string(root().join(name)).ok()?)))
        .collect();
    assert!(!files.is_empty(), "git knows no files here");
    files
}

fn fail_with(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// The lines before the tests that stand in a file, and those tests' lines.
fn split_tests(text: &str) -> (usize, usize) {
    let lines: Vec<_> = text.lines().collect();
    let is_start = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests {");
    match lines.windows(2).position(is_start) {
        Some(start) => (start, lines.len() - start),
        None => (lines.len(), 0),
    }
}

#[test]
fn files_stay_short() {
    let mut problems = Vec::new();
    for (name, text) in tracked(&[".rs"]) {
        let (code, tests) = split_tests(&text);
        let allowed = RATCHET.iter().find(|(path, _)| *path == name).map_or(SOFT_CAP, |r| r.1);
        if code > allowed {
            problems.push(format!("{name}: {code} lines, {allowed} allowed: split it"));
        }
        if tests > IN_FILE_TESTS {
            problems.push(format!("{name}: {tests} lines of tests: move them to tests.rs"));
        }
    }
    fail_with(&problems);
}

#[test]
fn the_ratchet_list_names_only_files_that_need_it() {
    let files = tracked(&[".rs"]);
    for (path, allowed) in RATCHET {
        let (_, text) = files.iter().find(|(name, _)| name == path).expect(path);
        let (code, _) = split_tests(text);
        assert!(code > SOFT_CAP, "{path} has {code} lines: take it off the list");
        assert!(code + 50 > allowed, "{path} has {code} lines: allow it less than {allowed}");
    }
}

#[test]
fn only_the_calls_of_librdkafka_and_lmdb_are_unsafe() {
    let homes = ["core/kafka/src/raw/", "core/table/src/lmdb.rs", "tests/tests/tidy.rs"];
    let problems: Vec<_> = tracked(&[".rs"])
        .iter()
        .filter(|(name, _)| !homes.iter().any(|home| name.starts_with(home)))
        .flat_map(|(name, text)| {
            let lines = text.lines().enumerate().filter(|(_, line)| {
                let code = line.split("//").next().unwrap_or_default();
                let word = |w: &str| w == "unsafe" || w == "unsafe_code";
                code.split(|c: char| !c.is_alphanumeric() && c != '_').any(word)
                    && !code.contains("deny(unsafe_code)")
                    && !code.contains("forbid(unsafe_code)")
            });
            lines.map(move |(at, line)| format!("{name}:{}: {}", at + 1, line.trim()))
        })
        .collect();
    fail_with(&problems);
}

#[test]
fn rooms_of_the_core_depend_downwards_only() {
    let mut problems = Vec::new();
    for (name, text) in tracked(&[".rs"]) {
        let Some(path) = name.strip_prefix("core/src/") else { continue };
        let room = path.split(['/', '.']).next().unwrap_or_default();
        if room == "lib" || path.ends_with("tests.rs") || path.contains("/tests/") {
            continue;
        }
        let Some(layer) = layer(room) else {
            problems.push(format!("{name}: `{room}` has no layer in tests/tests/tidy.rs"));
            continue;
        };
        let code: Vec<_> = text.lines().take(split_tests(&text).0).collect();
        for used in uses_of_crate(&code.join("\n")) {
            match self::layer(&used) {
                _ if used == room => {}
                Some(below) if below < layer => {}
                Some(_) => problems.push(format!("{name}: `{room}` uses `crate::{used}`")),
                // A name of the crate's root: a re-export, which hides where it comes from.
                None => problems.push(format!("{name}: name the room of `crate::{used}`")),
            }
        }
    }
    fail_with(&problems);
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms named after `crate::`, also within one level of braces; comments do not count.
fn uses_of_crate(code: &str) -> BTreeSet<String> {
    let code: String =
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate` in a macro and names that end in "crate" are something else.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(top_names(group)),
            None => {
                rooms.insert(word(rest));
            }
        }
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

/// The first name of every element of a `use` group that was opened before `group`.
fn top_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0_usize, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn librdkafka_has_one_home_in_the_core() {
    // Beside the two rooms made for it: the plain clients are thin layers over rdkafka's own,
    // settings are tried on librdkafka before a start, and the observer reads its statistics.
    let homes = [
        "core/kafka/",
        "core/src/kafka",
        "core/src/client",
        "core/config/src/properties.rs",
        "core/src/engine/observer.rs",
    ];
    let mut problems = Vec::new();
    for (name, text) in tracked(&[".rs"]) {
        let is_home = !name.starts_with("core/") || homes.iter().any(|home| name.starts_with(home));
        for (at, line) in text.lines().enumerate().filter(|_| !is_home) {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("rdkafka::") || code.contains("rdkafka_sys") {
                problems.push(format!("{name}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn schemas_are_parsed_in_one_place() {
    // Beside it the registry in memory, whose verdicts on compatibility are apache-avro's.
    let homes = ["core/avro/", "tools/local/"];
    let is_home =
        |name: &str| homes.iter().any(|home| name.starts_with(home)) || name.contains("/tests/");
    let problems: Vec<_> = tracked(&[".rs"])
        .into_iter()
        .filter(|(name, text)| !is_home(name) && text.contains(concat!("apache_", "avro::")))
        .map(|(name, _)| format!("{name}: ask nubium-avro"))
        .collect();
    fail_with(&problems);
}

#[test]
fn finds_the_rooms_that_a_file_uses() {
    let code = "use crate::engine::batch;\nuse crate::{codec::{wire, avro}, kafka};\n\
                fn f(x: &crate::config::Config) {} // crate::app\n$crate::metrics!()";
    let found: Vec<_> = uses_of_crate(code).into_iter().collect();
    assert_eq!(found, ["codec", "config", "engine", "kafka", "metrics"]);
}

#[test]
fn no_crate_depends_on_the_tests_and_services_stay_apart() {
    let mut problems = Vec::new();
    for (name, text) in tracked(&["Cargo.toml"]) {
        let forbidden: &[&str] = match name.as_str() {
            "Cargo.toml" => continue,
            // The tools' tests build what the kit builds.
            "tests/kit/Cargo.toml" => &[
                "nubium-batch-uploader",
                "nubium-cli",
                "nubium-core",
                "nubium-funnel",
                "nubium-http-receiver",
                "nubium-mapping",
                "nubium-service",
                "nubium-table.",
            ],
            "core/host/Cargo.toml" => &["nubium-", "rdkafka"],
            "core/Cargo.toml" => &["nubium-test", "nubium-local", "nubium-funnel"],
            // What needs settings and schemas alone links neither librdkafka nor LMDB.
            "core/config/Cargo.toml"
            | "core/metrics/Cargo.toml"
            | "core/registry/Cargo.toml"
            | "tools/admin/Cargo.toml"
            | "tools/provisioner/Cargo.toml" => {
                &["nubium-test", "nubium-core", "nubium-kafka", "rdkafka.", "heed"]
            }
            // Neither mock broker nor demo is in what is released.
            _ if name.starts_with("services/") => {
                &["nubium-test", "nubium-benches", "nubium-local"]
            }
            _ if name.starts_with("tests/") => &["nubium-benches"],
            _ => &["nubium-test", "nubium-benches"],
        };
        let dependencies = text.split("\n[").find_map(|part| part.strip_prefix("dependencies]"));
        for line in dependencies.unwrap_or_default().lines() {
            if forbidden.iter().any(|name| line.starts_with(name)) {
                problems.push(format!("{name}: {line}"));
            }
        }
        // Nobody has the end-to-end tests, not even for tests of its own: they build everything.
        let all = text.lines().filter(|line| line.starts_with("nubium-tests"));
        problems.extend(all.map(|line| format!("{name}: {line}: take nubium-test-kit")));
    }
    fail_with(&problems);
}

#[test]
fn nothing_names_a_machine_or_a_package_registry() {
    let mut problems = Vec::new();
    for (name, text) in tracked(&[]) {
        // Written by cargo.
        if name == "Cargo.lock" {
            continue;
        }
        for (at, line) in text.lines().enumerate() {
            let bad = MACHINE_PATHS.iter().chain(&REGISTRY_HOSTS).find(|bad| line.contains(**bad));
            if let Some(bad) = bad {
                problems.push(format!("{name}:{}: {bad}", at + 1));
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn lines_fit_the_width() {
    let mut problems = Vec::new();
    for (name, text) in tracked(&[".rs"]) {
        for (at, line) in text.lines().enumerate() {
            // Code is broken by rustfmt, which leaves comments as they are.
            let most = if line.trim_start().starts_with("//") { 120 } else { 100 };
            let columns = line.chars().count();
            if columns > most {
                problems.push(format!("{name}:{}: {columns} columns", at + 1));
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn no_test_is_switched_off_or_sleeps_for_luck() {
    let mut problems = Vec::new();
    for (name, text) in tracked(&[".rs"]) {
        let homes = ["tests/kit/src/", "tests/src/", "tests/tests/tidy.rs"];
        let is_vocabulary = homes.iter().any(|home| name.starts_with(home));
        for (at, line) in text.lines().enumerate() {
            let is_ignored = line.trim_start().starts_with("#[ignore");
            let sleeps = name.starts_with("tests/") && !is_vocabulary && line.contains("sleep(");
            if is_ignored || sleeps {
                problems.push(format!("{name}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn the_changelog_has_an_unreleased_section() {
    let path = root().join("CHANGELOG.md");
    let text = fs::read_to_string(&path).expect("CHANGELOG.md in the root of the tree");
    assert!(text.contains("## Unreleased") || text.contains("## [Unreleased]"));
}
