//! Nubium core: exactly-once Kafka apps that are one function.
//!
//! Start at [`App`]; [`Transaction`] is what the function is handed, [`Record`] what it produces, and
//! [`driver::Driver`] runs it in a test without a broker. ARCHITECTURE.md has the map of the rooms.

pub mod raw;
pub mod topic;
pub mod headers;
pub mod message;
pub mod record;
pub mod retry;
pub mod error;
pub mod config;
pub mod codec;
pub mod metrics;
pub mod liveness;
pub mod kafka;
pub mod transaction;
pub mod pattern;
pub mod engine;
pub mod app;
pub mod client;
pub mod driver;

pub use app::{App, Ended};
pub use client::{ConsumeError, PlainConsumer, PlainProducer, Received};
pub use config::Config;
pub use error::Exception;
pub use message::Message;
pub use pattern::{Pattern, Single, Take};
pub use record::Record;
pub use transaction::{Consumed, Transaction};
