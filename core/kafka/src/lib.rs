//! What everybody who speaks to Kafka through librdkafka shares: messages and headers, the
//! properties of clients, and [`raw`], the calls that rdkafka's safe API lacks.

pub mod headers;
pub mod message;
pub mod raw;
pub mod settings;
