//! The demo: real records through the funnel, in one process.
//!
//! Three threads work at once: the [`feeder`] produces the reports, the app maps them, the
//! [`reader`] reads what came of them with a read_committed consumer. [`place`] is where: an
//! embedded broker and registry, or a cluster.

pub mod counts;
pub mod data;
pub mod feeder;
pub mod place;
pub mod reader;

/// The topic for messages that cannot be mapped.
pub const FAILURES: &str = "strike-failures";
/// Messages that are no Avro at all, fed among the others: someone will produce such a thing one
/// day.
pub const BROKEN: u64 = 3;
