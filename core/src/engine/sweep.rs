//! When a partition's rows are looked at for those whose time is over. Pure.

/// The look at one partition's rows, pass by pass. After a whole pass nothing can be over before
/// the oldest row that it has left is, so that a table of young rows costs nothing.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The last key that this pass has looked at.
    after: Option<Vec<u8>>,
    /// The earliest time of what this pass leaves behind, in milliseconds since the epoch: of the
    /// rows that it has seen, and of its own beginning for those that come after.
    oldest: i64,
    /// The pass is over.
    over: bool,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { after: None, oldest: i64::MAX, over: false }
    }
}

impl Sweep {
    /// Says whether rows written before `before` can be there.
    pub(super) fn is_due(&self, before: i64) -> bool {
        !self.over || self.oldest < before
    }

    /// Where to go on.
    pub(super) fn place(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }

    /// Notes a look up to the key `last`, or to the end: the earliest time of a row that it has
    /// left, and the time of the look.
    pub(super) fn looked(&mut self, last: Option<Vec<u8>>, oldest: i64, now: i64) {
        if self.after.is_none() {
            self.oldest = now;
        }
        self.oldest = self.oldest.min(oldest);
        self.over = last.is_none();
        self.after = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_goes_to_its_end_and_the_next_waits_for_the_oldest_row() {
        let mut sweep = Sweep::default();
        assert!(sweep.is_due(0), "nothing is known yet");
        sweep.looked(Some(b"m".to_vec()), 700, 1_000);
        assert!(sweep.is_due(0), "the rest of the rows");
        assert_eq!(sweep.place(), Some(&b"m"[..]));
        sweep.looked(None, 800, 1_005);
        assert_eq!(sweep.place(), None, "the next pass begins at the first row");
        assert!(!sweep.is_due(700), "the oldest row is still young");
        assert!(sweep.is_due(701));
    }

    #[test]
    fn an_empty_table_is_looked_at_when_what_came_since_can_be_over() {
        let mut sweep = Sweep::default();
        sweep.looked(None, i64::MAX, 1_000);
        assert!(!sweep.is_due(1_000));
        assert!(sweep.is_due(1_001));
    }
}
