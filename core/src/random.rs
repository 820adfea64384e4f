//! A small generator (xorshift64*): the same orders everywhere and for ever.

use std::cell::Cell;

/// Gives numbers that follow from a seed, for what is played by chance and must be played again.
#[derive(Debug, Clone)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    /// Begins at a seed, which must not be 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// Gives a number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let mut next = self.0.get();
        next ^= next >> 12;
        next ^= next << 25;
        next ^= next >> 27;
        self.0.set(next);
        (next.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
