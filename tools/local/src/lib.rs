//! Runs a Kafka broker and a schema registry inside the process, for demos, development and tests.
//!
//! [`Broker`] is librdkafka's mock cluster, [`Registry`] an in-memory server with the Confluent
//! API. Both listen on a free port of 127.0.0.1, need nothing installed and are gone when dropped.
//! [`Api`] answers HTTP requests as a test tells it, and [`program`] runs a binary against them;
//! `commands` holds the tests that every service's binary has to pass (feature `commands`).
//! What the mock broker does not prove is said at [`Broker`]: read it before trusting a green test.

mod api;
mod broker;
#[cfg(feature = "commands")]
pub mod commands;
pub mod program;
mod registry;

pub use api::{Answer, Api, Request};
pub use broker::Broker;
pub use registry::{Fault, Registry};
