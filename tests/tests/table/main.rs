//! Tables, end to end: a real broker, a real registry, real processes, real faults to processes,
//! brokers and volumes.

mod counts;
mod original;
mod recovery;
mod setup;
mod takeover;

/// The plain app, which copies.
const PLAIN_APP: &str = env!("CARGO_BIN_EXE_ledger-app");
/// The app under test.
const APP: &str = env!("CARGO_BIN_EXE_table-app");
