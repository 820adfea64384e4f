//! Wraps the parts of librdkafka that rdkafka's safe API lacks or makes slow. Besides LMDB's
//! mapped file (`core/table`) the only `unsafe` of the workspace.
//!
//! Why each is here: rdkafka 0.39's `commit_transaction` takes at least 100 ms because its flush
//! polls to a deadline; its `abort_transaction` does not serve delivery reports; its messages cost
//! two reference counts and an event each; its headers are copied twice on their way from a
//! consumed to a produced message.
#![allow(unsafe_code)]

mod describe;
mod error;
mod headers;
mod message;
mod queue;
mod transaction;

pub use describe::topic_id;
pub use error::RawError;
pub use headers::NativeHeaders;
pub use message::NativeMessage;
pub use queue::{MessageQueue, QueueWaker};
pub use transaction::{Outgoing, ProducerTopic, TransactionCalls, Unsent};

/// Says how long a native call may take, in the milliseconds librdkafka wants.
fn millis(limit: std::time::Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX)
}
