//! Avro as Nubium uses it: one graph of a schema, one reader, one writer, one JSON form.
//!
//! - [`Schema`]: a parsed schema; its [`Graph`] has what is needed to read and write.
//! - [`Reader`], [`skip`]: the bytes of a datum, with every bound checked.
//! - [`Datum`], [`encode`], [`fit`]: values of any library, fitted to a schema by [`Rules`].
//! - [`json`]: the one JSON form of every type, read and written.
//! - [`Value`], [`Resolver`]: data whose schema is not known when the program is compiled.
//! - [`Form`]: data of another form than Avro, each datum a JSON document.
//! - [`decimal`], [`time`]: what logical types accept and how they are shown.
//!
//! The format is that of the Avro 1.12 specification. Schemas are parsed here and not by
//! apache-avro, which refuses what registries and other clients take: defaults that do not fit,
//! namespaces with a hyphen, and a type that is defined twice alike. Types known when the program is
//! compiled go through serde_avro_fast, which is given this graph.

mod bytes;
mod datum;
pub mod decimal;
mod draft;
mod encode;
mod fast;
mod fit;
mod form;
mod graph;
pub mod json;
mod logical;
mod misfit;
mod node;
mod parse;
mod rank;
mod raw_json;
mod resolve;
mod scalar;
mod schema;
#[cfg(test)]
mod tests;
pub mod time;
mod union;
mod value;
mod write;

pub use bytes::{DecodeError, Reader, put_bytes, put_long, skip};
pub use datum::{Datum, Shape};
pub use encode::{Body, Dynamic, Encode, Typed};
pub use fit::{MOST_MISFITS, Rules, Tags, Unknown, encode, fit};
pub use form::{Form, Formed, document};
pub use graph::Graph;
pub use misfit::Misfit;
pub use node::{Decimal, Enum, Field, Fixed, Node, NodeId, Record, Union, Unit};
pub use resolve::Resolver;
pub use scalar::{Build, Scalar, build};
pub use schema::{STRING_SCHEMA, Schema, SchemaError};
pub use value::{Fields, Value, Values};
pub use write::{read_uuid, uuid_text};
