//! The developer's tool: topics, messages, groups, schemas and transactions from the command line.
//!
//! [`cli`] has the command line, [`commands`] what it does, one file a verb, on a [`session`]:
//! settings, cluster, registry. [`data`] turns lines into records and back, [`kafka`] reads and
//! produces, [`registry`] asks the schema registry, [`terminal`] is what a person sees.

pub mod cli;
pub mod commands;
pub mod data;
pub mod kafka;
pub mod session;
pub mod terminal;
pub mod when;
