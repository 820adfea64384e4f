//! Checks what a registry asks of public crates. `scripts/check-packages` builds them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{fail_with, root, tracked};

/// The manifests of the crates that others build on, each with its directory.
fn public() -> Vec<(PathBuf, String)> {
    let manifests = tracked(&["Cargo.toml"]).into_iter();
    let packages = manifests.filter(|(name, _)| name != "Cargo.toml");
    let public = packages.filter(|(_, text)| !text.contains("publish"));
    public.map(|(name, text)| (Path::new(&name).parent().unwrap().to_owned(), text)).collect()
}

fn named(manifest: &str) -> &str {
    manifest.split("name = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a name")
}

#[test]
fn public_crates_say_what_a_registry_asks_and_need_public_ones_alone() {
    let public = public();
    let names: Vec<&str> = public.iter().map(|(_, manifest)| named(manifest)).collect();
    assert!(names.contains(&"nubium-core"), "{names:?}");
    let mut problems = Vec::new();
    for (directory, manifest) in &public {
        let wanted = ["description = ", "keywords = ", "categories = ", "license.", "readme."];
        let lacks = wanted.iter().filter(|key| !manifest.contains(*key));
        problems.extend(lacks.map(|key| format!("{}: no {key}", directory.display())));
        let needed = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let needed = needed.split("\n[").next().unwrap_or_default().lines();
        let ours = needed.filter(|line| line.starts_with("nubium-"));
        let ours = ours.filter_map(|line| line.split(['.', ' ']).next());
        let private = ours.filter(|name| !names.contains(name));
        problems.extend(private.map(|name| format!("{}: {name}", directory.display())));
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let paths =
        workspace.lines().filter(|line| names.iter().any(|n| line.starts_with(&format!("{n} = "))));
    problems.extend(paths.filter(|line| !line.contains("version = ")).map(str::to_owned));
    fail_with(&problems);
}

#[test]
fn what_public_crates_include_is_in_their_archives() {
    let mut problems = Vec::new();
    for (name, text) in tracked(&[".rs"]) {
        let file = root().join(&name);
        let owner = public().into_iter().map(|(directory, _)| directory);
        let owner = owner.filter(|directory| Path::new(&name).starts_with(directory));
        let Some(owner) = owner.max_by_key(|directory| directory.components().count()) else {
            continue;
        };
        if name.contains("test") || name.contains("/examples/") {
            continue;
        }
        for macro_name in ["include_str!(\"", "include_bytes!(\""] {
            for path in text.split(macro_name).skip(1).filter_map(|rest| rest.split('"').next()) {
                let whole = fs::canonicalize(file.parent().unwrap().join(path));
                let inside = fs::canonicalize(root().join(&owner)).unwrap();
                if !whole.is_ok_and(|whole| whole.starts_with(inside)) {
                    problems.push(format!("{name}: {path}"));
                }
            }
        }
    }
    fail_with(&problems);
}

#[test]
fn the_rust_version_that_is_stated_is_the_one_that_tests_run_with() {
    let value = |file: &str, key: &str| {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
        line.expect(key).trim_matches([' ', '=', '"']).to_owned()
    };
    let stated = value("Cargo.toml", "rust-version");
    let used = value("rust-toolchain.toml", "channel");
    assert!(
        used == stated || used.starts_with(&format!("{stated}.")),
        "{used}, {stated} is stated"
    );
}
