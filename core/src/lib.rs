//! Nubium core: exactly-once Kafka apps that are one function.
//!
//! Start at [`App`]; [`Transaction`] is what the function is handed, [`Record`] what it produces,
//! and [`driver::Driver`] runs it in a test without a broker. ARCHITECTURE.md has the map of the
//! rooms.
//!
//! Settings, schemas, metrics and messages are crates of their own, for programs that need no more;
//! an app names them from here.

pub mod app;
pub mod client;
pub mod driver;
mod engine;
pub mod error;
mod kafka;
mod liveness;
pub mod pattern;
mod random;
pub mod record;
pub mod retry;
pub mod transaction;

pub use nubium_config as config;
pub use nubium_kafka::{headers, message};
pub use nubium_metrics::{self as metrics, pusher};
pub use nubium_registry as codec;
pub use nubium_topic as topic;

/// Reads tables, and the stores that keep them.
pub mod table {
    pub use nubium_table_store::{
        Entry, Identity, PartitionState, Phase, Role, Store, StoreError, StoredRow, Table,
        TableError, TableReader, is_deleted, read_change,
    };
}

pub use app::{App, Ended};
pub use client::{ConsumeError, PlainConsumer, PlainProducer, Received};
pub use config::Config;
pub use error::Exception;
pub use message::Message;
pub use pattern::{Batch, BatchTransaction, Pattern, Single, Take};
pub use pusher::{Exposition, Pushing, start_pushing};
pub use record::Record;
pub use transaction::{Consumed, Transaction};
