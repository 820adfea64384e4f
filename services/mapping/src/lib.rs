//! The mapping language of the services that need no Rust: the funnel, the table service and the
//! HTTP receiver.
//!
//! [`mapping`] is the language and its types, [`avro`] the data beneath it.

pub mod avro;
pub mod mapping;
