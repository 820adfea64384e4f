//! The table of settings: defaults, checks, the docs page and `config` listings come from it.

mod connection;
mod consumer;
mod process;
mod producer;
mod services;

/// Describes one `NU_*` setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the environment.
    pub name: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// What holds when it is not set.
    pub unset: WhenUnset,
    /// What it is for, in plain words.
    pub meaning: &'static str,
    /// A value that is accepted.
    pub example: &'static str,
    /// Never printed, and may come from a file named by `<name>_FILE`.
    pub secret: bool,
    /// Whether nubium-utils knew it.
    pub origin: Origin,
}

/// Tells where a setting's name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Name and default are those of nubium-utils.
    Original,
    /// Added here.
    New,
}

/// Tells what holds when a setting is not set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WhenUnset {
    /// The start is refused.
    Required,
    /// The feature is off, or nothing is said.
    Off,
    /// This value is used.
    Use(&'static str),
    /// The value follows from other settings, or the setting is needed under a condition.
    Derived(&'static str),
}

/// The unit that a time is given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
        }
    }
}

/// Tells what a setting accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text without control characters.
    Text,
    /// Yes or no.
    Flag,
    /// A whole number.
    Whole {
        /// The smallest accepted.
        min: u64,
        /// The largest accepted.
        max: u64,
    },
    /// A length of time.
    Time {
        /// What 1 means.
        unit: Unit,
        /// The smallest accepted.
        min: f64,
        /// The largest accepted.
        max: f64,
    },
    /// Lengths of time, separated by commas.
    Times {
        /// What 1 means.
        unit: Unit,
        /// The smallest accepted.
        min: f64,
        /// The largest accepted.
        max: f64,
    },
    /// A size in units of 2^20 bytes, as in nubium-utils.
    Megabytes {
        /// The smallest accepted.
        min: f64,
        /// The largest accepted.
        max: f64,
    },
    /// One of a few names.
    OneOf(&'static [&'static str]),
    /// Topic names, separated by commas.
    Topics,
    /// HTTP addresses, separated by commas.
    Urls,
    /// The path of a file.
    File,
    /// The path of a file that the app writes.
    WrittenFile,
    /// The path of a directory.
    Directory,
    /// An IP address.
    Address,
    /// A server by its IP address, with a port or without.
    Server,
    /// A JSON object.
    Json(&'static str),
}

impl Kind {
    /// Says what is accepted, to follow the word "expected".
    pub fn accepted(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Flag => "true or false (also 1/0, yes/no, on/off)".into(),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Time { unit, min, max } => {
                format!("{}, a number from {min} to {max}", unit.name())
            }
            Self::Times { unit, min, max } => {
                format!("{}, numbers from {min} to {max} separated by commas", unit.name())
            }
            Self::Megabytes { min, max } => {
                format!("megabytes (2^20 bytes), a number from {min} to {max}")
            }
            Self::OneOf(names) => format!("one of {}", names.join(", ")),
            Self::Topics => "topic names separated by commas; \
                letters, digits, '.', '_' and '-', at most 249 each"
                .into(),
            Self::Urls => "http or https addresses separated by commas, \
                without username and password in them"
                .into(),
            Self::File => "the path of a readable file".into(),
            Self::WrittenFile => "the path of a file in an existing directory, or off".into(),
            Self::Directory => "the path of a directory".into(),
            Self::Address => "an IP address".into(),
            Self::Server => "an IP address, or one with a port such as 10.0.0.10:53".into(),
            Self::Json(shape) => format!("a JSON object: {shape}"),
        }
    }
}

impl Setting {
    const fn original(
        name: &'static str,
        kind: Kind,
        unset: WhenUnset,
        meaning: &'static str,
        example: &'static str,
    ) -> Self {
        let origin = Origin::Original;
        Self { name, kind, unset, meaning, example, secret: false, origin }
    }

    const fn added(
        name: &'static str,
        kind: Kind,
        unset: WhenUnset,
        meaning: &'static str,
        example: &'static str,
    ) -> Self {
        let origin = Origin::New;
        Self { name, kind, unset, meaning, example, secret: false, origin }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// Groups settings of one subject.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// The subject.
    pub title: &'static str,
    /// What belongs together here.
    pub text: &'static str,
    /// The settings, in the order of the docs page.
    pub settings: &'static [Setting],
}

/// Every setting of the core, by subject.
pub const SECTIONS: &[Section] = &[
    process::APP,
    connection::CLUSTERS,
    connection::SECURITY,
    connection::IDENTITY,
    connection::REGISTRY,
    consumer::TOPICS,
    consumer::CONSUMER,
    producer::PRODUCER,
    producer::ERRORS,
    process::OPERATION,
    process::METRICS,
    consumer::LATER,
];

/// Settings that a service reads by itself, by service. The core knows their names and no more.
pub const SERVICES: &[Section] = &[
    services::BATCH_UPLOADER,
    services::FUNNEL,
    services::HTTP_RECEIVER,
    services::PROVISION,
    services::TABLE,
];

/// Walks over every setting of the core.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// Walks over every name that may be set: the core's settings and those of the services.
pub(super) fn known() -> impl Iterator<Item = &'static Setting> {
    settings().chain(SERVICES.iter().flat_map(|section| section.settings))
}

/// Finds a setting by its exact name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    known().find(|setting| setting.name == name)
}

/// Finds the setting whose name resembles `name` most, if any does.
pub fn nearest(name: &str) -> Option<&'static str> {
    nubium_document::nearest(name, known().map(|setting| setting.name))
}
