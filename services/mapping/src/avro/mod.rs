//! Avro data as values of the mapping language, straight from and to the datum's bytes.
//!
//! The typed path of the core decodes into Rust types known at compile time. A mapping knows its
//! types at start-up only, reads few of the fields, and leaves most of them as they are. So one
//! field is decoded as a [`vrl::value::Value`], another is skipped, and what is left as it is is
//! copied. `docs/funnel.md` has what that is worth. Schemas, bytes and rules are those of
//! [`nubium_avro`].

pub mod decode;
mod document;
pub mod encode;
pub mod json;
pub mod kind;

pub use decode::decode;
pub use encode::{EncodeError, Encoder};
pub use nubium_avro::{
    DecodeError, Field, Graph, Node, NodeId, Reader, Record, Schema, SchemaError, skip,
};

#[cfg(test)]
mod tests;
