//! What is wrong with the funnel's file, in the shape of the core's own settings problems.

use std::fmt;

/// Names one entry that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub setting: String,
    /// Where inside the file.
    pub place: String,
    /// What was read.
    pub read: String,
    /// What is accepted.
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
