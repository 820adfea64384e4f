//! Fits a JSON item to a schema, and says everything that does not fit, each with a JSON pointer.

use nubium_avro::{Graph, Rules as Avro, Unknown};
use serde_json::Value as Json;

/// Problems that are listed of one request; more help nobody.
pub const MOST_PROBLEMS: usize = nubium_avro::MOST_MISFITS;

/// Says what is wrong with one place of a body.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Where: a JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// What is wanted, and what was read.
    pub reason: String,
}

/// Says how strict to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Fields that the schema does not have are left out instead of refused.
    pub ignore_unknown: bool,
    /// Every scalar came as text, as in a form: numbers are read from it, and nothing is null.
    pub from_text: bool,
}

impl Rules {
    fn avro(self) -> Avro {
        let unknown = if self.ignore_unknown { Unknown::LeaveOut } else { Unknown::Refuse };
        Avro { unknown, form: self.from_text, ..Avro::JSON }
    }
}

/// Appends one item as the datum of a schema; `base` is its own pointer. Tells whether it fits; if
/// not, everything that does not is added to `problems`, and `out` is as it was.
pub fn fit(
    schema: &Graph,
    rules: Rules,
    item: &Json,
    (base, problems): (&str, &mut Vec<Problem>),
    out: &mut Vec<u8>,
) -> bool {
    let misfits = nubium_avro::fit(schema, schema.root(), item, rules.avro(), out);
    let fits = misfits.is_empty();
    let room = MOST_PROBLEMS.saturating_sub(problems.len());
    problems.extend(misfits.into_iter().take(room).map(|misfit| Problem {
        pointer: format!("{base}{}", misfit.pointer),
        reason: misfit.reason,
    }));
    fits
}

#[cfg(test)]
mod tests;
