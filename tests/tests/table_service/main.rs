//! The table service, end to end: real processes, a real broker, and what is in its stores.

mod counts;
mod keys;
mod lookups;
mod place;
mod verify;

/// The service under test.
const TABLE: &str = env!("CARGO_BIN_EXE_table-under-test");
