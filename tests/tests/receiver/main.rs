//! The HTTP receiver, end to end: real requests, a real broker, and what lies in the topics.

mod abuse;
mod delivery;
mod requests;
mod stop;

/// The receiver under test.
const RECEIVER: &str = env!("CARGO_BIN_EXE_receiver-under-test");
