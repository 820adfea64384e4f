//! Counts what came out against what went in: lists, not sets, so that a duplicate cannot hide.

use std::collections::HashMap;

use serde_json::{Value, json};

/// A result, in the order of its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The number of its input; `None`: it names none.
    pub number: Option<u64>,
    /// The partition that it lies in.
    pub partition: i32,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many went in.
    pub inputs: u64,
    /// How many came out.
    pub outputs: u64,
    /// Numbers without a result.
    pub missing: Vec<u64>,
    /// Numbers with more than one.
    pub doubled: Vec<u64>,
    /// Results that name no input.
    pub foreign: u64,
    /// Results behind a later one of the same key.
    pub disordered: u64,
}

impl Tally {
    /// Counts. Inputs are numbered from 0; `key` tells which of them are to stay in order.
    pub fn of(inputs: u64, seen: &[Seen], key: impl Fn(u64) -> u64) -> Self {
        let mut tally = Self { inputs, outputs: seen.len() as u64, ..Self::default() };
        let mut counts: HashMap<u64, u64> = HashMap::new();
        let mut last: HashMap<(u64, i32), u64> = HashMap::new();
        for result in seen {
            let Some(number) = result.number.filter(|number| *number < inputs) else {
                tally.foreign += 1;
                continue;
            };
            *counts.entry(number).or_default() += 1;
            let before = last.insert((key(number), result.partition), number);
            tally.disordered += u64::from(before.is_some_and(|before| before > number));
        }
        for number in 0..inputs {
            match counts.get(&number) {
                None => tally.missing.push(number),
                Some(1) => {}
                Some(_) => tally.doubled.push(number),
            }
        }
        tally
    }

    /// Says whether every input has its result once, in order.
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty()
            && self.doubled.is_empty()
            && self.foreign == 0
            && self.disordered == 0
    }

    /// The table for a terminal.
    pub fn table(&self) -> String {
        let rows = [
            ("inputs", self.inputs),
            ("outputs", self.outputs),
            ("missing", self.missing.len() as u64),
            ("doubled", self.doubled.len() as u64),
            ("made up", self.foreign),
            ("out of order", self.disordered),
        ];
        let mut lines: Vec<_> =
            rows.iter().map(|(name, count)| format!("{name:<14}{count:>10}")).collect();
        let word = if self.is_exact() { "exactly once" } else { "NOT exactly once" };
        lines.push(word.to_owned());
        lines.join("\n")
    }

    /// The same for a machine, with the first numbers of each kind.
    pub fn json(&self) -> Value {
        let first = |numbers: &[u64]| numbers.iter().take(100).copied().collect::<Vec<_>>();
        json!({
            "exactly_once": self.is_exact(),
            "inputs": self.inputs,
            "outputs": self.outputs,
            "missing": self.missing.len(),
            "first_missing": first(&self.missing),
            "doubled": self.doubled.len(),
            "first_doubled": first(&self.doubled),
            "made_up": self.foreign,
            "out_of_order": self.disordered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(numbers: &[u64]) -> Vec<Seen> {
        numbers.iter().map(|n| Seen { number: Some(*n), partition: 0 }).collect()
    }

    #[test]
    fn finds_each_way_to_be_wrong() {
        let of = |numbers: &[u64]| Tally::of(4, &seen(numbers), |number| number % 2);
        assert!(of(&[0, 1, 2, 3]).is_exact());
        assert!(of(&[1, 0, 3, 2]).is_exact(), "other keys may pass");
        assert_eq!(of(&[0, 1, 3]).missing, [2]);
        assert_eq!(of(&[0, 1, 2, 3, 3]).doubled, [3]);
        assert_eq!(of(&[2, 1, 0, 3]).disordered, 1);
        assert_eq!(of(&[0, 1, 2, 3, 9]).foreign, 1);
        let none = Tally::of(0, &[Seen { number: None, partition: 0 }], |n| n);
        assert!(!none.is_exact());
    }
}
