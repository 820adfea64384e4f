//! Speaks to Kafka through librdkafka.

pub mod settings;
