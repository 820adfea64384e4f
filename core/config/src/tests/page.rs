//! The docs page is what the table says.

use crate::{SECTIONS, SERVICES, settings_page};

#[test]
fn settings_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    if std::env::var_os("NUBIUM_BLESS").is_some() {
        std::fs::write(path, settings_page()).expect("docs/settings.md can be written");
    }
    let page = std::fs::read_to_string(path).expect("docs/settings.md exists");
    assert!(
        page == settings_page(),
        "docs/settings.md differs from the table of settings; run\n    \
        NUBIUM_BLESS=1 cargo test -p nubium-config settings_page"
    );
}

#[test]
fn every_name_stands_in_the_table_once_and_begins_with_the_prefix() {
    let settings = SECTIONS.iter().chain(SERVICES).flat_map(|section| section.settings);
    let mut names: Vec<&str> = settings.map(|setting| setting.name).collect();
    assert!(names.iter().all(|name| name.starts_with("NU_")));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(SECTIONS.iter().chain(SERVICES).all(|section| !section.settings.is_empty()));
}
