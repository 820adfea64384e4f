//! Checks the pages: their links, the book's order, and the codes of errors.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use nubium_host::errors::ALL;

use super::{fail_with, root, tracked};

/// The lines of a page that are no code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The targets of a line's links, `code` left out.
fn links(line: &str) -> Vec<String> {
    let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let targets = plain.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The name that a heading gets as an anchor, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    prose(page).filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// Takes `..` out of a path from the root.
fn tidied(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

#[test]
fn every_relative_link_leads_somewhere() {
    let pages: HashMap<PathBuf, String> =
        tracked(&[".md"]).into_iter().map(|(name, text)| (PathBuf::from(name), text)).collect();
    let mut problems = Vec::new();
    for (name, text) in &pages {
        let here = name.parent().unwrap();
        for link in prose(text).flat_map(links) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, wanted) = link.split_once('#').unwrap_or((&link, ""));
            let path = if path.is_empty() { name.clone() } else { tidied(&here.join(path)) };
            let known = wanted.is_empty()
                || pages.get(&path).is_some_and(|page| anchors(page).contains(wanted));
            if !root().join(&path).exists() || !known {
                problems.push(format!("{}: {link}", name.display()));
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn every_page_is_in_the_book() {
    let pages = tracked(&[".md"]);
    let summary = &pages.iter().find(|(name, _)| name == "docs/SUMMARY.md").unwrap().1;
    let listed = prose(summary).flat_map(links).filter(|link| !link.starts_with("../"));
    let listed: BTreeSet<String> = listed.collect();
    let there = pages.iter().filter_map(|(name, _)| name.strip_prefix("docs/"));
    let there: BTreeSet<String> =
        there.filter(|name| *name != "SUMMARY.md").map(str::to_owned).collect();
    assert_eq!(listed, there, "docs/SUMMARY.md lists what is in docs/");
}

#[test]
fn every_code_of_an_error_is_used() {
    let sources: String = tracked(&[".rs"])
        .into_iter()
        .filter(|(name, _)| !name.starts_with("tests/") && name != "core/host/src/errors.rs")
        .map(|(_, text)| text)
        .collect();
    let unused: Vec<String> = ALL
        .iter()
        .map(|entry| format!("Code::{:?}", entry.code))
        .filter(|name| !sources.contains(&**name))
        .collect();
    fail_with(&unused);
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    assert_eq!(anchor("## The map of `clusters`, and more"), "the-map-of-clusters-and-more");
    assert_eq!(links("see [a](b.md#c) and `[x](y)` and [d](e)"), ["b.md#c", "e"]);
}

/// The message of a logging macro, from behind its parenthesis on: the first text that is no field.
fn message(body: &str) -> Option<&str> {
    let parts: Vec<&str> = body.splitn(32, '"').collect();
    let mut texts = parts.chunks_exact(2).take_while(|pair| !pair[0].contains(';'));
    let is_argument =
        |before: &str| before.trim_end().is_empty() || before.trim_end().ends_with(',');
    texts.find(|pair| is_argument(pair[0])).map(|pair| pair[1])
}

#[test]
fn logs_are_sentences() {
    let mut problems = Vec::new();
    for (name, text) in tracked(&[".rs"]) {
        if name.contains("tests") || name.contains("examples") {
            continue;
        }
        for level in ["error", "warn", "info", "debug"] {
            let call = format!("tracing::{level}!(");
            for said in text.split(&call).skip(1).filter_map(message) {
                let begins = said.starts_with(|c: char| c.is_uppercase() || c == '{');
                let ends = said.ends_with(['.', '}', '!', '?']);
                if !(begins || said.starts_with("librdkafka")) || !ends {
                    problems.push(format!("{name}: {said}"));
                }
            }
        }
    }
    fail_with(&problems);
}
