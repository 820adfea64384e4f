//! The funnel: messages of several topics to canonical ones, by a mapping program in a file.
//!
//! The language is crate `nubium-mapping`, what services have in common crate `nubium-service`;
//! [`funnel`] is the app function, [`settings`] its file. [`commands`] has what the binary does,
//! one file each, [`service`] what it is.

pub mod commands;
pub mod funnel;
pub mod service;
pub mod settings;
