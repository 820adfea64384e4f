//! When the outbox is handed over. Pure.

use std::time::Duration;

/// Bounds on one Kafka transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Messages.
    pub count: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
    /// Time since the first message in it was completed.
    pub age: Duration,
}

/// What lies in the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filling {
    /// Messages.
    pub count: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
    /// Records to produce.
    pub records: usize,
}

impl Bounds {
    /// Says whether nothing more may be added. Records count as messages do, so that a function
    /// that produces many for one message cannot outgrow the producer's queue.
    #[must_use]
    pub fn full(&self, filling: Filling) -> bool {
        filling.count.max(filling.records) >= self.count || filling.bytes >= self.bytes
    }

    /// Says whether to hand over to a commit thread that is free. With nothing more at hand
    /// (`drained`) at once, for the lowest latency; under load later, since a transaction costs
    /// about 2 ms whatever is in it.
    #[must_use]
    pub fn due(&self, filling: Filling, age: Duration, drained: bool) -> bool {
        drained || age >= self.age || self.full(filling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { count: 10, bytes: 1000, age: Duration::from_millis(100) };

    fn filling(count: usize, bytes: usize, records: usize) -> Filling {
        Filling { count, bytes, records }
    }

    #[test]
    fn full_by_messages_bytes_or_records() {
        assert!(!BOUNDS.full(filling(9, 999, 9)));
        assert!(BOUNDS.full(filling(10, 0, 0)));
        assert!(BOUNDS.full(filling(1, 1000, 1)));
        assert!(BOUNDS.full(filling(1, 1, 10)));
    }

    #[test]
    fn due_when_drained_old_or_full() {
        let (few, young) = (filling(1, 1, 1), Duration::from_millis(99));
        assert!(!BOUNDS.due(few, young, false));
        assert!(BOUNDS.due(few, Duration::ZERO, true));
        assert!(BOUNDS.due(few, Duration::from_millis(100), false));
        assert!(BOUNDS.due(filling(10, 1, 1), young, false));
    }
}
