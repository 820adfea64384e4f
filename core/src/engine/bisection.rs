//! Which parts of a failed batch are run next, to find the messages that are to blame. Pure.

/// One part of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    count: usize,
    /// It is the first half of something that failed: if it succeeds, the second half is to blame.
    first_half: bool,
}

/// Finds bad messages by halves. Parts run in the order of their messages; a part that failed is
/// halved, and so is, without running it, the rest of a failed part whose first half succeeded.
/// Thus one bad message among n costs at most 2·log₂(n) runs after the one that failed.
#[derive(Debug, Default)]
pub(super) struct Bisection {
    /// The last one is next.
    parts: Vec<Part>,
}

impl Bisection {
    /// How many messages to run next; `None` where nothing is bisected.
    pub(super) fn next(&self) -> Option<usize> {
        self.parts.last().map(|part| part.count)
    }

    /// Notes that the part, or a batch of `count` where nothing is bisected yet, has failed and is
    /// to be halved; a single message is settled.
    pub(super) fn failed(&mut self, count: usize) {
        self.parts.pop();
        self.halve(count);
    }

    /// Notes that the part has succeeded.
    pub(super) fn succeeded(&mut self) {
        let good = self.parts.pop().is_some_and(|part| part.first_half);
        if good && let Some(count) = self.next().filter(|count| *count > 1) {
            self.failed(count);
        }
    }

    /// Lets the message at `index` of the part, or of a batch of `count`, run alone.
    pub(super) fn isolate(&mut self, index: usize, count: usize) {
        self.parts.pop();
        for count in [count - index - 1, 1, index].into_iter().filter(|count| *count > 0) {
            self.parts.push(Part { count, first_half: false });
        }
    }

    /// Forgets everything: what was consumed is dropped and comes again.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
    }

    fn halve(&mut self, count: usize) {
        if count > 1 {
            let half = count / 2;
            self.parts.push(Part { count: count - half, first_half: false });
            self.parts.push(Part { count: half, first_half: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs batches of `bad.len()` messages; answers the runs and who was settled as bad.
    fn run(bad: &[bool]) -> (usize, Vec<usize>) {
        let (mut bisection, mut at, mut runs, mut found) = (Bisection::default(), 0, 1, Vec::new());
        if !bad.contains(&true) {
            return (runs, found);
        }
        if bad.len() == 1 {
            return (runs, vec![0]);
        }
        bisection.failed(bad.len());
        while let Some(count) = bisection.next() {
            runs += 1;
            if bad[at..at + count].contains(&true) {
                bisection.failed(count);
                if count == 1 {
                    found.push(at);
                    at += 1;
                }
            } else {
                bisection.succeeded();
                at += count;
            }
        }
        assert_eq!(at, bad.len(), "every message was in a part");
        (runs, found)
    }

    #[test]
    fn one_bad_message_costs_at_most_twice_the_logarithm_and_one() {
        for n in 1..=130_usize {
            let most = (2.0 * (n as f64).log2()).floor() as usize + 1;
            for index in 0..n {
                let bad: Vec<bool> = (0..n).map(|i| i == index).collect();
                let (runs, found) = run(&bad);
                assert_eq!(found, [index], "of {n}");
                assert!(runs <= most, "{runs} runs for {index} of {n}, {most} allowed");
            }
        }
    }

    #[test]
    fn any_number_of_bad_messages_is_found() {
        for n in 1..=10_u32 {
            for mask in 0..1_u32 << n {
                let bad: Vec<bool> = (0..n).map(|i| mask >> i & 1 == 1).collect();
                let expected: Vec<usize> =
                    (0..n).filter(|i| mask >> i & 1 == 1).map(|i| i as usize).collect();
                assert_eq!(run(&bad).1, expected, "{bad:?}");
            }
        }
    }

    #[test]
    fn a_message_is_isolated_and_its_neighbours_stay_together() {
        for (index, expected) in [(0, vec![1, 4]), (2, vec![2, 1, 2]), (4, vec![4, 1])] {
            let mut bisection = Bisection::default();
            bisection.isolate(index, 5);
            let mut parts = Vec::new();
            while let Some(count) = bisection.next() {
                parts.push(count);
                bisection.succeeded();
            }
            assert_eq!(parts, expected);
        }
    }
}
