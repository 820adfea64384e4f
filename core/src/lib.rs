//! Nubium core: exactly-once Kafka apps that are one function.
//!
//! Start at [`App`]; [`Transaction`] is what the function is handed, [`Record`] what it produces,
//! and [`driver::Driver`] runs it in a test without a broker. ARCHITECTURE.md has the map of the
//! rooms.

pub mod app;
pub mod client;
pub mod codec;
pub mod config;
pub mod driver;
pub mod engine;
pub mod error;
pub mod headers;
pub mod kafka;
pub mod liveness;
pub mod message;
pub mod metrics;
pub mod pattern;
pub mod pusher;
pub mod raw;
pub mod record;
pub mod retry;
pub mod table;
pub mod token;
pub mod topic;
pub mod transaction;

pub use app::{App, Ended};
pub use client::{ConsumeError, PlainConsumer, PlainProducer, Received};
pub use config::Config;
pub use error::Exception;
pub use message::Message;
pub use pattern::{Batch, BatchTransaction, Pattern, Single, Take};
pub use pusher::{Exposition, Pushing, start_pushing};
pub use record::Record;
pub use transaction::{Consumed, Transaction};
