//! The funnel: messages of several topics to canonical ones, by a mapping program in a file.
//!
//! [`mapping`] is the language and its types, [`avro`] the data beneath it. The commands of the binary are in
//! `commands`, one file each.

pub mod avro;
pub mod demo;
pub mod mapping;
pub mod settings;
