//! Exactly once, end to end: a real broker, a real registry, real processes and real faults.

mod answers;
mod fencing;
mod harness;
mod hundred_thousand;
mod lifecycle;
mod messages;
mod plain_clients;
mod protocols;
mod registry_faults;
mod setup;
mod wire_points;

/// The app under test.
const APP: &str = env!("CARGO_BIN_EXE_ledger-app");
