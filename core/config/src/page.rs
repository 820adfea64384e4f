//! The settings page of the docs, written from the table.

use std::fmt::Write;

use super::cluster::CLUSTER_KEYS;
use super::properties::refused;
use super::setting::{Origin, SECTIONS, SERVICES, Setting, WhenUnset};

const INTRODUCTION: &str = "\
# Settings

<!-- Generated from core/config/src/setting/. Change it there, then run
     NUBIUM_BLESS=1 cargo test -p nubium-config settings_page -->

Everything is set by environment variables. All of them are read and checked before anything
touches the network: a start with bad settings prints every problem at once and exits with 2.

- A value of nothing but white space counts as not set.
- An unknown name that starts with `NU_` is ignored with a warning that names the nearest known one.
- A **secret** `X` never prints, and may come from a file instead: set `X_FILE` to its path. Line
  ends at the end of the file are taken off; setting both is a problem.
- Names marked *original* are those of nubium-utils, with its defaults; the others are new here.
- Times and sizes may have a decimal point. A megabyte is 2^20 bytes, as in nubium-utils.
";

/// Writes the page `docs/settings.md`.
pub fn settings_page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS.iter().chain(SERVICES) {
        let _ = write!(page, "\n## {}\n", section.title);
        if !section.text.is_empty() {
            let _ = write!(page, "\n{}\n", section.text);
        }
        page.push_str("\n| name | default | accepted | meaning | example |\n");
        page.push_str("| --- | --- | --- | --- | --- |\n");
        section.settings.iter().for_each(|setting| row(&mut page, setting));
    }
    cluster_keys(&mut page);
    refused_properties(&mut page);
    page
}

fn row(page: &mut String, setting: &Setting) {
    let mut marks = Vec::new();
    if setting.origin == Origin::Original {
        marks.push("*original*");
    }
    if setting.secret {
        marks.push("**secret**");
    }
    let default = match setting.unset {
        WhenUnset::Required => "required".to_owned(),
        WhenUnset::Off => "not set".to_owned(),
        WhenUnset::Use(value) => format!("`{value}`"),
        WhenUnset::Derived(from) => from.to_owned(),
    };
    let name = format!("`{}` {}", setting.name, marks.join(", "));
    let accepted = setting.kind.accepted();
    let example = format!("`{}`", setting.example);
    let cells = [name.trim_end(), &default, &accepted, setting.meaning, &example];
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

fn cluster_keys(page: &mut String) {
    page.push_str("\n## The map of clusters\n\nEach cluster has these keys:\n\n");
    page.push_str("| key | meaning |\n| --- | --- |\n");
    for (key, meaning) in CLUSTER_KEYS {
        let _ = writeln!(page, "| `{key}` | {meaning} |");
    }
}

fn refused_properties(page: &mut String) {
    page.push_str(
        "\n## Properties that are refused\n\n\
        The three `*_PROPERTIES_JSON` settings take any librdkafka property but these:\n\n\
        | property | why |\n| --- | --- |\n",
    );
    for (property, why) in refused() {
        let _ = writeln!(page, "| `{property}` | {why} |");
    }
}
