//! Avro data as values of the mapping language, straight from and to the datum's bytes.
//!
//! The typed path of the core decodes into Rust types known at compile time. A mapping knows its
//! types at start-up only, reads few of the fields, and leaves most of them as they are. So this
//! module walks the schema itself: [`decode`] gives one field a [`vrl::value::Value`],
//! [`decode::skip`] passes over one, and [`encode`] writes a value by the output's schema.
//! `docs/funnel.md` has what that is worth.
//!
//! The format is that of the Avro 1.12 specification, "Binary encoding".

pub mod decode;
pub mod encode;
pub mod json;
pub mod kind;
pub mod schema;

mod number;

pub use decode::{DecodeError, Reader, decode, skip};
pub use encode::{EncodeError, Encoder};
pub use schema::{Node, NodeId, Schema, SchemaError};

#[cfg(test)]
mod tests;
