//! The funnel: messages of several topics to canonical ones, by a mapping program in a file.
//!
//! [`mapping`] is the language and its types, [`avro`] the data beneath it, [`funnel`] the app
//! function, [`settings`] its file. [`commands`] has what the binary does, one file each.

pub mod avro;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod demo;
pub mod funnel;
pub mod mapping;
pub mod settings;
pub mod start;
pub mod terminal;
