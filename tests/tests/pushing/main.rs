//! Pushing metrics, end to end: a real name server on the wire, pods that are dead, slow or fail,
//! TLS, Debian's Pushgateway, and a real app on a real broker.

mod app;
mod name;
mod plain;
mod pods;
mod proof;
mod pushgateway;
mod settings;
#[path = "../eos/setup.rs"]
mod setup;
mod the_end;

/// The app under test.
const APP: &str = env!("CARGO_BIN_EXE_ledger-app");
