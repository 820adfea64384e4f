//! What is wrong with the settings, said so that it can be put right at once.

use std::fmt;

use nubium_host::errors::Code;

/// Names one setting that cannot be used. Secrets are redacted before a problem is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting's name; for a rule between several settings, the one to change first.
    pub setting: String,
    /// Where inside the setting: a path in a JSON or YAML map, else empty.
    pub place: String,
    /// What was read.
    pub read: String,
    /// What is accepted, and why where that is not plain.
    pub expected: String,
    /// A line that would be accepted.
    pub example: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.setting)?;
        if !self.place.is_empty() {
            write!(f, " at {}", self.place)?;
        }
        write!(f, "\n    read:     {}", self.read)?;
        write!(f, "\n    expected: {}", self.expected)?;
        write!(f, "\n    example:  {}", self.example)
    }
}

impl std::error::Error for Problem {}

/// Lists every problem of one start; prints all of them at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = Code::BadSettings;
        match self.0.len() {
            1 => writeln!(f, "{code}: 1 problem with the settings; nothing was started.")?,
            n => writeln!(f, "{code}: {n} problems with the settings; nothing was started.")?,
        }
        for problem in &self.0 {
            writeln!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Says what looks wrong with a setting but does not prevent the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The setting's name.
    pub setting: String,
    /// What looks wrong, and what to do.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.text)
    }
}
