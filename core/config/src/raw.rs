//! The environment as it stands: names and texts, nothing understood yet.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde::Deserialize;

use super::setting::{nearest, setting};
use nubium_document::{Problem, Warning};

/// Holds the text of every known setting, by name.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) texts: BTreeMap<String, String>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
}

/// What envy fills: lower-case name to text. A map and not a struct of fields, so that the table
/// of settings stays the only list of names.
#[derive(Deserialize)]
#[serde(transparent)]
struct Texts(BTreeMap<String, String>);

/// The platform's own name of the instance, used when NU_HOSTNAME is not set.
pub(super) const HOSTNAME: &str = "HOSTNAME";
const FILE_SUFFIX: &str = "_FILE";

impl Raw {
    /// Takes the process's environment. A value that is not UTF-8 is a problem, not a panic.
    pub(super) fn from_process(vars: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut problems = Vec::new();
        let mut texts = Vec::new();
        for (name, value) in vars {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => texts.push((name, value)),
                Err(_) if is_known(&name) => problems.push(not_utf8(&name)),
                Err(_) => {}
            }
        }
        let mut raw = Self::from_vars(texts);
        raw.problems.extend(problems);
        raw
    }

    /// Keeps what the table knows and warns of every other `NU_*` name.
    pub(super) fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut raw = Self::default();
        let mut known = Vec::new();
        for (name, text) in vars {
            if is_known(&name) {
                known.push((name, text));
            } else if name.to_uppercase().starts_with("NU_") {
                raw.warnings.push(unknown(&name));
            }
        }
        match envy::from_iter::<_, Texts>(known) {
            Ok(Texts(texts)) => {
                raw.texts =
                    texts.into_iter().map(|(name, text)| (name.to_uppercase(), text)).collect();
            }
            Err(error) => raw.problems.push(Problem {
                setting: "NU_*".into(),
                place: String::new(),
                read: "an environment that cannot be read".into(),
                expected: error.to_string(),
                example: "NU_APP_NAME=contact_funnel".into(),
            }),
        }
        raw
    }
}

/// Gives the name of the setting that takes the content of `<name>_FILE`.
pub(super) fn file_name_of(setting: &str) -> String {
    format!("{setting}{FILE_SUFFIX}")
}

fn is_known(name: &str) -> bool {
    let of_secret = |name: &str| setting(name).is_some_and(|setting| setting.secret);
    name == HOSTNAME
        || setting(name).is_some()
        || name.strip_suffix(FILE_SUFFIX).is_some_and(of_secret)
}

fn not_utf8(name: &str) -> Problem {
    Problem {
        setting: name.into(),
        place: String::new(),
        read: "bytes that are not UTF-8".into(),
        expected: "UTF-8 text".into(),
        example: setting(name).map_or_else(String::new, |s| format!("{name}={}", s.example)),
    }
}

fn unknown(name: &str) -> Warning {
    let text = match (name.strip_suffix(FILE_SUFFIX).and_then(setting), nearest(name)) {
        (Some(plain), _) => {
            format!("ignored: {} is no secret and cannot come from a file", plain.name)
        }
        (None, Some(near)) => format!("ignored: no setting has this name; did you mean {near}?"),
        (None, None) => "ignored: no setting has this name".into(),
    };
    Warning { setting: name.into(), text }
}
