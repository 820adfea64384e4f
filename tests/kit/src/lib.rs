//! Holds the vocabulary of Nubium's tests on real brokers: real services, real processes, a ledger of
//! what went in, and a checker of what came out.
//!
//! A test reads as a story: start a [`broker`] and a [`registry`], write a [`ledger`], run the app
//! as a [`process`] and hurt it (by signal, or at an exact request through [`kproxy`]), read the
//! output with the independent [`reader`], and let the [`checker`] compare both, record by record.
//!
//! Nothing here shares code with the product, so that a fault cannot hide on both sides; only a
//! table's stores are read with its own reader, and compared with the changelog (feature `tables`).
//! And it depends on no service: a test that uses the kit builds neither VRL nor the engine.

pub mod broker;
pub mod checker;
pub mod dns;
pub mod exposition;
pub mod faulty;
pub mod install;
pub mod kproxy;
pub mod ledger;
pub mod outage;
pub mod pods;
pub mod ports;
pub mod probe;
pub mod process;
pub mod pushgateway;
pub mod reader;
mod reaper;
pub mod receiver;
pub mod registry;
pub mod scenario;
pub mod secure;
pub mod services;
#[cfg(feature = "tables")]
pub mod table;
pub mod tls;
pub mod tokens;
pub mod topics;
pub mod trio;
pub mod wait;
pub mod wire;

/// Says whether this build has the planted bugs of `nubium_host::mutants`.
pub const fn has_mutants() -> bool {
    cfg!(feature = "mutants")
}
