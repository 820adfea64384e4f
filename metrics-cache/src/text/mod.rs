//! The text format 0.0.4, in and out, and OpenMetrics out.

pub(crate) mod expose;
mod parse;
mod sample;
mod token;

pub(crate) use parse::parse;

#[cfg(test)]
mod tests;
