//! Reads one setting after the other, collects every problem and notes where values came from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::certificate::Certificates;
use super::choice::Choice;
use super::parse::{self, Refusal};
use super::raw::{HOSTNAME, Raw, file_name_of};
use super::secret::Secret;
use super::setting::{Kind, Setting, WhenUnset, setting, settings};
use super::shown::{quoted, shown, shown_secret_path};
use nubium_document::{Problem, Warning};

/// Tells where the value in force came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The environment.
    Environment,
    /// The file named by `<name>_FILE`.
    File,
    /// The table of settings, or other settings.
    Default,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// Shows one setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The setting's name.
    pub name: &'static str,
    /// Its value as text, redacted if secret; empty when off.
    pub value: String,
    /// Where the value came from.
    pub source: Source,
}

/// Hands out typed settings. A wrong one is noted and its default handed out instead, so that
/// reading goes on; whoever finishes the reading must look at `problems`.
pub(super) struct Reader {
    texts: BTreeMap<String, String>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
    effective: BTreeMap<&'static str, Effective>,
}

impl Reader {
    pub(super) fn new(raw: Raw) -> Self {
        let Raw { mut texts, problems, warnings } = raw;
        if let Some(host) = texts.remove(HOSTNAME).filter(|host| !host.trim().is_empty()) {
            let own = texts.entry("NU_HOSTNAME".into()).or_default();
            if own.trim().is_empty() {
                *own = host;
            }
        }
        Self { texts, problems, warnings, effective: BTreeMap::new() }
    }

    // ---- what is in force -------------------------------------------------------------------

    /// Lists every setting that was read, in the table's order.
    pub(super) fn effective(&self) -> Vec<Effective> {
        settings().filter_map(|setting| self.effective.get(setting.name)).cloned().collect()
    }

    /// Tells whether a setting was given rather than left at its default.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.effective.get(name).is_some_and(|shown| shown.source != Source::Default)
    }

    /// Tells whether a problem was noted with one of these settings.
    pub(super) fn is_wrong(&self, names: &[&str]) -> bool {
        let wrong: BTreeSet<&str> = self.problems.iter().map(|p| p.setting.as_str()).collect();
        names.iter().any(|name| wrong.contains(name) || wrong.contains(&*file_name_of(name)))
    }

    /// Shows `NAME=value` for each of these settings.
    pub(super) fn shown(&self, names: &[&str]) -> String {
        let show = |name: &&str| match self.effective.get(*name) {
            Some(shown) if !shown.value.is_empty() => match shown.source {
                Source::Default => format!("{name}={} (default)", shown.value),
                _ => format!("{name}={}", shown.value),
            },
            _ => format!("{name} not set"),
        };
        names.iter().map(show).collect::<Vec<_>>().join(", ")
    }

    /// Notes what a derived setting came out as.
    pub(super) fn derive(&mut self, name: &str, value: &str) {
        self.note(known(name), value, Source::Default);
    }

    fn note(&mut self, setting: &'static Setting, text: &str, source: Source) {
        let value = if text.is_empty() { String::new() } else { shown(setting, text) };
        self.effective.insert(setting.name, Effective { name: setting.name, value, source });
    }

    // ---- problems ---------------------------------------------------------------------------

    /// Notes that `text` is not what a setting accepts.
    pub(super) fn refuse(&mut self, setting: &Setting, text: &str, why: &str) {
        let read = format!("{} ({why})", quoted(&shown(setting, text)));
        self.problem(setting, String::new(), read, setting.kind.accepted());
    }

    /// Notes a problem at a place inside a setting; `read` must hold no secret.
    pub(super) fn problem(
        &mut self,
        setting: &Setting,
        place: String,
        read: String,
        expected: String,
    ) {
        let example = format!("{}={}", setting.name, setting.example);
        let setting = setting.name.into();
        self.problems.push(Problem { setting, place, read, expected, example });
    }

    /// Notes that a setting is needed and absent; `condition` says when, or is empty.
    pub(super) fn missing(&mut self, name: &str, condition: &str) {
        let setting = known(name);
        let mut expected = setting.kind.accepted();
        if !condition.is_empty() {
            expected = format!("{expected}; {condition}");
        }
        self.problem(setting, String::new(), "nothing: it is not set".into(), expected);
    }

    /// Notes what looks wrong without preventing the start.
    pub(super) fn warn(&mut self, name: &str, text: String) {
        self.warnings.push(Warning { setting: name.into(), text });
    }

    // ---- texts ------------------------------------------------------------------------------

    /// Gives the text in force: from the environment, a file, or the table.
    fn text_of(&mut self, setting: &'static Setting) -> Option<String> {
        let (given, source) = match self.given(setting) {
            Some((text, source)) => (Some(text), source),
            None => (None, Source::Default),
        };
        let text = match (given, setting.unset) {
            (Some(text), _) => Some(text),
            (None, WhenUnset::Use(default)) => Some(default.to_owned()),
            (None, WhenUnset::Required) => {
                if !self.is_wrong(&[setting.name]) {
                    self.missing(setting.name, "");
                }
                None
            }
            (None, WhenUnset::Off | WhenUnset::Derived(_)) => None,
        };
        self.note(setting, text.as_deref().unwrap_or_default(), source);
        text
    }

    /// Finds what was given. A text of nothing but white space counts as not set, because
    /// deployment templates write unused settings so.
    fn given(&mut self, setting: &'static Setting) -> Option<(String, Source)> {
        let own = self.texts.get(setting.name).cloned().and_then(|text| {
            let kept = if setting.secret { text } else { text.trim().to_owned() };
            (!kept.trim().is_empty()).then_some(kept)
        });
        if own.is_none()
            && self.texts.contains_key(setting.name)
            && let WhenUnset::Use(default) = setting.unset
        {
            self.warn(setting.name, format!("set to nothing; the default {default} is used"));
        }
        let file_name = file_name_of(setting.name);
        let file = self.texts.get(&file_name).filter(|path| !path.trim().is_empty()).cloned();
        match (own, file) {
            (own, None) => own.map(|text| (text, Source::Environment)),
            (Some(_), Some(_)) => {
                let read = format!("{} and {file_name}", setting.name);
                let expected = format!("only one of {} and {file_name}", setting.name);
                self.problem(setting, String::new(), read, expected);
                None
            }
            (None, Some(path)) => {
                self.secret_file(&file_name, setting, path.trim()).map(|t| (t, Source::File))
            }
        }
    }

    /// Reads a secret from a file and takes the line ends off its end.
    ///
    /// # Errors
    /// It cannot be read or is empty; says so with the path.
    pub(super) fn secret_of(path: &str) -> Result<String, String> {
        let why = match nubium_host::text::read(path) {
            Ok(text) if text.trim().is_empty() => "the file is empty",
            Ok(text) => return Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => reason(&error),
        };
        Err(format!("{} ({why})", quoted(&shown_secret_path(path))))
    }

    fn secret_file(&mut self, name: &str, setting: &Setting, path: &str) -> Option<String> {
        Self::secret_of(path)
            .map_err(|read| {
                self.problems.push(Problem {
                    setting: name.into(),
                    place: String::new(),
                    read,
                    expected: format!("the path of a readable file that holds {}", setting.name),
                    example: format!("{name}=/run/secrets/{}", setting.name.to_lowercase()),
                });
            })
            .ok()
    }

    fn read<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&Setting, &str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let setting = known(name);
        let text = self.text_of(setting)?;
        match parse(setting, &text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.refuse(setting, &text, &why);
                match setting.unset {
                    WhenUnset::Use(default) => parse(setting, default).ok(),
                    _ => None,
                }
            }
        }
    }

    // ---- typed values -----------------------------------------------------------------------

    pub(super) fn optional_text(&mut self, name: &str) -> Option<String> {
        self.read(name, |_, text| match text.contains(char::is_control) {
            true => Err("a control character".into()),
            false => Ok(text.to_owned()),
        })
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        self.optional_text(name).unwrap_or_default()
    }

    pub(super) fn secret(&mut self, name: &str) -> Option<Secret> {
        self.read(name, |_, text| Ok(Secret::from(text.to_owned())))
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.read(name, |_, text| parse::flag(text)).unwrap_or_default()
    }

    pub(super) fn optional_whole(&mut self, name: &str) -> Option<u64> {
        self.read(name, |setting, text| match setting.kind {
            Kind::Whole { min, max } => parse::whole(text, min, max),
            _ => unreachable!("{name} is no whole number in the table"),
        })
    }

    pub(super) fn whole(&mut self, name: &str) -> u64 {
        self.optional_whole(name).unwrap_or_default()
    }

    /// Reads a whole number whose bounds in the table fit the smaller type.
    pub(super) fn small<T: TryFrom<u64> + Default>(&mut self, name: &str) -> T {
        T::try_from(self.whole(name)).unwrap_or_default()
    }

    pub(super) fn time(&mut self, name: &str) -> Duration {
        self.read(name, |setting, text| match setting.kind {
            Kind::Time { unit, min, max } => parse::time(text, unit, min, max),
            _ => unreachable!("{name} is no time in the table"),
        })
        .unwrap_or_default()
    }

    pub(super) fn times(&mut self, name: &str) -> Vec<Duration> {
        self.read(name, |setting, text| match setting.kind {
            Kind::Times { unit, min, max } => {
                text.split(',').map(|one| parse::time(one.trim(), unit, min, max)).collect()
            }
            _ => unreachable!("{name} is no list of times in the table"),
        })
        .unwrap_or_default()
    }

    pub(super) fn bytes(&mut self, name: &str) -> u64 {
        self.read(name, |setting, text| match setting.kind {
            Kind::Megabytes { min, max } => parse::megabytes(text, min, max),
            _ => unreachable!("{name} is no size in the table"),
        })
        .unwrap_or_default()
    }

    pub(super) fn optional_choice<C: Choice>(&mut self, name: &str) -> Option<C> {
        self.read(name, |_, text| C::from_name(text).ok_or_else(|| "not one of them".into()))
    }

    /// Reads one of a few names; the table must hold a default.
    pub(super) fn choice<C: Choice>(&mut self, name: &str) -> C {
        match self.optional_choice(name) {
            Some(choice) => choice,
            None => unreachable!("{name} has no default in the table"),
        }
    }

    pub(super) fn topics(&mut self, name: &str) -> Vec<String> {
        self.read(name, |_, text| parse::topics(text)).unwrap_or_default()
    }

    pub(super) fn urls(&mut self, name: &str, scheme: &str) -> Vec<Url> {
        self.read(name, |_, text| parse::urls(text, scheme)).unwrap_or_default()
    }

    pub(super) fn address(&mut self, name: &str) -> Option<IpAddr> {
        self.read(name, |_, text| text.parse().map_err(|_| "not an IP address".into()))
    }

    pub(super) fn server(&mut self, name: &str, port: u16) -> Option<SocketAddr> {
        self.read(name, |_, text| parse::server(text, port))
    }

    pub(super) fn certificates(&mut self, name: &str) -> Option<Certificates> {
        self.read(name, |_, text| Certificates::read(text))
    }

    /// Gives the file that a secret came from.
    pub(super) fn file_of(&self, name: &str) -> Option<PathBuf> {
        let file = self.effective.get(name).is_some_and(|shown| shown.source == Source::File);
        file.then(|| self.texts.get(&file_name_of(name)).map(|path| path.trim().into()))?
    }

    /// Reads the path of a file or directory that must be there already.
    pub(super) fn existing_path(&mut self, name: &str) -> Option<PathBuf> {
        self.read(name, |_, text| exists(text))
    }

    /// Reads a path that need not exist.
    pub(super) fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.read(name, |_, text| Ok(PathBuf::from(text)))
    }
}

/// Finds a setting that the code itself names; every load reads every name, so a slip here
/// cannot pass a single test.
pub(super) fn known(name: &str) -> &'static Setting {
    setting(name).unwrap_or_else(|| unreachable!("{name} is not in the table of settings"))
}

/// Checks that something readable is at a path.
pub(super) fn exists(path: &str) -> Result<PathBuf, Refusal> {
    match std::fs::File::open(Path::new(path)) {
        Ok(_) => Ok(PathBuf::from(path)),
        Err(error) => Err(reason(&error).to_owned()),
    }
}

/// Names an I/O error without the path, which a caller may have filled with something else.
pub(super) fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file",
        std::io::ErrorKind::PermissionDenied => "no permission to read it",
        std::io::ErrorKind::IsADirectory => "it is a directory",
        std::io::ErrorKind::InvalidData => "its content is not UTF-8",
        _ => "it cannot be read",
    }
}
