//! Tables, end to end: a real broker, a real registry, real processes, real faults to processes,
//! brokers and volumes.

mod counts;
mod recovery;
mod setup;
mod takeover;

/// The app under test.
const APP: &str = env!("CARGO_BIN_EXE_table-app");
