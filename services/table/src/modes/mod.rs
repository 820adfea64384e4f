//! Ready-made programs for the common uses of a table.

use std::sync::Arc;
use std::time::Duration;

use nubium_mapping::mapping::Source;

/// Names a ready-made program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The latest record of each key; all are forwarded.
    Latest,
    /// The latest record of each key; what differs is forwarded.
    Changes,
    /// All that records of a key have said.
    Merge,
    /// How many records of a key there were.
    Count,
    /// One record of a key within a window is forwarded.
    Deduplicate {
        /// How long further ones are duplicates.
        window: Duration,
    },
}

/// The modes' names, as the settings have them.
pub const NAMES: [&str; 5] = ["latest", "changes", "merge", "count", "deduplicate"];

impl Mode {
    /// Gives the name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Changes => "changes",
            Self::Merge => "merge",
            Self::Count => "count",
            Self::Deduplicate { .. } => "deduplicate",
        }
    }

    /// Tells whether entries have the type of the input: then bytes and times, which JSON has none
    /// of, come back as what they were.
    pub fn keeps_the_inputs_type(self) -> bool {
        matches!(self, Self::Latest | Self::Changes | Self::Merge)
    }

    /// Gives the program.
    pub fn source(self) -> Arc<Source> {
        let text = match self {
            Self::Latest => include_str!("latest.vrl").to_owned(),
            Self::Changes => include_str!("changes.vrl").to_owned(),
            Self::Merge => include_str!("merge.vrl").to_owned(),
            Self::Count => include_str!("count.vrl").to_owned(),
            Self::Deduplicate { window } => include_str!("deduplicate.vrl")
                .replace("WINDOW_MILLISECONDS", &window.as_millis().to_string()),
        };
        Arc::new(Source { name: format!("mode {}", self.name()), text })
    }
}
