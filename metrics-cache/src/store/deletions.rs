//! What was deleted while the groups from before a start still come in. Pure.

use std::collections::HashMap;

/// Remembers deletions until everything is restored, so that a file or a peer that is older than
/// one does not bring back what it took away.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    /// By the joined labels of the group's series, in nanoseconds since 1970.
    groups: HashMap<Box<str>, u64>,
    all: u64,
    closed: bool,
}

impl Deletions {
    /// Notes that a group was deleted, whether it is here already or not.
    pub(super) fn note(&mut self, series: &str, now: u64) {
        if !self.closed {
            self.groups.insert(series.into(), now);
        }
    }

    /// Notes that every group was deleted.
    pub(super) fn note_all(&mut self, now: u64) {
        if !self.closed {
            self.all = now;
        }
    }

    /// Says whether a group that was last heard of then has been deleted since.
    pub(super) fn cover(&self, series: &str, heard: u64) -> bool {
        let deleted = self.groups.get(series).copied().unwrap_or(0).max(self.all);
        !self.closed && deleted >= heard
    }

    /// Forgets everything: nothing more is restored.
    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_wins_over_what_is_older_and_not_over_what_is_newer() {
        let mut deletions = Deletions::default();
        assert!(!deletions.cover("a", 5), "nothing was deleted");
        deletions.note("a", 10);
        assert!(deletions.cover("a", 5) && deletions.cover("a", 10));
        assert!(!deletions.cover("a", 11), "pushed again since");
        assert!(!deletions.cover("b", 5));
        deletions.note_all(20);
        assert!(deletions.cover("b", 20) && !deletions.cover("b", 21));
        deletions.close();
        deletions.note("a", 30);
        assert!(!deletions.cover("a", 5), "nothing is kept once all is restored");
    }
}
