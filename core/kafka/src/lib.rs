//! What everybody who speaks to Kafka through librdkafka shares: messages and headers, the
//! properties of clients, what clients [`report`], a [`reader`] of partitions to their end, and
//! [`raw`], the calls that rdkafka's safe API lacks.

pub mod headers;
pub mod message;
pub mod raw;
pub mod reader;
pub mod report;
pub mod settings;
pub mod token;
