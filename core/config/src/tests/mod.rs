//! Tests of the settings as a whole, from names and texts to `Config`.

mod bad;
mod good;
mod identity;
mod page;
mod schemas;
mod secrets;
mod warnings;

use std::collections::BTreeMap;

use super::{Config, Loaded, Problems};

/// What every app must set, and no more.
const LEAST: &[(&str, &str)] = &[
    ("NU_APP_NAME", "funnel"),
    ("NU_HOSTNAME", "funnel-0"),
    ("NU_MP_PROJECT", "marketing"),
    ("NU_SCHEMA_REGISTRY_URL", "http://registry:8081"),
    ("NU_KAFKA_CLUSTERS_CONFIGS_JSON", r#"{"main": {"url": "broker:9092"}}"#),
    ("NU_TOPIC_CONFIGS_JSON", r#"{"in": {"cluster": "main"}, "out": {"cluster": "main"}}"#),
];

/// Stands in a list of changes for "not set at all".
const UNSET: &str = "\0unset";

/// Loads the least settings with changes.
fn load(changes: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let mut vars: BTreeMap<&str, &str> = LEAST.iter().copied().collect();
    vars.extend(changes.iter().copied());
    vars.retain(|_, text| *text != UNSET);
    Config::from_vars(vars.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())))
}

fn good(changes: &[(&str, &str)]) -> Loaded {
    load(changes).unwrap_or_else(|problems| panic!("{problems}"))
}

fn bad(changes: &[(&str, &str)]) -> Problems {
    match load(changes) {
        Ok(_) => panic!("accepted: {changes:?}"),
        Err(problems) => problems,
    }
}
