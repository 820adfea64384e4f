//! Exactly once, end to end: a real broker, a real registry, real processes and real faults.

mod harness;
mod setup;
mod wire_points;

/// The app under test.
const APP: &str = env!("CARGO_BIN_EXE_reference-copier");
