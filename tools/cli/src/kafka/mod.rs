//! Kafka as the commands need it: partitions read from here to there, records produced.

pub mod client;
pub mod positions;
pub mod producer;
pub mod subject;
